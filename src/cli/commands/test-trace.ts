import { setTimeout as sleep } from 'node:timers/promises';
import { openBrowser } from '../browser.ts';
import { type InputOptions, id, inputsOf, type Work } from '../command.ts';
import { FailedWork } from '../outcome.ts';
import { askPatiently } from '../patience.ts';

export type TestOptions = InputOptions & { open?: boolean };
type Member = { at: string; type: string; length: number | null; value: string | null };
type Answer = { status: number; body: { members: Member[]; more: boolean } | null };
type Step = {
  step: string;
  outcome: string;
  what: string;
  look?: string;
  request?: { method: string; url: string };
  answer?: Answer;
  understood?: Record<string, unknown>;
};
type Test = { outcome: 'waiting' | 'passed' | 'failed'; next: string | null; steps: Step[] };

const sign = { ok: 'ok', failed: 'FAILED', skipped: 'skipped' } as const;
const memberOf = ({ at, type, value }: Member): string => `${at} ${value === null ? `(${type})` : `= ${value}`}`;
const answerLine = ({ status, body }: Answer): string =>
  [
    `HTTP ${status}`,
    ...(body === null || body.members.length === 0 ? [] : [`${body.members.map(memberOf).join(', ')}${body.more ? ', ...' : ''}`]),
  ].join(': ');
const isSaid = (value: unknown): boolean => value !== null && (typeof value !== 'object' || Object.keys(value).length > 0);
const understoodLine = (understood: Record<string, unknown>): string =>
  Object.entries(understood)
    .filter(([, value]) => isSaid(value))
    .map(([name, value]) => `${name}: ${Array.isArray(value) ? value.join(' ') : typeof value === 'object' ? JSON.stringify(value) : String(value)}`)
    .join(', ');

/** The whole of it is in the trace, which --json prints. */
const linesOf = ({ step, outcome, what, look, request, answer, understood }: Step): string =>
  [
    `${(sign[outcome as keyof typeof sign] ?? outcome).padEnd(8)} ${step}: ${what}`,
    ...(request === undefined ? [] : [`           ${request.method} ${request.url}`]),
    ...(answer === undefined ? [] : [`           ${answerLine(answer)}`]),
    ...(understood === undefined ? [] : [`           ${understoodLine(understood)}`]),
    ...(look === undefined ? [] : [`           ${look}`]),
  ].join('\n');

/** Makes the link of a test, and prints its steps as they come until it has ended. Throws FailedWork when it failed. */
export async function followTest(on: Work, integration: string, { open, ...given }: TestOptions): Promise<void> {
  const { client, out } = on;
  const inputs = await inputsOf(given);
  const link = await client.call<{ url: string; trace: string }>('POST', `/v1/integrations/${id(integration)}/test`, {
    body: { ...(inputs !== undefined && { inputs }) },
  });
  out.ahead({ url: link.url, trace: link.trace }, `Open this link and go through it as your users would:\n\n  ${link.url}\n`);
  if (open === true && !(await openBrowser(link.url))) out.note('No browser could be opened here.');
  let shown = 0;
  for (;;) {
    const test = await askPatiently(() => client.call<Test>('GET', link.trace));
    for (const step of test.steps.slice(shown)) out.note(linesOf(step));
    shown = test.steps.length;
    if (test.outcome !== 'waiting') {
      out.result(test, () => (test.outcome === 'passed' ? 'The integration works.' : 'The integration does not work yet.'));
      if (test.outcome === 'failed') throw new FailedWork('The test failed: see what the step above says to look at.');
      return;
    }
    await sleep(1_000);
  }
}
