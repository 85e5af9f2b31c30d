/** Time that only moves when the simulation moves it: a queue of events, run in order, one at a time. */

/** One start of a process, from its begin to its crash. */
export type Life = {
  readonly name: string;
  alive: boolean;
  /** Stopped as by SIGSTOP: what is for it waits. */
  pausedUntilMs: number;
};

export type VirtualTime = {
  nowMs(): number;
  /** Runs `event` after so long: for a life, only if it lives then, and when it is not stopped. Returns what cancels it. */
  after(ms: number, event: () => void, life?: Life): () => void;
  /** Resolves after so long in virtual time. */
  sleep(ms: number, life?: Life, signal?: AbortSignal): Promise<void>;
  /** Runs all events up to this instant, and what they cause. */
  runUntil(ms: number): Promise<void>;
  /** How many events there were. */
  eventsRun(): number;
};

type Event = { atMs: number; order: number; run: () => void; life: Life | undefined; cancelled: boolean };

const isBefore = (a: Event, b: Event): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

/** A binary heap; the earliest event is the first. */
function createHeap() {
  const heap: Event[] = [];
  return {
    first: () => heap[0],
    push(event: Event): void {
      let at = heap.push(event) - 1;
      while (at > 0) {
        const above = (at - 1) >> 1;
        if (!isBefore(event, heap[above]!)) break;
        heap[at] = heap[above]!;
        at = above;
      }
      heap[at] = event;
    },
    pop(): void {
      const last = heap.pop()!;
      if (heap.length === 0) return;
      let at = 0;
      for (;;) {
        let below = 2 * at + 1;
        if (below >= heap.length) break;
        if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below += 1;
        if (!isBefore(heap[below]!, last)) break;
        heap[at] = heap[below]!;
        at = below;
      }
      heap[at] = last;
    },
  };
}

/** All that the last event set in motion has come to rest: promises run before the next turn of the loop, and nothing here waits for anything else. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

export function createVirtualTime(): VirtualTime {
  const heap = createHeap();
  let nowMs = 0;
  let order = 0;
  let eventsRun = 0;

  function after(ms: number, run: () => void, life?: Life): () => void {
    const event: Event = { atMs: nowMs + Math.max(0, ms), order: order++, run, life, cancelled: false };
    heap.push(event);
    return () => {
      event.cancelled = true;
    };
  }

  return {
    nowMs: () => nowMs,
    eventsRun: () => eventsRun,
    after,
    sleep: (ms, life, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted === true) return resolve();
        const cancel = after(ms, resolve, life);
        signal?.addEventListener('abort', () => {
          cancel();
          resolve();
        });
      }),
    async runUntil(endMs) {
      await settled();
      for (let event = heap.first(); event !== undefined && event.atMs <= endMs; event = heap.first()) {
        heap.pop();
        if (event.cancelled || event.life?.alive === false) continue;
        nowMs = event.atMs;
        if (event.life !== undefined && event.life.pausedUntilMs > nowMs) {
          event.atMs = event.life.pausedUntilMs;
          heap.push(event);
          continue;
        }
        eventsRun += 1;
        event.run();
        await settled();
      }
      nowMs = Math.max(nowMs, endMs);
    },
  };
}
