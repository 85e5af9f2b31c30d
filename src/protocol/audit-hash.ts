import { createHash } from 'node:crypto';

/** How a row of the audit log is hashed. docs/audit.md says the same in words, and whoever verifies goes by those: change neither. */

/** What is hashed of a row; `previousHash` is 64 hexadecimal digits. */
export type Hashed = {
  seq: number;
  at: Date;
  project_id: string | null;
  actor: string;
  action: string;
  target_type: string | null;
  target_id: string | null;
  address: string | null;
  request_id: string | null;
  details: Readonly<Record<string, unknown>>;
  previousHash: string;
};

/** What the first row has as the hash before it. */
export const noHash = '0'.repeat(64);

/** A JSON array of every field in a fixed order: text can neither pretend to be a number nor run into its neighbour. */
export function auditText({
  seq,
  at,
  project_id,
  actor,
  action,
  target_type,
  target_id,
  address,
  request_id,
  details,
  previousHash,
}: Hashed): string {
  const sorted = Object.fromEntries(Object.entries(details).sort(([a], [b]) => (a < b ? -1 : 1)));
  const fields = [seq, at.toISOString(), project_id, actor, action, target_type, target_id, address, request_id, sorted, previousHash];
  return JSON.stringify(['grantry-audit-1', ...fields]);
}

export const auditHash = (row: Hashed): Buffer => createHash('sha256').update(auditText(row), 'utf8').digest();
