import { isGrantryError } from '../protocol/errors.ts';
import { fewAtOnce } from './few-at-once.ts';
import type { RotationChange, RotationRecord, TakenRotation, WhichProjects } from './key-records.ts';
import type { World } from './world.ts';

/** The first step of a rotation: data keys are made and wrapped, project by project. */

/** The little of the world that it needs. */
type ChangingWorld = Pick<World, 'store' | 'keys' | 'log' | 'elapsedMs'>;

/** Renewed with each step, of which one may be several calls of a slow key service; whoever takes over waits so long. */
export const leaseS = 30;
const keysAtOnce = 50;
/** Projects whose own master keys are asked at a time. */
export const ownAtOnce = 8;
const mostNamed = 20;

/** Another worker has it, or it was ended. */
export class Lost extends Error {}

/** A rotation in our hands; `leftOut`: what it has to leave out, in the words of a person. */
export type Taken = TakenRotation & { leftOut: string | null };

/** Writes down how far it is, and renews the lease. Throws `Lost`. */
export async function save(world: ChangingWorld, taken: Taken, change: RotationChange): Promise<void> {
  if (!(await world.store.rotations.save(taken, { problem: taken.leftOut, ...change }, leaseS))) throw new Lost();
}

/** Undone work of a rotation, in the words of a person; null: none. */
export async function leftOut(world: ChangingWorld, { id, kind }: RotationRecord): Promise<string | null> {
  if (kind !== 'rotate') return null;
  const waiting = await world.store.keyUpkeep.unturned(id, { allBut: [] }, { after: '', limit: mostNamed });
  if (waiting.length === 0) return null;
  const names = waiting.map(({ project_id }) => project_id).join(', ');
  return `Left out for now, because their own master keys cannot be used: ${names}${waiting.length === mostNamed ? ' and perhaps more' : ''}. They follow by themselves.`;
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
  const isInTime = await wrapAnew(world, taken, { masterKey: await world.keys.masterKey(), projects, untilMs });
  if (!isInTime) return false;
  // Last: until then, a start needs the former master key too.
  const stored = await dataKeys.canary();
  const canary = stored && (await world.keys.canary(stored));
  if (stored !== undefined && canary !== undefined) await keyUpkeep.replaceCanary(stored, canary);
  return true;
}

type Wrapping = { masterKey: string; projects: WhichProjects; untilMs: number };

/** False when time was too short. */
async function wrapAnew(world: ChangingWorld, taken: Taken, { masterKey, projects, untilMs }: Wrapping): Promise<boolean> {
  const { keyUpkeep } = world.store;
  for (let after = ''; ; ) {
    const others = await keyUpkeep.wrappedOtherwise(masterKey, projects, { after, limit: keysAtOnce });
    for (const record of others) {
      if (world.keys.isForsaken(record)) continue;
      const next = await world.keys.rewrapped(record);
      if (next !== undefined) await keyUpkeep.rewrap(record, next);
      else world.log.error({ data_key: record.kid, project: record.project_id }, 'a data key does not open; what is sealed with it is lost');
      await save(world, taken, {});
      if (world.elapsedMs() > untilMs) return false;
    }
    after = others.at(-1)?.kid ?? after;
    if (others.length < keysAtOnce) return true;
  }
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
    await fewAtOnce(old, ownAtOnce, async ({ project_id: project }) => {
      if (!world.keys.ownProjects.has(project)) return;
      try {
        const masterKey = await world.keys.masterKey(project);
        await wrapAnew(world, taken, { masterKey, projects: { only: project }, untilMs: Number.POSITIVE_INFINITY });
        await keyUpkeep.turn(id, await world.keys.fresh(project));
      } catch (error) {
        if (!isGrantryError(error, 'unavailable', 'integrity_error')) throw error;
        world.log.warn({ rotation: id, project, code: error.code }, 'the keys of a project could not be changed; they follow later');
      }
      await save(world, taken, {});
    });
    after = old.at(-1)?.project_id ?? after;
    if (old.length < keysAtOnce) return;
  }
}
