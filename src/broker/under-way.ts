import type { World } from './world.ts';

/** What goes on without anybody waiting for it, and has to end before the process does. */

type Owner = Pick<World, 'store'>;

const underWay = new WeakMap<World['store'], Set<Promise<unknown>>>();

/** Keeps the process from ending before it. */
export function tracked<T>({ store }: Owner, work: Promise<T>): Promise<T> {
  const all = underWay.get(store) ?? new Set();
  underWay.set(store, all);
  const mine: Promise<T> = work.finally(() => all.delete(mine));
  all.add(mine);
  return mine;
}

/** Resolves when no refresh of this process is under way any more, nor what follows from one: what a process waits for before it ends. */
export async function refreshesSettled({ store }: Owner): Promise<void> {
  const all = underWay.get(store) ?? new Set();
  // What ends may have begun something else.
  while (all.size > 0) await Promise.allSettled(all);
}
