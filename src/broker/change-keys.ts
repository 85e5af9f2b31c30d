import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import { fewAtOnce } from './few-at-once.ts';
import type { RotationChange, TakenRotation, WhichProjects } from './key-records.ts';
import { noteLeftOut, noteTurned } from './left-out.ts';
import type { DataKeyRecord, NewDataKey } from './seal.ts';
import type { World } from './world.ts';

/** The first step of a rotation: data keys are made and wrapped, project by project. */

/** The little of the world that it needs. */
type ChangingWorld = Pick<World, 'store' | 'keys' | 'log' | 'elapsedMs'>;

/** Renewed with each step, of which one may be several calls of a slow key service; whoever takes over waits so long. */
export const leaseS = 30;
const keysAtOnce = 50;
/** Projects whose own master keys are asked at a time. */
export const ownAtOnce = 8;

/** Another worker has it, or it was ended. */
export class Lost extends Error {}

/** A rotation in our hands; `leftOut`: what it has to leave out, in the words of a person. */
export type Taken = TakenRotation & { leftOut: string | null };

/** Writes down how far it is, and renews the lease. Throws `Lost`. */
export async function save(world: ChangingWorld, taken: Taken, change: RotationChange): Promise<void> {
  if (!(await world.store.rotations.save(taken, { problem: taken.leftOut, ...change }, leaseS))) throw new Lost();
}

/** The keys themselves, but for those of projects with a master key of their own: few, and each step is done once whoever does it. False when time was too short. */
export async function changeKeys(world: ChangingWorld, taken: Taken, untilMs: number): Promise<boolean> {
  const { keyUpkeep, dataKeys } = world.store;
  const { id } = taken.rotation;
  const projects = { allBut: [...world.keys.ownProjects] };
  for (let after = ''; ; ) {
    const old = await keyUpkeep.unturned(id, projects, { after, limit: keysAtOnce });
    for (const record of old) {
      // Its project took its own key away: no other one takes the place of that.
      if (world.keys.isForsaken(record)) continue;
      await keyUpkeep.turn(id, await world.keys.fresh(record.project_id));
      await save(world, taken, {});
      if (world.elapsedMs() > untilMs) return false;
    }
    after = old.at(-1)?.project_id ?? after;
    if (old.length < keysAtOnce) break;
  }
  const isInTime = await wrapAnew(world, { masterKey: await world.keys.masterKey(), projects, untilMs, keep: keeping(world, taken) });
  if (!isInTime) return false;
  // Last: until then, a start needs the former master key too.
  const stored = await dataKeys.canary();
  const canary = stored && (await world.keys.canary(stored));
  if (stored !== undefined && canary !== undefined) await keyUpkeep.replaceCanary(stored, canary);
  return true;
}

type Rewrapped = Pick<DataKeyRecord, 'wrapped' | 'wrapped_by'>;
/** Takes each data key that is wrapped anew; undefined: it does not open. */
type Keep = (record: DataKeyRecord, next: Rewrapped | undefined) => Promise<void>;
type Wrapping = { masterKey: string; projects: WhichProjects; untilMs: number; keep: Keep };

const keeping =
  (world: ChangingWorld, taken: Taken): Keep =>
  async (record, next) => {
    if (next !== undefined) await world.store.keyUpkeep.rewrap(record, next);
    else world.log.error({ data_key: record.kid, project: record.project_id }, 'a data key does not open; what is sealed with it is lost');
    await save(world, taken, {});
  };

/** False when time was too short. */
async function wrapAnew(world: ChangingWorld, { masterKey, projects, untilMs, keep }: Wrapping): Promise<boolean> {
  const { keyUpkeep } = world.store;
  for (let after = ''; ; ) {
    const others = await keyUpkeep.wrappedOtherwise(masterKey, projects, { after, limit: keysAtOnce });
    for (const record of others) {
      if (world.keys.isForsaken(record)) continue;
      await keep(record, await world.keys.rewrapped(record));
      if (world.elapsedMs() > untilMs) return false;
    }
    after = others.at(-1)?.kid ?? after;
    if (others.length < keysAtOnce) return true;
  }
}

/**
 * All that the keys of a project with a master key of its own need of that: its data keys wrapped anew, which go to `keep`, and then a new one.
 * Throws `unavailable`, and `integrity_error` also when its current data key does not open: who holds the master key is somebody else then, perhaps,
 * and nothing is entrusted to him.
 */
export async function ownKeysAnew(world: ChangingWorld, current: DataKeyRecord, keep: Keep = async () => {}): Promise<NewDataKey> {
  const { project_id: project } = current;
  const masterKey = await world.keys.masterKey(project);
  if (!(await world.keys.opens(current))) throw new GrantryError('integrity_error', { detail: 'its key does not open its data key' });
  await wrapAnew(world, { masterKey, projects: { only: project }, untilMs: Number.POSITIVE_INFINITY, keep });
  return world.keys.fresh(project);
}

/**
 * Each of these projects by itself: one whose key service is away is left out, and the rotation comes back to it. Its data key is turned last, so
 * that one that was turned has nothing left to do.
 */
export async function changeOwnKeys(world: ChangingWorld, taken: Taken): Promise<void> {
  const { keyUpkeep } = world.store;
  const { id } = taken.rotation;
  for (let after = ''; ; ) {
    const old = await keyUpkeep.unturned(id, { allBut: [] }, { after, limit: keysAtOnce });
    await fewAtOnce(old, ownAtOnce, async (current) => {
      const { project_id: project } = current;
      if (!world.keys.ownProjects.has(project)) return;
      try {
        await keyUpkeep.turn(id, await ownKeysAnew(world, current, keeping(world, taken)));
        noteTurned(world, project);
      } catch (error) {
        if (!isGrantryError(error, 'unavailable', 'integrity_error')) throw error;
        noteLeftOut(world, project, error);
      }
      await save(world, taken, {});
    });
    after = old.at(-1)?.project_id ?? after;
    if (old.length < keysAtOnce) return;
  }
}
