import { setTimeout as sleep } from 'node:timers/promises';
import { openBrowser } from '../browser.ts';
import { id, pairsOf, type Work } from '../command.ts';
import { FailedWork } from '../outcome.ts';

type Step = { step: string; outcome: string; what: string; look?: string; request?: { method: string; url: string } };
type Test = { outcome: 'waiting' | 'passed' | 'failed'; next: string | null; steps: Step[] };

const sign = { ok: 'ok', failed: 'FAILED', skipped: 'skipped' } as const;
const linesOf = ({ step, outcome, what, look, request }: Step): string =>
  [
    `${(sign[outcome as keyof typeof sign] ?? outcome).padEnd(8)} ${step}: ${what}`,
    ...(request === undefined ? [] : [`           ${request.method} ${request.url}`]),
    ...(look === undefined ? [] : [`           ${look}`]),
  ].join('\n');

/** Makes the link of a test, and prints its steps as they come until it has ended. Throws FailedWork when it failed. */
export async function followTest(on: Work, integration: string, { open, input }: { open?: boolean; input?: string[] }): Promise<void> {
  const { client, out } = on;
  const inputs = pairsOf(input);
  const link = await client.call<{ url: string; trace: string }>('POST', `/v1/integrations/${id(integration)}/test`, {
    body: { ...(inputs !== undefined && { inputs }) },
  });
  out.note(`Open this link and go through it as your users would:\n\n  ${link.url}\n`);
  if (open === true && !(await openBrowser(link.url))) out.note('No browser could be opened here.');
  let shown = 0;
  for (;;) {
    const test = await client.call<Test>('GET', link.trace);
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
