import type { Counted } from '../broker/audit.ts';
import type { CountedEntry } from '../broker/store.ts';

/**
 * What is counted of the audit log and not written yet: by target, address, key and minute. The token path comes through here, so that
 * counting once more is two look-ups and no new text. All of it is bounded; what is beyond is still counted, without target and address.
 */

/** In all, and for strangers with wrong keys, who may have as many addresses as they like: distinct ones in a minute. */
const mostCounted = 100_000;
const mostStrangers = 1_000;

export type AuditCounts = {
  note(counted: Counted): void;
  /** All of it; counting begins anew. */
  take(): CountedEntry[];
  /** What was taken and could not be written. */
  giveBack(entries: readonly CountedEntry[]): void;
};

type Tally = Counted & { minuteMs: number; count: number };

const keyOf = ({ target_id, actor, address, action, project_id }: Counted): string => JSON.stringify([target_id, actor, address, action, project_id]);
const blurred = ({ project_id, actor, action }: Counted): Counted => ({ project_id, actor, action, target_id: null, address: null });

export function createAuditCounts(now: () => number): AuditCounts {
  let tallies = new Map<string | null, Map<string | null, Tally[]>>();
  let size = 0;
  let minuteMs = 0;
  /** What has been told apart in this minute, also if it was written since. */
  const known = { all: new Set<string>(), strangers: new Set<string>() };

  function find({ target_id, address, actor, action, project_id }: Counted, ofMs: number): Tally | undefined {
    const beside = tallies.get(target_id)?.get(address);
    if (beside === undefined) return undefined;
    for (const tally of beside)
      if (tally.actor === actor && tally.action === action && tally.minuteMs === ofMs && tally.project_id === project_id) return tally;
    return undefined;
  }

  function add(counted: Counted, ofMs: number, count: number): void {
    const found = find(counted, ofMs);
    if (found !== undefined) {
      found.count += count;
      return;
    }
    const { project_id, actor, action, target_id, address } = counted;
    const ofTarget = tallies.get(target_id) ?? new Map<string | null, Tally[]>();
    tallies.set(target_id, ofTarget);
    const beside = ofTarget.get(address) ?? [];
    ofTarget.set(address, beside);
    beside.push({ project_id, actor, action, target_id, address, minuteMs: ofMs, count });
    size += 1;
  }

  /** True when this one is told apart from others. */
  function isTold(counted: Counted): boolean {
    const isStranger = counted.action === 'auth.refused';
    const names = isStranger ? known.strangers : known.all;
    const key = keyOf(counted);
    if (names.has(key)) return true;
    if (names.size >= (isStranger ? mostStrangers : mostCounted)) return false;
    names.add(key);
    return true;
  }

  return {
    note(counted) {
      const nowMs = now();
      if (nowMs - minuteMs >= 60_000 || nowMs < minuteMs) {
        minuteMs = nowMs - (nowMs % 60_000);
        known.all.clear();
        known.strangers.clear();
      }
      const found = find(counted, minuteMs);
      if (found !== undefined) found.count += 1;
      else add(isTold(counted) ? counted : blurred(counted), minuteMs, 1);
    },
    take() {
      const taken = [...tallies.values()].flatMap((ofTarget) => [...ofTarget.values()].flat());
      tallies = new Map();
      size = 0;
      return taken.map(({ minuteMs: ofMs, ...tally }) => ({ ...tally, minute: new Date(ofMs) }));
    },
    giveBack(entries) {
      // While Postgres is away for long, what is of many minutes is bounded too.
      for (const { minute, count, ...counted } of entries) add(size < mostCounted ? counted : blurred(counted), minute.getTime(), count);
    },
  };
}
