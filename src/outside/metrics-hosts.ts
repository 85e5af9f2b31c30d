import type { BreakerState } from '../broker/meter.ts';

type Ailing = Exclude<BreakerState, 'closed'>;

/** The provider hosts whose breaker is not closed, as this process has heard. */
export type AilingHosts = {
  note(host: string, state: BreakerState): void;
  counts(): Record<Ailing, number>;
  /** Those that have been open or on trial for longest; at most 50. */
  shown(): { host: string; state: Ailing }[];
};

const mostShown = 50;
const mostKnown = 10_000;
/** The broker forgets a host that nobody asked for in this time, without a word: so do we. An open one is tried every two minutes. */
const memoryMs = 600_000;

/** A host keeps its place from when it first opened until it closes. */
export function createAilingHosts(elapsedMs: () => number): AilingHosts {
  const hosts = new Map<string, { state: Ailing; heardMs: number }>();

  function forgetOld(): void {
    const nowMs = elapsedMs();
    for (const [host, { heardMs }] of hosts) if (nowMs - heardMs >= memoryMs) hosts.delete(host);
  }

  return {
    note(host, state) {
      if (state === 'closed') hosts.delete(host);
      else if (hosts.has(host) || hosts.size < mostKnown) hosts.set(host, { state, heardMs: elapsedMs() });
    },
    counts() {
      forgetOld();
      const counts = { open: 0, half_open: 0 };
      for (const { state } of hosts.values()) counts[state] += 1;
      return counts;
    },
    shown() {
      forgetOld();
      return [...hosts].slice(0, mostShown).map(([host, { state }]) => ({ host, state }));
    },
  };
}
