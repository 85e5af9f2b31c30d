/** A pause before the next try, longer with each failure in a row: none after the first one, then 1, 3, 7, 15 ms and so on up to `longestMs`. */
export type GrowingPause = {
  /** To be called after each failure. */
  failed(): Promise<void>;
  succeeded(): void;
};

/** Makes one that has seen no failure yet. */
export function createGrowingPause({ longestMs, sleep }: { longestMs: number; sleep: (ms: number) => Promise<unknown> }): GrowingPause {
  let pauseMs = 0;
  return {
    async failed() {
      const ms = pauseMs;
      pauseMs = Math.min(longestMs, pauseMs * 2 + 1);
      if (ms > 0) await sleep(ms);
    },
    succeeded() {
      pauseMs = 0;
    },
  };
}
