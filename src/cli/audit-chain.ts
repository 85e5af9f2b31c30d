import { createHash } from 'node:crypto';

/** The chain of the audit log, verified by whoever reads it: written from docs/audit.md, and not with what the broker hashes with. */

/** A row as the API and an export show it. */
export type AuditRow = {
  seq: number;
  at: string;
  project: string | null;
  actor: string;
  action: string;
  target_type: string | null;
  target_id: string | null;
  address: string | null;
  request_id: string | null;
  details: Record<string, unknown>;
  previous_hash: string;
  hash: string;
};

const isText = (value: unknown): value is string => typeof value === 'string';
const isTextOrNull = (value: unknown): boolean => value === null || isText(value);

/** A row from what was parsed of a line; undefined when it is none. */
export function auditRow(value: unknown): AuditRow | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { seq, at, actor, action, details, previous_hash, hash } = value as Record<string, unknown>; // looked at one by one
  const row = value as AuditRow;
  const isRow =
    Number.isSafeInteger(seq) &&
    [at, actor, action, previous_hash, hash].every(isText) &&
    [row.project, row.target_type, row.target_id, row.address, row.request_id].every(isTextOrNull) &&
    typeof details === 'object' &&
    details !== null;
  return isRow ? row : undefined;
}

function hashOf(row: AuditRow): string {
  const names = Object.keys(row.details).sort();
  const details = Object.fromEntries(names.map((name) => [name, row.details[name]]));
  const { seq, at, project, actor, action, target_type, target_id, address, request_id, previous_hash } = row;
  const fields = [seq, at, project, actor, action, target_type, target_id, address, request_id, details, previous_hash];
  return createHash('sha256')
    .update(JSON.stringify(['grantry-audit-1', ...fields]), 'utf8')
    .digest('hex');
}

/**
 * altered: the row is not what was hashed. missing: rows between this and the one before are not there. reordered: it comes after one that
 * it should precede, or a second time. replaced: it is sound in itself and does not follow the row before it. truncated: the head that was
 * noted is not in the chain, which was shortened or written anew. unreadable: the line is no row.
 */
export type Broken = { seq: number | null; how: 'altered' | 'missing' | 'reordered' | 'replaced' | 'truncated' | 'unreadable'; detail: string };
export type Verdict = { rows: number; first: number | null; last: Pick<AuditRow, 'seq' | 'hash'> | null; broken: Broken | null };

/** A head that was noted: the hash, and the seq when that was noted too. */
export type NotedHead = { seq: number | undefined; hash: string };

export function readHead(text: string): NotedHead | undefined {
  const [, seq, hash = ''] = /^(?:(\d{1,15}):)?([0-9a-f]{64})$/.exec(text.trim()) ?? [];
  return hash === '' ? undefined : { seq: seq === undefined ? undefined : Number(seq), hash };
}

const genesis = '0'.repeat(64);

function faultOf(row: AuditRow, before: Pick<AuditRow, 'seq' | 'hash'>): Broken | undefined {
  const expected = before.seq + 1;
  if (row.seq < expected) return { seq: row.seq, how: 'reordered', detail: `Row ${row.seq} comes after row ${before.seq}.` };
  if (row.seq > expected) {
    const rows = row.seq === expected + 1 ? `Row ${expected} is` : `Rows ${expected} to ${row.seq - 1} are`;
    return { seq: expected, how: 'missing', detail: `${rows} not there.` };
  }
  if (hashOf(row) !== row.hash) return { seq: row.seq, how: 'altered', detail: `Row ${row.seq} is not what was written: its hash is another one.` };
  if (row.previous_hash !== before.hash)
    return { seq: row.seq, how: 'replaced', detail: `Row ${row.seq} does not follow row ${before.seq}: one of the two was put in another's place.` };
  return undefined;
}

/**
 * Goes through the rows, the oldest first, up to the first one that is broken. `whole`: they begin with the first row of the log; else with
 * whichever comes first, whose `previous_hash` is taken as it is.
 */
export async function verifyChain(
  rows: AsyncIterable<AuditRow | undefined>,
  { whole, head }: { whole: boolean; head: NotedHead | undefined },
): Promise<Verdict> {
  const verdict: Verdict = { rows: 0, first: null, last: null, broken: null };
  let isHeadSeen = head === undefined || (head.seq === 0 && head.hash === genesis);
  for await (const row of rows) {
    if (row === undefined) {
      const after = verdict.last === null ? 'The first line' : `The line after row ${verdict.last.seq}`;
      return {
        ...verdict,
        broken: { seq: verdict.last === null ? null : verdict.last.seq + 1, how: 'unreadable', detail: `${after} is no row of the log.` },
      };
    }
    const before = verdict.last ?? (whole ? { seq: 0, hash: genesis } : { seq: row.seq - 1, hash: row.previous_hash });
    const broken = faultOf(row, before);
    if (broken !== undefined) return { ...verdict, broken };
    verdict.rows += 1;
    verdict.first ??= row.seq;
    verdict.last = { seq: row.seq, hash: row.hash };
    if (row.hash === head?.hash && (head.seq === undefined || head.seq === row.seq)) isHeadSeen = true;
  }
  if (isHeadSeen || head === undefined) return verdict;
  const end = verdict.last === null ? 'There are no rows.' : `The last row is ${verdict.last.seq}.`;
  const detail = `The head that was noted is not in the chain: it was shortened or written anew. ${end}`;
  return { ...verdict, broken: { seq: head.seq ?? (verdict.last === null ? 1 : verdict.last.seq + 1), how: 'truncated', detail } };
}
