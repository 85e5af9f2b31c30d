import { createHash } from 'node:crypto';
import type { GrantryClient } from '../../src/client/client.ts';

/** The audit log as a stranger reads it, and a verifier written from docs/audit.md alone: nothing of ours is imported for it. */

export type Row = {
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

/** The whole log, the oldest first. */
export async function wholeLog(client: GrantryClient, query: Record<string, string> = {}): Promise<Row[]> {
  const rows: Row[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await client.call<{ data: Row[]; next_cursor: string | null }>('GET', '/v1/audit', {
      query: { order: 'oldest', limit: 1_000, ...query, cursor },
    });
    rows.push(...page.data);
    if (page.next_cursor === null) return rows;
    cursor = page.next_cursor;
  }
}

const quoted = (value: unknown): string => JSON.stringify(value);

/** Each field by hand, as the document lists them. */
export function digest(row: Row): string {
  const details = Object.keys(row.details)
    .sort()
    .map((name) => `${quoted(name)}:${quoted(row.details[name])}`)
    .join(',');
  const text = `["grantry-audit-1",${row.seq},${quoted(row.at)},${quoted(row.project)},${quoted(row.actor)},${quoted(row.action)},${quoted(row.target_type)},${quoted(row.target_id)},${quoted(row.address)},${quoted(row.request_id)},{${details}},${quoted(row.previous_hash)}]`;
  return createHash('sha256').update(Buffer.from(text, 'utf8')).digest('hex');
}

/** The first seq at which the chain does not hold; undefined when it does from 1 to the end. */
export function firstBroken(rows: readonly Row[]): number | undefined {
  let before = '0'.repeat(64);
  let expected = 1;
  for (const row of rows) {
    if (row.seq !== expected || row.previous_hash !== before || row.hash !== digest(row)) return expected;
    before = row.hash;
    expected += 1;
  }
  return undefined;
}
