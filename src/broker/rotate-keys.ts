import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import { changeKeys, changeOwnKeys, Lost, leaseS, ownAtOnce, ownKeysAnew, save, type Taken } from './change-keys.ts';
import { fewAtOnce } from './few-at-once.ts';
import { newId } from './ids.ts';
import { type RotationRecord, sealedTables, type TableProgress } from './key-records.ts';
import { hasToWait, leftOut } from './left-out.ts';
import { resealSlice } from './reseal.ts';
import type { World } from './world.ts';

/**
 * Changes the keys while everything goes on: the master key wraps every data key anew, each project gets a new data key, and every row is
 * sealed with that. A worker does it bit by bit, and any other one goes on from where it was.
 */

/** The little of the world that it needs. */
export type TurningWorld = Pick<World, 'store' | 'seal' | 'keys' | 'log' | 'elapsedMs' | 'sleep' | 'random'>;

export type Pace = {
  /** How long to work at most. */
  ms: number;
  /** Fields sealed anew in a second. */
  rowsPerS: number;
  /** How long a retired data key is kept at least, for what a process may still hold that is sealed with it. */
  graceS: number;
};

/** So few that nobody waits for them. */
const mostRows = 200;
const saveEveryMs = 500;

/** Begins a rotation; the one that runs already when one does. */
export const beginRotation = (world: Pick<World, 'store'>): Promise<RotationRecord> => world.store.rotations.begin(newId('rot'));

/**
 * Works at the rotation that runs, if one does. Never rejects for what passes: a key service or a Postgres that is away is noted, and the
 * next call tries again.
 */
export async function turnKeys(world: TurningWorld, { ms, rowsPerS, graceS }: Pace): Promise<void> {
  await world.store.rotations.beginClearing(newId('rot'), graceS);
  const found = await world.store.rotations.take(world.random(16).toString('hex'), leaseS);
  if (found === undefined) return goBack(world);
  const taken: Taken = { ...found, leftOut: null };
  const untilMs = world.elapsedMs() + ms;
  try {
    await workAt(world, taken, { untilMs, rowsPerS, graceS });
    await world.store.rotations.save(taken, {}, 0);
  } catch (error) {
    if (error instanceof Lost) return;
    const code = isGrantryError(error) ? error.code : error instanceof Error ? error.name : typeof error;
    world.log.warn({ rotation: taken.rotation.id, code }, 'the rotation of the keys does not get on; it will be tried again');
    const problem = isGrantryError(error) ? error.message : 'Something went wrong on our side.';
    await world.store.rotations.save(taken, { problem }, 0).catch(() => {});
    if (!isGrantryError(error, 'unavailable')) throw error;
  }
}

type Work = { untilMs: number; rowsPerS: number; graceS: number };

async function workAt(world: TurningWorld, taken: Taken, work: Work): Promise<void> {
  let { phase } = taken.rotation;
  let { sinceKeysMs } = taken;
  if (phase !== 'keys') taken.leftOut = await leftOut(world, taken.rotation);
  if (phase === 'keys') {
    if (!(await changeKeys(world, taken, work.untilMs))) return;
    await changeOwnKeys(world, taken);
    taken.leftOut = await leftOut(world, taken.rotation);
    await save(world, taken, { phase: 'settling', keys_changed_at: 'now' });
    world.log.info({ rotation: taken.rotation.id }, 'there are new keys; what is sealed with the old ones is sealed anew in a moment');
    [phase, sinceKeysMs] = ['settling', 0];
  }
  if (phase === 'settling') {
    const restMs = world.keys.settleMs - sinceKeysMs;
    if (restMs > work.untilMs - world.elapsedMs()) return;
    await world.sleep(restMs);
    await save(world, taken, { phase: 'rows' });
    phase = 'rows';
  }
  if (phase === 'rows' && (await walkRows(world, taken, work))) await finish(world, taken, work);
}

/** When nothing runs: takes up what the last rotation had to leave out, as soon as there is a project whose own key can be used. */
async function goBack(world: TurningWorld): Promise<void> {
  const { rotations, keyUpkeep } = world.store;
  const last = await rotations.latest();
  if (last?.phase !== 'done' || last.problem === null) return;
  const usable: string[] = [];
  const waiting = await keyUpkeep.unturned(last.id, { allBut: [] }, { after: '', limit: 1_000 });
  const left = waiting.map(({ project_id }) => project_id);
  if (hasToWait(world, last, left)) return;
  await fewAtOnce(waiting, ownAtOnce, async (record) => {
    if (world.keys.isForsaken(record) || usable.length > 0) return;
    try {
      await ownKeysAnew(world, record);
      usable.push(record.project_id);
    } catch (error) {
      if (!isGrantryError(error, 'unavailable', 'integrity_error')) throw error;
    }
  });
  if (waiting.length === 0 || usable.length > 0) await rotations.reopen(last.id);
}

const untouched = (total: number): TableProgress => ({ total, done: 0, resealed: 0, damaged: 0, left: 0, after: null, ended: false });

/** False when time was too short. */
async function walkRows(world: TurningWorld, taken: Taken, { untilMs, rowsPerS }: Work): Promise<boolean> {
  const { rotation } = taken;
  if (rotation.rows_begun_at === null) {
    for (const table of sealedTables) rotation.walk[table] = untouched(await world.store.sealedRows.count(table));
    await save(world, taken, { walk: rotation.walk, rows_begun_at: 'now' });
  }
  const limit = Math.max(1, Math.min(mostRows, Math.ceil(rowsPerS / 4)));
  const kept = new Set(rotation.kept);
  const away = new Set<string>();
  let savedMs = world.elapsedMs();
  for (const table of sealedTables) {
    for (let progress = rotation.walk[table] ?? untouched(0); !progress.ended; ) {
      const begunMs = world.elapsedMs();
      const slice = await resealSlice(world, table, progress, { limit, away });
      const pauseMs = ((slice.progress.resealed - progress.resealed) / rowsPerS) * 1000 - (world.elapsedMs() - begunMs);
      progress = slice.progress;
      rotation.walk[table] = progress;
      for (const kid of slice.kept) kept.add(kid);
      const isOver = world.elapsedMs() + pauseMs > untilMs;
      if (progress.ended || isOver || world.elapsedMs() - savedMs > saveEveryMs) {
        await save(world, taken, { walk: rotation.walk, kept: [...kept] });
        savedMs = world.elapsedMs();
      }
      if (isOver) return sealedTables.every((each) => rotation.walk[each]?.ended === true);
      if (pauseMs > 0) await world.sleep(pauseMs);
    }
  }
  rotation.kept = [...kept];
  return true;
}

async function finish(world: TurningWorld, taken: Taken, { graceS }: Work): Promise<void> {
  const { rotation } = taken;
  await world.store.damagedSecrets.forgetMended(rotation.id);
  const destroyed = await world.store.keyUpkeep.destroyRetired(rotation.id, graceS, rotation.kept);
  const { leftOut: problem } = taken;
  await save(world, taken, { phase: 'done', finished_at: 'now', destroyed: rotation.destroyed + destroyed });
  const sum = (field: 'resealed' | 'damaged' | 'left') => sealedTables.reduce((total, table) => total + (rotation.walk[table]?.[field] ?? 0), 0);
  const report = { rotation: rotation.id, kind: rotation.kind, resealed: sum('resealed'), damaged: sum('damaged'), left: sum('left'), destroyed };
  const isWhole = report.damaged + report.left === 0 && problem === null;
  world.log[isWhole ? 'info' : 'warn']({ ...report, ...(problem !== null && { problem }) }, 'all rows were gone through');
}

/** Before the process does anything: a current data key whose master key is not there would be missed only when it is needed. Throws `integrity_error`. */
export async function checkMasterKeys(world: Pick<World, 'store'>, holds: (id: string) => boolean, name: string): Promise<void> {
  const missing = (await world.store.keyUpkeep.masterKeysInUse()).filter((id) => !holds(id));
  if (missing.length === 0) return;
  const detail = `Data keys are wrapped by ${missing.join(', ')}, which ${name} does not hold. Start with the former keys.`;
  throw new GrantryError('integrity_error', { detail });
}
