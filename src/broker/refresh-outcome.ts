import type { Credential } from '../protocol/credential.ts';
import { GrantryError } from '../protocol/errors.ts';
import type { GrantContext } from '../protocol/grant.ts';
import { type AgeMs, ageSince, storeCredential } from './credentials.ts';
import type { ConnectionRecord, NewEvent } from './records.ts';
import { giveBackLater } from './revocations.ts';
import type { Spilled } from './spill.ts';
import type { Claim } from './store.ts';
import type { World } from './world.ts';

/** What comes of a refresh, and how its new credential is saved. */

export type RefreshOutcome =
  /** This call or another one brought a newer credential. */
  | { kind: 'refreshed'; connection: ConnectionRecord }
  | { kind: 'failed'; error: GrantryError }
  /** The connection was deleted meanwhile. */
  | { kind: 'gone' };

/** What a provider gave for the old credential, not yet saved. */
export type Renewed = { ctx: GrantContext; credential: Credential; ageMs: AgeMs };

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
export async function saveRenewed(world: World, claim: Claim, renewed: Renewed): Promise<RefreshOutcome> {
  const { id } = claim.connection;
  const begunMs = world.elapsedMs();
  let unsaved: Spilled | undefined;
  let isOnDisk = false;
  for (let attempt = 0; ; attempt += 1) {
    try {
      unsaved ??= await sealed(world, claim, renewed);
      const saved = await commitRenewed(world, claim, unsaved, renewed.ageMs());
      const outcome: RefreshOutcome = saved === undefined ? await notSaved(world, unsaved) : { kind: 'refreshed', connection: saved };
      // Not before: a credential that has to be given back is nowhere else until that is queued.
      if (isOnDisk) await world.spill.drop(unsaved);
      return outcome;
    } catch (error) {
      world.log.error(
        { connection: id, attempt, error: error instanceof Error ? error.name : typeof error },
        'the new credential could not be saved yet; trying again',
      );
      if (unsaved !== undefined && !isOnDisk) isOnDisk = await spillOver(world, unsaved);
      if (world.elapsedMs() - begunMs > keptMs)
        throw new GrantryError('unavailable', { detail: 'The new credential could not be saved.', cause: error });
      await world.sleep(Math.min(mostPauseMs, 20 * 2 ** attempt));
    }
  }
}

async function sealed(world: World, { connection: row, lease }: Claim, { ctx, credential, ageMs }: Renewed): Promise<Spilled> {
  const next = { ...row, token_version: row.token_version + 1 };
  const { times, ...stored } = await storeCredential(world, next, {
    method: ctx.method,
    credential,
    ageMs,
    requested: row.requested_scopes,
  });
  const { ageMs: _, ...kept } = times;
  const { project_id, integration_id, id, token_version, method, inputs_sealed } = row;
  const about = { project_id, integration_id, connection_id: id, token_version, method, inputs_sealed, lease };
  // By the wall clock: another process may have to read it.
  return { ...about, stored: { ...stored, times: kept }, sent_at: new Date(world.now().getTime() - ageMs()).toISOString() };
}

/** Lifetimes count from when the request was sent, however long the saving took. */
function commitRenewed(world: World, claim: Claim, { stored }: Spilled, ageMs: number): Promise<ConnectionRecord | undefined> {
  const row = claim.connection;
  const about = { project_id: row.project_id, integration_id: row.integration_id, connection_id: row.id };
  const times = { ...stored.times, ageMs };
  const refreshed: NewEvent = { ...about, type: 'connection.refreshed', data: { token_version: row.token_version + 1, expires_in: times.lifetimeS } };
  const recovered: NewEvent = { ...about, type: 'connection.recovered', data: { failing_since: row.failing_since?.toISOString() ?? null } };
  return world.store.refreshes.commit(claim, { ...stored, times }, [refreshed], recovered);
}

/** True when it is on the disk now. */
async function spillOver(world: World, unsaved: Spilled): Promise<boolean> {
  try {
    await world.spill.keep(unsaved);
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    world.log.error(
      { connection: unsaved.connection_id, code },
      'the new credential could not be written to the data directory either; it is in memory alone',
    );
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
  if (row?.token_version === spilled.token_version) {
    const ageMs = ageSince(world, new Date(spilled.sent_at))();
    const saved = await commitRenewed(world, { connection: row, lease: spilled.lease, ambiguous: false }, spilled, ageMs);
    if (saved !== undefined) return true;
  }
  await notSaved(world, spilled);
  return false;
}

/**
 * Something else came first: a reconnect, a deletion, the security stop, or (its commit arrived though we heard of a failure) we ourselves.
 * Throws `unavailable` when nothing stands in the way any more: it is to be saved again.
 */
async function notSaved(world: World, { connection_id, project_id, token_version, stored, ...unsaved }: Spilled): Promise<RefreshOutcome> {
  const now = await world.store.connections.get(project_id, connection_id);
  const outcome = settled(now, token_version);
  if (outcome === undefined) throw new GrantryError('unavailable', { detail: 'The connection changes too fast to be saved.' });
  // The deletion, or the stop, could revoke only what it found. What came of the refresh since is known to nobody else.
  if (outcome.kind !== 'refreshed' && (now === undefined || now.token_version === token_version)) {
    const { integration_id, method, inputs_sealed } = unsaved;
    const { credential_sealed, extras } = stored;
    const about = { project_id, integration_id, connection_id, token_version: token_version + 1, method, inputs_sealed, extras };
    if (credential_sealed !== null) await giveBackLater(world, { ...about, credential_sealed });
  }
  return outcome;
}
