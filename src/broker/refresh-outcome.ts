import { grantFor } from '../grants/index.ts';
import type { Credential } from '../protocol/credential.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import type { GrantContext } from '../protocol/grant.ts';
import { withSecretsOf } from './client-secrets.ts';
import { storeCredential } from './credentials.ts';
import type { ConnectionRecord, IntegrationRecord, NewEvent } from './records.ts';
import type { Spilled } from './spill.ts';
import type { Claim, StoredCredential } from './store.ts';
import type { World } from './world.ts';

/** What comes of a refresh, and how its new credential is saved. */

export type RefreshOutcome =
  /** This call or another one brought a newer credential. */
  | { kind: 'refreshed'; connection: ConnectionRecord }
  | { kind: 'failed'; error: GrantryError }
  /** The connection was deleted meanwhile. */
  | { kind: 'gone' };

/** What a provider gave for the old credential, not yet saved; `sentAt`: when the request for it was sent. */
export type Renewed = { ctx: GrantContext; integration: IntegrationRecord; credential: Credential; sentAt: Date };

type Dropped = Pick<Renewed, 'ctx' | 'integration' | 'credential'>;

/** So long a credential is kept in memory while Postgres is away; what was spilled to the disk stays there. */
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
 * Saves the new credential. It is the only copy there is: until it is saved nothing else is done. A Postgres that is away is waited
 * for, with the sealed credential on this machine's disk meanwhile, for the process may have to end. Throws `unavailable` when it
 * could not be saved in a quarter of an hour.
 */
export async function saveRenewed(world: World, claim: Claim, { ctx, integration, credential, sentAt }: Renewed): Promise<RefreshOutcome> {
  const row = claim.connection;
  const begunMs = world.elapsedMs();
  let stored: StoredCredential | undefined;
  let spilled = false;
  for (let attempt = 0; ; attempt += 1) {
    try {
      stored ??= await storeCredential(world, { ...row, token_version: row.token_version + 1 }, { method: ctx.method, credential, sentAt });
      const saved = await commitRenewed(world, claim, stored, sentAt);
      if (spilled) await world.spill.drop({ connection_id: row.id, token_version: row.token_version });
      if (saved !== undefined) return { kind: 'refreshed', connection: saved };
      return await notSaved(world, row, { ctx, integration, credential });
    } catch (error) {
      world.log.error(
        { connection: row.id, attempt, error: error instanceof Error ? error.name : typeof error },
        'the new credential could not be saved yet; trying again',
      );
      if (stored !== undefined && !spilled) spilled = await spillOver(world, claim, stored, sentAt);
      if (world.elapsedMs() - begunMs > keptMs)
        throw new GrantryError('unavailable', { detail: 'The new credential could not be saved.', cause: error });
      await world.sleep(Math.min(mostPauseMs, 20 * 2 ** attempt));
    }
  }
}

/** Lifetimes count from when the request was sent, however long the saving took. */
function commitRenewed(world: World, claim: Claim, stored: Spilled['stored'], sentAt: Date): Promise<ConnectionRecord | undefined> {
  const row = claim.connection;
  const about = { project_id: row.project_id, integration_id: row.integration_id, connection_id: row.id };
  const times = { ...stored.times, ageMs: Math.max(0, world.now().getTime() - sentAt.getTime()) };
  const refreshed: NewEvent = { ...about, type: 'connection.refreshed', data: { token_version: row.token_version + 1, expires_in: times.lifetimeS } };
  const recovered: NewEvent = { ...about, type: 'connection.recovered', data: { failing_since: row.failing_since?.toISOString() ?? null } };
  return world.store.refreshes.commit(claim, { ...stored, times }, [refreshed], recovered);
}

/** True when it is on the disk now. */
async function spillOver(world: World, { connection: row, lease }: Claim, stored: StoredCredential, sentAt: Date): Promise<boolean> {
  const { ageMs: _, ...times } = stored.times;
  const { project_id, id, token_version } = row;
  try {
    await world.spill.keep({ project_id, connection_id: id, token_version, lease, stored: { ...stored, times }, sent_at: sentAt.toISOString() });
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    world.log.error({ connection: row.id, code }, 'the new credential could not be written to the data directory either; it is in memory alone');
    return false;
  }
}

/**
 * Saves what processes that had to end left on this machine's disk; whatever is settled is removed there. To be called before anything
 * is refreshed, and now and then. Returns how many were saved; what could not be is left for the next time.
 */
export async function saveSpilled(world: World): Promise<number> {
  let saved = 0;
  for (const spilled of await world.spill.list()) {
    try {
      if (await saveOne(world, spilled)) saved += 1;
      await world.spill.drop(spilled);
    } catch (error) {
      world.log.error(
        { connection: spilled.connection_id, error: error instanceof Error ? error.name : typeof error },
        'a spilled credential could not be saved yet',
      );
    }
  }
  return saved;
}

/** False when something else came first. */
async function saveOne(world: World, spilled: Spilled): Promise<boolean> {
  const row = await world.store.connections.get(spilled.project_id, spilled.connection_id);
  if (row === undefined || row.token_version !== spilled.token_version) return false;
  const claim = { connection: row, lease: spilled.lease, ambiguous: false };
  return (await commitRenewed(world, claim, spilled.stored, new Date(spilled.sent_at))) !== undefined;
}

/** Something else came first: a reconnect, a deletion, the security stop, or (its commit arrived though we heard of a failure) we ourselves. */
async function notSaved(world: World, row: ConnectionRecord, dropped: Dropped): Promise<RefreshOutcome> {
  const now = await world.store.connections.get(row.project_id, row.id);
  // The deletion, or the stop, could revoke only what it found. What came of the refresh since is known to nobody else.
  const outcome = settled(now, row.token_version);
  if (outcome?.kind !== 'refreshed' && now?.token_version !== row.token_version + 1) void giveBack(world, row, dropped);
  return outcome ?? { kind: 'failed', error: new GrantryError('unavailable', { retryAfterS: 1 }) };
}

async function giveBack(world: World, row: ConnectionRecord, { credential, ...at }: Dropped): Promise<void> {
  try {
    await withSecretsOf(world, at, async (ctx) => grantFor(ctx.method).revoke?.(ctx, credential));
  } catch (error) {
    const code = isGrantryError(error) ? error.code : 'unexpected';
    world.log.warn({ connection: row.id, code }, 'the last credential of a connection that has ended could not be revoked');
  }
}
