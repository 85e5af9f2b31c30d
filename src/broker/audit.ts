import type { AuditAction } from '../protocol/audit-actions.ts';
import { GrantryError } from '../protocol/errors.ts';
import type { AuditFilter, Page, PageRequest } from './store.ts';
import type { World } from './world.ts';

/** The audit log: who did what, from where, with which key, to what. docs/audit.md is its contract. */

/** What belongs to an action: few and short values, and never a secret. Numbers are whole ones. */
export type AuditDetails = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

export type AuditEntry = {
  at: Date;
  /** Null: it concerns the installation. */
  project_id: string | null;
  /** `root`, the id of an API key, `browser`, `broker` (nobody asked for it), or `unknown`. */
  actor: string;
  action: AuditAction;
  target_id: string | null;
  /** Where it came from, as TRUST_PROXY says. */
  address: string | null;
  request_id: string | null;
  details: AuditDetails;
};

/** An entry as it stands in the chain; an action that this version does not know is still shown. */
export type AuditRecord = Omit<AuditEntry, 'action'> & {
  seq: number;
  action: string;
  target_type: string | null;
  previous_hash: Buffer;
  hash: Buffer;
};

/** What happens too often for a row each: it is counted by the minute. */
export type Counted = Pick<AuditEntry, 'project_id' | 'actor' | 'action' | 'target_id' | 'address'>;

/** Takes down what happens. Nothing that it is given waits for the chain. */
export type Audit = {
  /** Writes what is about to be done; it stays, as of unknown outcome, unless it is written anew or forgotten. Throws `unavailable`. */
  begin(entry: AuditEntry): Promise<string>;
  /** Writes what was done, over what was begun under the id. Kept in memory and tried again while Postgres is away; never rejects. */
  write(entry: AuditEntry, begun?: string): Promise<void>;
  /** Nothing came of what was begun. Never rejects. */
  forget(begun: string): Promise<void>;
  /** Counts; nothing waits and nothing is written now. */
  count(counted: Counted): void;
  /** Chains what is written. */
  chain(): Promise<void>;
};

/** What an attempt came to, when it did not come to what was asked. */
export type Shortfall = { outcome: 'failed'; error: string };

/**
 * Does what changes something, so that it cannot go unrecorded: its entry is begun before, and told anew after it, as of when it began. A refusal leaves nothing,
 * except for the codes of `refusals`; a failure of ours or of a provider does, since nobody knows how far it came.
 */
export async function audited<T>(
  { audit }: Pick<World, 'audit'>,
  { begun, told, refusals = [] }: { begun: AuditEntry; told: (answer: T) => AuditEntry; refusals?: readonly string[] | undefined },
  work: () => Promise<T>,
): Promise<T> {
  const id = await audit.begin({ ...begun, details: { ...begun.details, outcome: 'unknown' } });
  let answer: T;
  try {
    answer = await work();
  } catch (error) {
    const code = error instanceof GrantryError ? error.code : 'internal_error';
    const isTold = !(error instanceof GrantryError) || error.status >= 500 || refusals.includes(code);
    const shortfall: Shortfall = { outcome: 'failed', error: code };
    await (isTold ? audit.write({ ...begun, details: { ...begun.details, ...shortfall } }, id) : audit.forget(id));
    throw error;
  }
  await audit.write({ ...told(answer), at: begun.at }, id);
  return answer;
}

/** The log of a project, or with null of everything; what is written by now is in it. */
export async function listAudit(world: World, project: string | null, filter: AuditFilter, page: PageRequest): Promise<Page<AuditRecord>> {
  await world.audit.chain();
  return world.store.audit.list(project, filter, page);
}

/** The newest link of the chain, which vouches for all before it. */
export async function auditHead(world: World): Promise<{ seq: number; hash: Buffer }> {
  await world.audit.chain();
  return world.store.audit.head();
}
