import { type ErrorCode, errorTable, GrantryError, isGrantryError } from '../protocol/errors.ts';
import { keysAwayMs, keysPauseMs } from './key-patience.ts';
import type { ConnectionRecord } from './records.ts';
import { type Attempt, attemptRefresh, putOffWhileDown } from './refresh-attempt.ts';
import { type RefreshOutcome, settled } from './refresh-outcome.ts';
import { type Prospect, prospectOf } from './refresh-plan.ts';
import type { DueRefresh, RefreshTarget, RefreshView, Store } from './store.ts';
import { tracked } from './under-way.ts';
import type { World } from './world.ts';

export type { RefreshOutcome } from './refresh-outcome.ts';
export { connectionContext } from './refresh-plan.ts';
export type { RefreshTarget } from './store.ts';

/**
 * What refreshes, for the request path and for the jobs. Per token version there is one refresh, ever: the lease and the
 * intent are committed in one statement before anything is sent, the write is fenced by the version.
 */

/** How long a caller waits for a refresh of another process: a little more than the door's deadline. */
const patienceMs = 12_000;
/** How long a caller waits for all of it; the refresh itself goes on without a caller. */
const callerPatienceMs = 25_000;
/** The net under the notification that a refresh has ended. */
const pollMs = 250;

const shared = new WeakMap<Store, Map<string, Promise<RefreshOutcome>>>();

/** Refreshes the given version of a connection, or waits for whoever does. Callers of one process share one attempt. */
export function refreshConnection(world: World, target: RefreshTarget): Promise<RefreshOutcome> {
  const running = shared.get(world.store) ?? new Map<string, Promise<RefreshOutcome>>();
  shared.set(world.store, running);
  const key = `${target.id}/${target.token_version}`;
  const known = running.get(key);
  if (known !== undefined) return withPatience(world, known);
  const mine = tracked(world, claimOrWait(world, target)).finally(() => running.delete(key));
  running.set(key, mine);
  return withPatience(world, mine);
}

async function withPatience(world: World, refresh: Promise<RefreshOutcome>): Promise<RefreshOutcome> {
  const patience = new AbortController();
  const error = new GrantryError('unavailable', { detail: 'The refresh is not done yet.', retryAfterS: 5 });
  const tooLong = world.sleep(callerPatienceMs, patience.signal).then((): RefreshOutcome => ({ kind: 'failed', error }));
  return Promise.race([refresh, tooLong]).finally(() => patience.abort());
}

async function claimOrWait(world: World, target: RefreshTarget): Promise<RefreshOutcome> {
  const begunMs = world.elapsedMs();
  for (let waited = false; ; waited = true) {
    const view = await world.store.refreshes.read(target.id);
    const found = view?.connection.project_id === target.project_id ? view : undefined;
    const outcome = settled(found?.connection, target.token_version) ?? (found && failedMeanwhile(world, found, target));
    if (outcome !== undefined) {
      if (waited) world.meter.leaseWaited(world.elapsedMs() - begunMs);
      return outcome;
    }
    if (found !== undefined && !isLeased(found)) {
      const attempt = await attemptRefresh(world, await prospectOf(world, found));
      if (attempt.kind === 'later') return { kind: 'failed', error: attempt.error };
      if (attempt.kind !== 'overtaken') return attempt;
    }
    if (world.elapsedMs() - begunMs > patienceMs) {
      return { kind: 'failed', error: new GrantryError('provider_unavailable', { detail: 'Another refresh is still running.', retryAfterS: 5 }) };
    }
    await world.wakeups.wait(target.id, pollMs);
  }
}

/** Somebody else is at it: nothing to try. */
const isLeased = ({ connection, now }: RefreshView): boolean => connection.lease_until !== null && connection.lease_until.getTime() > now.getTime();

/** The one who had the lease has failed since the caller looked: its failure is ours too. */
function failedMeanwhile(world: World, { connection }: RefreshView, target: RefreshTarget): RefreshOutcome | undefined {
  return connection.failure_count > target.failure_count ? { kind: 'failed', error: failureOf(connection, world.now()) } : undefined;
}

const isErrorCode = (text: string): text is ErrorCode => Object.hasOwn(errorTable, text);

function failureOf({ last_error, retry_at }: ConnectionRecord, now: Date): GrantryError {
  const code = last_error?.code ?? '';
  const retryAfterS = Math.max(1, Math.ceil(((retry_at?.getTime() ?? 0) - now.getTime()) / 1000));
  return new GrantryError(isErrorCode(code) ? code : 'provider_unavailable', { retryAfterS });
}

/** A turn at a host of a provider, for background work. */
export type Turn = { kind: 'go'; release(): void } | { kind: 'later'; ms: number };

/**
 * Refreshes what a job names, if Postgres says that it is due; the payload is believed in nothing. Waits for nobody: a connection
 * that somebody else refreshes is done with, and one whose host has no time is handed out by the sweep again, later. Resolves with
 * the milliseconds after which it is due again when it was put off.
 *
 * @param takeTurn asks for a turn at the host, which has a share of this process only
 */
export async function refreshDue(world: World, due: DueRefresh, takeTurn: TakeTurn): Promise<number | undefined> {
  const view = await world.store.refreshes.read(due.connection_id);
  if (view === undefined || view.connection.token_version !== due.token_version || !isDue(view) || isLeased(view)) return undefined;
  const awayMs = await keysAwayMs(world, view);
  if (awayMs !== undefined) return keysAway(world, due, awayMs);
  let missing: unknown;
  const noted = (error: unknown): never => {
    missing = error;
    throw error;
  };
  try {
    const prospect = await prospectOf(world, view).catch(noted);
    return await refreshInTurn(world, due, { ...prospect, plan: () => prospect.plan().catch(noted) }, takeTurn);
  } catch (error) {
    // What the row is sealed with may be another data key than the one that seals now. Nothing was sent.
    if (error !== missing || !isGrantryError(error, 'unavailable')) throw error;
    return keysAway(world, due, keysPauseMs(world, view, (error.details.retryAfterS ?? 0) * 1000));
  }
}

async function keysAway(world: World, due: DueRefresh, ms: number): Promise<number> {
  world.meter.putOff('keys_away');
  await world.store.refreshes.postpone(due, ms);
  return ms;
}

type TakeTurn = (host: string) => Promise<Turn>;

async function refreshInTurn(world: World, due: DueRefresh, prospect: Prospect, takeTurn: TakeTurn): Promise<number | undefined> {
  const down = await putOffWhileDown(world, prospect);
  if (down !== undefined) return postponed(world, due, down);
  const turn: Turn = prospect.caller === undefined ? { kind: 'go', release() {} } : await takeTurn(prospect.caller.host);
  if (turn.kind === 'later') {
    world.meter.putOff('host_busy');
    await world.store.refreshes.postpone(due, turn.ms);
    return turn.ms;
  }
  try {
    return await postponed(world, due, await tracked(world, attemptRefresh(world, prospect, turn.release)));
  } finally {
    turn.release();
  }
}

async function postponed(world: World, due: DueRefresh, attempt: Attempt): Promise<number | undefined> {
  if (attempt.kind !== 'later') return undefined;
  await world.store.refreshes.postpone(due, attempt.ms);
  return attempt.ms;
}

function isDue({ connection: { refresh_due_at, status }, now }: RefreshView): boolean {
  return refresh_due_at !== null && refresh_due_at.getTime() <= now.getTime() && (status === 'active' || status === 'refresh_failing');
}
