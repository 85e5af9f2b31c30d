import { createHash } from 'node:crypto';
import { appendFile, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { BrokerUnreachable, GrantryProblem } from '../../client/client.ts';
import { type Work, work } from '../command.ts';
import { FailedWork, UsageError } from '../outcome.ts';
import { entriesOf } from '../pages.ts';
import { createProgress } from '../progress.ts';
import { readText } from '../secret.ts';

/** A line of the report: what became of a line of the input. `digest` tells whether it is still the same line. */
type Reported = { line: number; digest: string; connection_id?: string; error?: { code: string; detail: string } };

/** The same line is another one elsewhere: what was imported into one project is not yet in the next. */
const digestOf = (target: string, text: string): string => createHash('sha256').update(`${target}\n${text}`).digest('hex');

/** The broker and the project that a key leads to, by their own names: a way to reach them may change. */
async function targetOf({ client }: Work): Promise<string> {
  const { project, public_url } = await client.call<{ project: string; public_url: string }>('GET', '/v1/api-keys/current');
  return `${public_url} ${project}`;
}
const tries = 6;

/** Passing troubles are waited out; each line has one effect however often it is sent. Throws BrokerUnreachable when it stays away. */
async function send({ client }: Work, text: string, digest: string): Promise<Omit<Reported, 'line' | 'digest'>> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return { error: { code: 'invalid_json', detail: 'The line is not JSON.' } };
  }
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { id } = await client.call<{ id: string }>('POST', '/v1/connections', { body, idempotencyKey: `import-${digest}` });
      return { connection_id: id };
    } catch (error) {
      const passing = error instanceof BrokerUnreachable || (error instanceof GrantryProblem && (error.status === 429 || error.status >= 500));
      if (passing && attempt < tries) {
        const told = error instanceof GrantryProblem ? (error.retryAfterS ?? 0) * 1000 : 0;
        await sleep(Math.max(told, 250 * 2 ** attempt));
        continue;
      }
      if (!(error instanceof GrantryProblem)) throw error;
      const [fault] = Array.isArray(error.problem.errors) ? error.problem.errors : [];
      return { error: { code: error.code, detail: fault === undefined ? error.message : `${fault.pointer}: ${fault.detail}` } };
    }
  }
}

/** What an earlier run got done, by digest; a line that was cut off in the middle counts as not written. */
function doneBefore(report: string): Map<string, string> {
  const lines = report.split('\n').flatMap((line): Reported[] => {
    try {
      return [JSON.parse(line)];
    } catch {
      return [];
    }
  });
  return new Map(lines.flatMap(({ digest, connection_id }) => (connection_id === undefined ? [] : [[digest, connection_id]])));
}

async function importAll(
  on: Work,
  file: string,
  { report = file === '-' ? 'import.report.jsonl' : `${file}.report.jsonl`, concurrency = '8' }: { report?: string; concurrency?: string },
): Promise<void> {
  const atOnce = Number(concurrency);
  if (!(Number.isInteger(atOnce) && atOnce >= 1 && atOnce <= 100)) throw new UsageError('--concurrency must be a number from 1 to 100.');
  const lines = readText(file)
    .split('\n')
    .map((text, index) => ({ line: index + 1, text: text.trim() }))
    .filter(({ text }) => text !== '');
  const target = await targetOf(on);
  const before = await readFile(report, 'utf8').catch(() => '');
  const done = doneBefore(before);
  // Whatever was cut off there stands on a line of its own.
  if (before !== '' && !before.endsWith('\n')) await appendFile(report, '\n');
  const bar = createProgress(on.json, '{bar} {value}/{total} lines, {failed} failed', { failed: 0 });
  const counts = { imported: 0, done_before: 0, failed: 0, not_sent: 0 };
  const queue = [...lines];
  let away: BrokerUnreachable | undefined;

  async function worker(): Promise<void> {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const digest = digestOf(target, next.text);
      if (done.has(digest)) counts.done_before += 1;
      else {
        const became = await send(on, next.text, digest).catch((error: unknown) => {
          if (!(error instanceof BrokerUnreachable)) throw error;
          return error;
        });
        // Nobody is asked any more; what is not in the report is sent by the next run.
        if (became instanceof BrokerUnreachable) {
          away = became;
          counts.not_sent += 1 + queue.length;
          queue.length = 0;
          return;
        }
        if ('connection_id' in became && became.connection_id !== undefined) counts.imported += 1;
        else counts.failed += 1;
        await appendFile(report, `${JSON.stringify({ line: next.line, digest, ...became })}\n`);
        if (became.error !== undefined && bar === undefined) on.out.note(`line ${next.line}: ${became.error.code}: ${became.error.detail}`);
      }
      bar?.at(counts.done_before + counts.imported + counts.failed, lines.length, { failed: counts.failed });
    }
  }
  try {
    await Promise.all(Array.from({ length: atOnce }, worker));
  } finally {
    bar?.stop();
  }
  on.out.result(
    { ...counts, report },
    () =>
      `${counts.imported} imported, ${counts.done_before} done before, ${counts.failed} failed${counts.not_sent === 0 ? '' : `, ${counts.not_sent} not known to be done`}. What became of each line: ${report}`,
  );
  if (away !== undefined) throw away;
  if (counts.failed > 0)
    throw new FailedWork(`${counts.failed} lines failed. Mend them and run the same command again: what is done is not done twice.`);
}

const kinds = ['connections', 'integrations', 'providers', 'all'] as const;

export function transferCommands(program: Command): void {
  program
    .command('import')
    .description('tokens that were obtained elsewhere: a JSON line each, {"integration", "end_user", "import": {"access_token", ...}}')
    .argument('<file>')
    .option('--report <file>', 'what became of each line, and where to go on; <file>.report.jsonl without, import.report.jsonl for standard input')
    .option('--concurrency <number>', 'lines at a time', '8')
    .action(work<[string, { report?: string; concurrency?: string }]>((on, file, options) => importAll(on, file, options)));

  program
    .command('export')
    .description('JSON lines; there is no secret in them')
    .argument('[kind]', kinds.join(', '), 'all')
    .action(
      work<[string]>(async ({ client, out }, kind) => {
        if (!kinds.some((each) => each === kind)) throw new UsageError(`"${kind}" must be one of ${kinds.join(', ')}.`);
        const wanted = (each: string) => kind === 'all' || kind === each;
        if (wanted('providers')) {
          for await (const provider of entriesOf(client, '/v1/providers')) {
            if (provider.source !== 'own') continue;
            const yaml = await client.call<string>('GET', `/v1/providers/${encodeURIComponent(String(provider.id))}`, { accept: 'application/yaml' });
            out.line(JSON.stringify({ kind: 'provider', id: provider.id, version: provider.version, yaml }));
          }
        }
        for (const each of ['integrations', 'connections'] as const) {
          if (!wanted(each)) continue;
          for await (const entry of entriesOf(client, `/v1/${each}`)) out.line(JSON.stringify({ kind: each.slice(0, -1), ...entry }));
        }
      }),
    );
}
