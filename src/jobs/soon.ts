import type { World } from '../broker/world.ts';

/** What many want done, each at some time: done once for all whose times lie close together. */
export type Soon = {
  /** Asks for it after so many milliseconds, or a little later. */
  within(ms: number): void;
  stop(): void;
};

/** Times within `apartMs` are one. `run` must not reject. */
export function createSoon({ elapsedMs, sleep, apartMs, run }: Pick<World, 'elapsedMs' | 'sleep'> & { apartMs: number; run: () => void }): Soon {
  /** Multiples of `apartMs`. */
  const times = new Set<number>();
  let armedMs = Infinity;
  let alarm = new AbortController();
  let stopped = false;

  function arm(): void {
    const firstMs = Math.min(...times);
    if (stopped || firstMs === armedMs) return;
    alarm.abort();
    alarm = new AbortController();
    armedMs = firstMs;
    if (firstMs !== Infinity) void ring(firstMs, alarm);
  }

  async function ring(atMs: number, { signal }: AbortController): Promise<void> {
    await sleep(Math.max(0, atMs - elapsedMs()), signal);
    if (signal.aborted) return;
    times.delete(atMs);
    run();
    arm();
  }

  return {
    within(ms) {
      times.add((Math.floor((elapsedMs() + ms) / apartMs) + 1) * apartMs);
      arm();
    },
    stop() {
      stopped = true;
      alarm.abort();
    },
  };
}
