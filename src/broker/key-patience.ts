import { isGrantryError } from '../protocol/errors.ts';
import { putOffMs } from './put-off.ts';
import type { RefreshView } from './store.ts';
import type { World } from './world.ts';

/** Who holds the master key of one project may be away, or hang: what waits for that must not take the room of all others. */

/** A job that waits for a data key holds a slot. */
const patienceMs = 2_000;
const usualWaitMs = 5_000;

/** Sees to it that the project's data key is in memory. Resolves with the milliseconds after which to look again when it is not there soon. */
export async function keysAwayMs(world: World, view: RefreshView): Promise<number | undefined> {
  const patience = new AbortController();
  const ready = world.seal.ready(view.connection.project_id).then(
    () => undefined,
    (error: unknown) => {
      if (isGrantryError(error, 'unavailable')) return (error.details.retryAfterS ?? 0) * 1000;
      // Damage is a failure of the refresh itself, which tells of it.
      return undefined;
    },
  );
  const late = world.sleep(patienceMs, patience.signal).then(() => 0);
  const toldMs = await Promise.race([ready, late]).finally(() => patience.abort());
  return toldMs === undefined ? undefined : keysPauseMs(world, view, toldMs);
}

/** The milliseconds after which a refresh is looked at again whose keys are away. `toldMs`: how long to wait at least. */
export function keysPauseMs(world: Pick<World, 'random'>, view: RefreshView, toldMs: number): number {
  const chance = world.random(2).readUInt16BE(0) / 65_536;
  return putOffMs(view, Math.max(usualWaitMs, toldMs) * (1 + chance / 4), chance);
}
