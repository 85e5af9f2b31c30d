import { setTimeout as sleep } from 'node:timers/promises';
import { grantFor } from '../grants/index.ts';
import type { Credential } from '../protocol/credential.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import type { GrantContext } from '../protocol/grant.ts';
import { storeCredential } from './credentials.ts';
import type { ConnectionRecord, NewEvent } from './records.ts';
import type { Claim } from './store.ts';
import type { World } from './world.ts';

/** What comes of a refresh, and how its new credential is saved. */

export type RefreshOutcome =
  /** This call or another one brought a newer credential. */
  | { kind: 'refreshed'; connection: ConnectionRecord }
  | { kind: 'failed'; error: GrantryError }
  /** The connection was deleted meanwhile. */
  | { kind: 'gone' };

/** What a provider gave for the old credential, not yet saved; `sentAt`: when the request for it was sent. */
export type Renewed = { ctx: GrantContext; credential: Credential; sentAt: Date };

/** So long a credential is kept in memory while Postgres is away. */
const keptMs = 15 * 60_000;
/** Short, so that it is saved before the next process that finds Postgres back can begin a refresh of its own. */
const mostPauseMs = 250;

/** What the state of a connection says to a caller that wanted the given version refreshed; undefined: nothing yet. */
export function settled(now: ConnectionRecord | undefined, version: number): RefreshOutcome | undefined {
  if (now === undefined) return { kind: 'gone' };
  // First: a connection that was stopped hands out nothing, however new its token is.
  if (now.status === 'reauthorization_required' || now.status === 'revoked') return { kind: 'failed', error: new GrantryError('invalid_grant') };
  if (now.token_version > version) return { kind: 'refreshed', connection: now };
  return undefined;
}

/**
 * Saves the new credential. It is the only copy there is: until it is saved nothing else is done, and a Postgres that is away is
 * waited for. It is sealed anew at each attempt, for lifetimes count from when the request was sent. Throws `unavailable`
 * when it could not be saved in a quarter of an hour.
 */
export async function saveRenewed(world: World, claim: Claim, { ctx, credential, sentAt }: Renewed): Promise<RefreshOutcome> {
  const row = claim.connection;
  const about = { project_id: row.project_id, integration_id: row.integration_id, connection_id: row.id };
  const version = row.token_version + 1;
  const until = performance.now() + keptMs;
  for (let attempt = 0; ; attempt += 1) {
    try {
      const next = await storeCredential(world, { ...row, token_version: version }, { method: ctx.method, credential, sentAt });
      const refreshed: NewEvent = { ...about, type: 'connection.refreshed', data: { token_version: version, expires_in: next.times.lifetimeS } };
      const recovered: NewEvent = { ...about, type: 'connection.recovered', data: { failing_since: row.failing_since?.toISOString() ?? null } };
      const saved = await world.store.refreshes.commit(claim, next, [refreshed], recovered);
      if (saved !== undefined) return { kind: 'refreshed', connection: saved };
      return await notSaved(world, row, { ctx, credential });
    } catch (error) {
      world.log.error(
        { connection: row.id, attempt, error: error instanceof Error ? error.name : typeof error },
        'the new credential could not be saved yet; trying again',
      );
      if (performance.now() > until) throw new GrantryError('unavailable', { detail: 'The new credential could not be saved.', cause: error });
      await sleep(Math.min(mostPauseMs, 20 * 2 ** attempt));
    }
  }
}

/** Something else came first: a reconnect, a deletion, the security stop, or (its commit arrived though we heard of a failure) we ourselves. */
async function notSaved(world: World, row: ConnectionRecord, { ctx, credential }: Pick<Renewed, 'ctx' | 'credential'>): Promise<RefreshOutcome> {
  const now = await world.store.connections.get(row.project_id, row.id);
  // The deletion could revoke only what it found. What came of the refresh since is known to nobody else.
  if (now === undefined) void giveBack(world, row, { ctx, credential });
  return settled(now, row.token_version) ?? { kind: 'failed', error: new GrantryError('unavailable', { retryAfterS: 1 }) };
}

async function giveBack(world: World, row: ConnectionRecord, { ctx, credential }: Pick<Renewed, 'ctx' | 'credential'>): Promise<void> {
  try {
    await grantFor(ctx.method).revoke?.(ctx, credential);
  } catch (error) {
    const code = isGrantryError(error) ? error.code : 'unexpected';
    world.log.warn({ connection: row.id, code }, 'the last credential of a deleted connection could not be revoked');
  }
}
