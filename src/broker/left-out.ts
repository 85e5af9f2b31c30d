import type { GrantryError } from '../protocol/errors.ts';
import { createSeldom } from '../protocol/seldom.ts';
import type { KeyTurning, RotationRecord } from './key-records.ts';
import type { World } from './world.ts';

/** What a rotation has to leave out, because the master key of its project cannot be used: why, and when it is tried again. */

type LeavingWorld = Pick<World, 'store' | 'keys' | 'log' | 'elapsedMs'>;

/** An end of a rotation; `vain`: how many times it had been begun again for the same projects before. */
type Ending = { rotation: string; projects: string; endedMs: number; seenMs: number; vain: number };
/** What this process knows: another one may know nothing, and then tells less, or tries once more. */
type Memory = { whys: Map<string, string>; isNews(thing: string): boolean; ending: Ending | undefined };

const memories = new WeakMap<KeyTurning, Memory>();
const mostNamed = 20;
const firstPauseMs = 600_000;
const longestPauseMs = 3_600_000;

function memoryOf({ keys, elapsedMs }: LeavingWorld): Memory {
  const memory = memories.get(keys) ?? { whys: new Map(), isNews: createSeldom(elapsedMs), ending: undefined };
  memories.set(keys, memory);
  return memory;
}

/** The keys of a project could not be changed. */
export function noteLeftOut(world: LeavingWorld, project: string, { code, message }: GrantryError): void {
  const { whys, isNews } = memoryOf(world);
  // Who is away comes back; what does not open has to be looked at.
  if (code === 'integrity_error') whys.set(project, message.replace(/\.$/, ''));
  else whys.delete(project);
  if (isNews(`${project} ${code}`)) world.log.warn({ project, code }, 'the keys of a project could not be changed; they follow later');
}

export const noteTurned = (world: LeavingWorld, project: string): boolean => memoryOf(world).whys.delete(project);

/** Undone work of a rotation, in the words of a person; null: none. */
export async function leftOut(world: LeavingWorld, { id, kind }: RotationRecord): Promise<string | null> {
  if (kind !== 'rotate') return null;
  const waiting = await world.store.keyUpkeep.unturned(id, { allBut: [] }, { after: '', limit: mostNamed });
  if (waiting.length === 0) return null;
  const { whys } = memoryOf(world);
  const names = waiting.map(({ project_id: project }) => (whys.has(project) ? `${project} (${whys.get(project)})` : project)).join(', ');
  return `Left out for now, because their own master keys cannot be used: ${names}${waiting.length === mostNamed ? ' and perhaps more' : ''}. They follow by themselves.`;
}

/** Whether an ended rotation, which has left out these projects, is to wait: one that was begun again for them in vain does, longer each time. */
export function hasToWait(world: LeavingWorld, { id: rotation, finished_at }: RotationRecord, left: readonly string[]): boolean {
  const memory = memoryOf(world);
  const seenMs = world.elapsedMs();
  const endedMs = finished_at?.getTime() ?? 0;
  const projects = left.join(' ');
  const before = memory.ending?.rotation === rotation && memory.ending.projects === projects ? memory.ending : undefined;
  const ending = before?.endedMs === endedMs ? before : { rotation, projects, endedMs, seenMs, vain: before === undefined ? 0 : before.vain + 1 };
  memory.ending = ending;
  return ending.vain > 0 && seenMs - ending.seenMs < Math.min(longestPauseMs, firstPauseMs * 2 ** (ending.vain - 1));
}
