import type { Allowances, Limited, Limits, Standing } from '../broker/limits.ts';

/** Every window is a minute. */
export const windowS = 60;

/** So many names are remembered for each limit at least, and twice as many at most: then the older half is forgotten. */
const fewestNames = 25_000;

type Count = { used: number; endsMs: number };
type Generation = Map<string, Count>;

/** Fixed windows of a minute, each beginning with the first of its name. */
export function createLimits({ allowances, elapsedMs }: { allowances: Allowances; elapsedMs: () => number }): Limits {
  const counts: Record<Limited, { young: Generation; old: Generation }> = {
    calls: { young: new Map(), old: new Map() },
    wrong_keys: { young: new Map(), old: new Map() },
    pages: { young: new Map(), old: new Map() },
    unknown_callbacks: { young: new Map(), old: new Map() },
    links: { young: new Map(), old: new Map() },
  };
  /** The count of a name; a new one when its window is over. */
  function countOf(what: Limited, who: string, nowMs: number): Count {
    const { young, old } = counts[what];
    const found = young.get(who) ?? old.get(who);
    return found !== undefined && found.endsMs > nowMs ? found : { used: 0, endsMs: nowMs + windowS * 1_000 };
  }
  function keep(what: Limited, who: string, count: Count): void {
    const generations = counts[what];
    if (generations.young.size >= fewestNames) Object.assign(generations, { young: new Map(), old: generations.young });
    generations.young.set(who, count);
  }
  const standingOf = (kind: Standing['kind'], what: Limited, count: Count, nowMs: number): Standing => ({
    kind,
    allowance: allowances[what],
    windowS,
    left: Math.max(0, allowances[what] - count.used),
    resetS: Math.max(1, Math.ceil((count.endsMs - nowMs) / 1_000)),
  });
  return {
    take(what, who) {
      const nowMs = elapsedMs();
      const count = countOf(what, who, nowMs);
      if (count.used >= allowances[what]) return standingOf('refused', what, count, nowMs);
      count.used += 1;
      if (count.used === 1) keep(what, who, count);
      return standingOf('allowed', what, count, nowMs);
    },
    standing(what, who) {
      const nowMs = elapsedMs();
      const count = countOf(what, who, nowMs);
      return standingOf(count.used >= allowances[what] ? 'refused' : 'allowed', what, count, nowMs);
    },
    exhaust(what, who, seconds) {
      keep(what, who, { used: allowances[what], endsMs: elapsedMs() + seconds * 1_000 });
    },
  };
}
