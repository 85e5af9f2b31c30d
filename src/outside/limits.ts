import type { Allowances, Limited, Limits } from '../broker/limits.ts';

const windowMs = 60_000;
/** So many names are remembered for each limit; the oldest is forgotten first. */
const mostNames = 50_000;

type Count = { used: number; endsMs: number };

/** Fixed windows of a minute, each beginning with the first of its name. */
export function createLimits({ allowances, elapsedMs }: { allowances: Allowances; elapsedMs: () => number }): Limits {
  const counts: Record<Limited, Map<string, Count>> = {
    calls: new Map(),
    wrong_keys: new Map(),
    pages: new Map(),
    unknown_callbacks: new Map(),
    links: new Map(),
  };
  const current = (what: Limited, who: string, nowMs: number): Count | undefined => {
    const found = counts[what].get(who);
    return found !== undefined && found.endsMs > nowMs ? found : undefined;
  };
  const waitS = ({ endsMs }: Count, nowMs: number) => Math.max(1, Math.ceil((endsMs - nowMs) / 1_000));
  return {
    take(what, who) {
      const nowMs = elapsedMs();
      const found = current(what, who, nowMs);
      if (found !== undefined) {
        if (found.used >= allowances[what]) return waitS(found, nowMs);
        found.used += 1;
        return undefined;
      }
      const names = counts[what];
      // Set anew, it is the youngest of the map: the first one is always the oldest.
      names.delete(who);
      const oldest = names.size >= mostNames ? names.keys().next().value : undefined;
      if (oldest !== undefined) names.delete(oldest);
      names.set(who, { used: 1, endsMs: nowMs + windowMs });
      return undefined;
    },
    spent(what, who) {
      if (counts[what].size === 0) return undefined;
      const nowMs = elapsedMs();
      const found = current(what, who, nowMs);
      return found !== undefined && found.used >= allowances[what] ? waitS(found, nowMs) : undefined;
    },
  };
}
