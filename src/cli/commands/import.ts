import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { UnreadableAnswer } from '../../client/client.ts';
import { numberOf, type Work, work } from '../command.ts';
import { type Became, sendLine } from '../import-line.ts';
import { digestOf, openReport, type Report } from '../import-report.ts';
import { type Line, linesOf } from '../lines.ts';
import { FailedWork, UsageError } from '../outcome.ts';
import { createProgress } from '../progress.ts';
import { unreadable } from '../secret.ts';

/** The broker and the project that a key leads to, by their own names: a way to reach them may change. */
async function targetOf({ client }: Work): Promise<string> {
  const path = '/v1/api-keys/current';
  const { project, public_url } = await client.call<{ project?: string; public_url?: string }>('GET', path);
  if (project === undefined || public_url === undefined) throw new UnreadableAnswer(path);
  return `${public_url} ${project}`;
}

/** For the bar; 0 where there is no reading twice, as from a pipe. Throws UsageError. */
async function countLines(file: string): Promise<number> {
  if (file === '-') return 0;
  const found = await stat(file).catch((error: unknown) => {
    throw unreadable(file, error);
  });
  if (!found.isFile() && !found.isDirectory()) return 0;
  let count = 0;
  for await (const { text } of linesOf(file)) if (text?.trim() !== '') count += 1;
  return count;
}

/** Failures that are told one by one; the report has all. */
const mostTold = 20;

type Options = { report?: string; concurrency?: string };
type Counts = { imported: number; done_before: number; failed: number; not_sent: number };
type Run = { on: Work; target: string; report: Report; counts: Counts; tell: (line: number, error: { code: string; detail: string }) => void };

/** Does what a line asks for, unless it is known to be in vain (`away`); what says so comes back. */
async function workOff({ on, target, report, counts, tell }: Run, { line, text: given }: Line, away: unknown): Promise<unknown> {
  const text = given?.trim();
  const digest = digestOf(target, text ?? `line ${line}`);
  if (away !== undefined) counts.not_sent += 1;
  else if (report.isDone(digest)) counts.done_before += 1;
  else {
    let became: Became;
    try {
      became = await sendLine(on.client, text, digest);
    } catch (error) {
      // Nobody is asked any more; what is not in the report is sent by the next run.
      counts.not_sent += 1;
      return error;
    }
    if ('error' in became) {
      counts.failed += 1;
      tell(line, became.error);
    } else counts.imported += 1;
    await report.add({ line, digest, ...became });
  }
  return away;
}

function shown({ imported, done_before, failed, not_sent }: Counts, report: string): string {
  const notSent = not_sent === 0 ? '' : `, ${not_sent} not known to be done`;
  return `${imported} imported, ${done_before} done before, ${failed} failed${notSent}. What became of each line: ${report}`;
}

async function importAll(on: Work, file: string, options: Options): Promise<void> {
  const path = options.report ?? (file === '-' ? 'import.report.jsonl' : `${file}.report.jsonl`);
  const atOnce = numberOf('--concurrency', options.concurrency) ?? 8;
  if (atOnce > 100) throw new UsageError('--concurrency must be a number from 1 to 100.');
  const total = await countLines(file);
  const target = await targetOf(on);
  const report = await openReport(path);
  const bar = createProgress(on.json, '{bar} {value}/{total} lines, {failed} failed', { failed: 0 });
  const counts: Counts = { imported: 0, done_before: 0, failed: 0, not_sent: 0 };
  const tell: Run['tell'] = (line, { code, detail }) => {
    if (bar !== undefined || counts.failed > mostTold + 1) return;
    on.out.note(counts.failed > mostTold ? `More failed; all of them are in ${path}.` : `line ${line}: ${code}: ${detail}`);
  };
  const lines = linesOf(file);
  let away: unknown;
  async function worker(): Promise<void> {
    for (let next = await lines.next(); next.done !== true; next = await lines.next()) {
      if (next.value.text?.trim() === '') continue;
      const found = await workOff({ on, target, report, counts, tell }, next.value, away);
      away ??= found;
      const past = counts.done_before + counts.imported + counts.failed;
      bar?.at(past, Math.max(total, past), { failed: counts.failed });
    }
  }
  const brokenOff = () => process.stderr.write('\nBroken off. Run the same command again: what is done is not done twice.\n');
  process.once('exit', brokenOff);
  try {
    await Promise.all(Array.from({ length: atOnce }, worker));
  } finally {
    bar?.stop();
    process.off('exit', brokenOff);
  }
  on.out.result({ ...counts, report: path }, () => shown(counts, path));
  if (away !== undefined) throw away;
  if (counts.failed > 0)
    throw new FailedWork(
      `${counts.failed === 1 ? '1 line' : `${counts.failed} lines`} failed. Mend what is wrong and run the same command again: what is done is not done twice.`,
    );
}

export function importCommand(program: Command): void {
  program
    .command('import')
    .description(
      'tokens that were obtained elsewhere: a JSON line each, {"integration", "end_user", "import": {"access_token", ...}}; and definitions, as export writes them',
    )
    .argument('<file>', '- for standard input')
    .option('--report <file>', 'what became of each line, and where to go on; <file>.report.jsonl without, import.report.jsonl for standard input')
    .option('--concurrency <number>', 'lines at a time', '8')
    .action(work<[string, Options]>(importAll));
}
