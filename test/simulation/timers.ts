import type { VirtualTime } from './virtual-time.ts';

/** Whoever asks Node for a timer meanwhile gets one of virtual time. */
export async function withVirtualTimers<T>({ after }: VirtualTime, work: () => Promise<T>): Promise<T> {
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  const cancels = new Map<number, () => void>();
  let last = 0;
  const virtual = {
    setTimeout(run: () => void, ms = 0): number {
      cancels.set(++last, after(ms, run));
      return last;
    },
    clearTimeout(timer: number | undefined): void {
      cancels.get(timer ?? 0)?.();
      cancels.delete(timer ?? 0);
    },
  };
  Object.assign(globalThis, virtual);
  try {
    return await work();
  } finally {
    Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });
  }
}
