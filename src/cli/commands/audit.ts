import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import type { CallOptions, GrantryClient } from '../../client/client.ts';
import { type AuditRow, auditRow, readHead, type Verdict, verifyChain } from '../audit-chain.ts';
import { mostOf, type Work, work } from '../command.ts';
import { linesOf } from '../lines.ts';
import { FailedWork, UsageError } from '../outcome.ts';
import { createOutput, type Output, tableOf } from '../output.ts';
import { entriesOf, listOf } from '../pages.ts';
import { createProgress } from '../progress.ts';
import type { GlobalOptions } from '../settings.ts';

type Filter = { action?: string; actor?: string; target?: string; from?: string; to?: string };
type ExportOptions = { file?: string; from?: string; to?: string };
type VerifyOptions = { file?: string; head?: string };

const perPage = 1_000;

const filterOf = ({ action, actor, target, from, to }: Filter): NonNullable<CallOptions['query']> => ({ action, actor, target, from, to });

/** The seq of the first row that a query finds; undefined when there is none. */
async function seqOf(client: GrantryClient, query: CallOptions['query']): Promise<number | undefined> {
  const { data } = await client.call<{ data: AuditRow[] }>('GET', '/v1/audit', { query: { ...query, limit: 1 } });
  return data[0]?.seq;
}

/**
 * The oldest first, without a gap, so that they can be verified: from the first row of the time to the last one, with those between them
 * that are told as of another time.
 */
async function* rowsOf(client: GrantryClient, { from, to }: Pick<Filter, 'from' | 'to'> = {}): AsyncGenerator<Record<string, unknown>> {
  const first = from === undefined ? 1 : await seqOf(client, { from, order: 'oldest' });
  const last = to === undefined ? Number.POSITIVE_INFINITY : await seqOf(client, { to, order: 'newest' });
  if (first === undefined || last === undefined) return;
  for await (const row of entriesOf(client, '/v1/audit', { order: 'oldest', after_seq: first - 1 }, { perPage })) {
    if (Number(row.seq) > last) return;
    yield row;
  }
}

async function exportAll({ client, out, json }: Work, { file, from, to }: ExportOptions): Promise<void> {
  const rows = rowsOf(client, { ...(from !== undefined && { from }), ...(to !== undefined && { to }) });
  if (file === undefined) {
    for await (const row of rows) out.line(JSON.stringify(row));
    return;
  }
  const bar = createProgress(json, '{value} rows');
  async function* lines(): AsyncGenerator<string> {
    let count = 0;
    for await (const row of rows) {
      yield `${JSON.stringify(row)}\n`;
      count += 1;
      bar?.at(count, count);
    }
  }
  // An export that is there already may be the proof of something: it is not written over.
  await pipeline(Readable.from(lines()), createWriteStream(file, { flags: 'wx', mode: 0o600 }))
    .catch((error: unknown) => {
      if (!(error instanceof Error && 'syscall' in error && 'code' in error)) throw error;
      throw new UsageError(error.code === 'EEXIST' ? `${file} is there already.` : `${file} cannot be written.`);
    })
    .finally(() => bar?.stop());
}

async function* rowsIn(file: string): AsyncGenerator<AuditRow | undefined> {
  for await (const { text } of linesOf(file)) {
    if (text?.trim() === '') continue;
    let parsed: unknown;
    try {
      parsed = JSON.parse(text ?? '');
    } catch {
      parsed = undefined;
    }
    yield auditRow(parsed);
  }
}

async function* wholeLog(client: GrantryClient): AsyncGenerator<AuditRow | undefined> {
  const { id } = await client.call<{ id: string }>('GET', '/v1/api-keys/current');
  if (id !== 'root') throw new UsageError('The chain goes over all projects: to verify it takes the root key, or a whole export (--file).');
  for await (const row of rowsOf(client)) yield auditRow(row);
}

function told({ rows, first, last }: Verdict): string {
  if (last === null) return 'The log is empty.';
  const from = first === 1 ? '' : ` It begins with row ${first}: what was before is not looked at.`;
  return `${rows} rows, unbroken, up to ${last.seq}:${last.hash}.${from}`;
}

async function verify(
  out: Output,
  rows: AsyncIterable<AuditRow | undefined>,
  { noted, whole }: { noted: string | undefined; whole: boolean },
): Promise<void> {
  const head = noted === undefined ? undefined : readHead(noted);
  if (noted !== undefined && head === undefined)
    throw new UsageError('--head must be 64 hexadecimal digits, or <seq>:<hash> as "grantry audit head" prints it.');
  const verdict = await verifyChain(rows, { whole, head });
  if (verdict.broken === null) return out.result(verdict, () => told(verdict));
  throw new FailedWork(`${verdict.broken.how}: ${verdict.broken.detail}`, verdict);
}

export function auditCommands(program: Command): void {
  const audit = program.command('audit').description('who did what, from where, to what; and that nobody has changed it since');

  audit
    .command('list')
    .description('the newest first')
    .option('--action <action>', 'such as key.created')
    .option('--actor <actor>', 'root, the id of a key, browser, broker or unknown')
    .option('--target <id>', 'what it was done to')
    .option('--from <time>', 'RFC 3339; at this time or later')
    .option('--to <time>', 'before this time')
    .option('--limit <number>', 'at most so many', '50')
    .action(
      work<[Filter & { limit?: string }]>(async ({ client, out }, options) => {
        const rows = await listOf(client, '/v1/audit', filterOf(options), mostOf(options));
        const columns = ['seq', 'at', 'project', 'actor', 'action', 'target_id', 'address', 'details'];
        out.result(rows, () => tableOf(rows, columns, 'There is nothing like that.'));
      }),
    );

  audit
    .command('export')
    .description('JSON lines, the oldest first, with all that it takes to verify them')
    .option('--from <time>', 'RFC 3339; at this time or later')
    .option('--to <time>', 'before this time')
    .option('--file <file>', 'a new file, for its owner alone; standard output without')
    .action(work<[ExportOptions]>(exportAll));

  audit
    .command('head')
    .description('the newest link of the chain: note it where nobody who can write to the database can change it')
    .action(
      work<[]>(async ({ client, out }) => {
        const head = await client.call<{ seq: number; hash: string }>('GET', '/v1/audit/head');
        out.result(head, () => `${head.seq}:${head.hash}`);
      }),
    );

  audit
    .command('verify')
    .description('recomputes the chain, and names the first row that is broken')
    .option('--file <file>', 'an export (-: standard input), without asking the broker')
    .option('--head <head>', 'one that was noted earlier: it has to be in the chain')
    .action(async (options: VerifyOptions, command: Command) => {
      const { file, head: noted } = options;
      if (file === undefined)
        return work<[VerifyOptions]>(({ client, out }) => verify(out, wholeLog(client), { noted, whole: true }))(options, command);
      const out = createOutput(command.optsWithGlobals<GlobalOptions>().json === true);
      return verify(out, rowsIn(file), { noted, whole: false });
    });
}
