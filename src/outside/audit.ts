import type { Audit, AuditEntry, Counted } from '../broker/audit.ts';
import { newId } from '../broker/ids.ts';
import type { AuditLog, CountedEntry, PendingEntry } from '../broker/store.ts';
import type { Log } from '../broker/world.ts';

/**
 * The audit log as one process takes it down. Counts are gathered in memory and added up in Postgres every few seconds: a crash loses those of
 * the last seconds and nothing else. All that is kept here is bounded; what is beyond is still counted, without target and address.
 */

/** How long something may be under way before it is told as of unknown outcome; no call of the API takes so long. */
const begunForS = 120;
const batch = 500;
const mostKept = 10_000;
/** In all, and for strangers with wrong keys, who may have as many addresses as they like: distinct ones in a minute. */
const mostCounted = 100_000;
const mostStrangers = 1_000;
/** So long a written entry waits for others before they are chained together; what nobody here has written is chained by the housekeeping. */
const chainAfterMs = 200;
const closingMs = 4_000;

export type AuditOptions = {
  store: AuditLog;
  everyMs: number;
  now: () => Date;
  log: Pick<Log, 'warn' | 'error'>;
};

const nameOf = (error: unknown) => ({ error: error instanceof Error ? error.name : typeof error });

/** What is counted since the last time it was written. */
function createCounts(now: () => Date) {
  let counts = new Map<string, CountedEntry>();
  let minuteMs = 0;
  /** What has been counted in this minute, also if it was written since. */
  const known = { all: new Set<string>(), strangers: new Set<string>() };

  /** True when this one gets a row of its own. */
  function isTold(key: string, { action }: Counted): boolean {
    const names = action === 'auth.refused' ? known.strangers : known.all;
    if (names.has(key)) return true;
    if (names.size >= (names === known.strangers ? mostStrangers : mostCounted)) return false;
    names.add(key);
    return true;
  }

  function add(key: string, entry: CountedEntry): void {
    const found = counts.get(key);
    if (found === undefined) counts.set(key, entry);
    else found.count += entry.count;
  }

  const keyOf = (counted: Counted, atMs: number) =>
    `${counted.target_id}\n${counted.actor}\n${counted.address}\n${counted.action}\n${counted.project_id}\n${atMs}`;

  return {
    note(counted: Counted): void {
      const atMs = now().getTime();
      if (atMs - minuteMs >= 60_000 || atMs < minuteMs) {
        minuteMs = atMs - (atMs % 60_000);
        known.all.clear();
        known.strangers.clear();
      }
      const key = keyOf(counted, minuteMs);
      const found = counts.get(key);
      if (found !== undefined) found.count += 1;
      else if (isTold(key, counted)) counts.set(key, { ...counted, minute: new Date(minuteMs), count: 1 });
      else {
        const blurred = { ...counted, target_id: null, address: null };
        add(keyOf(blurred, minuteMs), { ...blurred, minute: new Date(minuteMs), count: 1 });
      }
    },
    take(): CountedEntry[] {
      const taken = [...counts.values()];
      counts = new Map();
      return taken;
    },
    /** While Postgres is away for long, what is of many minutes is bounded too. */
    giveBack(entries: readonly CountedEntry[]): void {
      for (const entry of entries) {
        const kept = counts.size < mostCounted ? entry : { ...entry, target_id: null, address: null };
        add(keyOf(kept, kept.minute.getTime()), kept);
      }
    },
  };
}

/** `close` writes down what is left, for four seconds at most. */
export function createAudit({ store, everyMs, now, log }: AuditOptions): Audit & { close(): Promise<void> } {
  const counts = createCounts(now);
  const kept = new Map<string, PendingEntry>();
  let chaining: Promise<void> | undefined;
  let chainNext: Promise<void> | undefined;
  let soon: NodeJS.Timeout | undefined;
  let flushing: Promise<void> | undefined;

  /** Everything that was written before the call is chained when it resolves; several calls share a turn. */
  function chain(): Promise<void> {
    clearTimeout(soon);
    soon = undefined;
    if (chaining === undefined) {
      chaining = store
        .chain()
        .then(() => {})
        .finally(() => {
          chaining = undefined;
        });
      return chaining;
    }
    chainNext ??= chaining
      .catch(() => {})
      .then(() => {
        chainNext = undefined;
        return chain();
      });
    return chainNext;
  }

  const chainQuietly = () => chain().catch((error: unknown) => log.warn(nameOf(error), 'the audit log could not be chained yet'));

  function chainSoon(): void {
    soon ??= setTimeout(() => {
      soon = undefined;
      void chainQuietly();
    }, chainAfterMs).unref();
  }

  function keep(pending: PendingEntry): void {
    if (kept.size < mostKept) kept.set(pending.id, pending);
    else log.error({ action: pending.entry.action }, 'an entry of the audit log is lost: too many wait for Postgres');
  }

  async function writeKept(): Promise<void> {
    for (const pending of [...kept.values()]) {
      await store.pend(pending);
      kept.delete(pending.id);
      chainSoon();
    }
  }

  async function writeCounts(): Promise<void> {
    const entries = counts.take();
    for (let from = 0; from < entries.length; from += batch) {
      try {
        await store.count(entries.slice(from, from + batch));
      } catch (error) {
        counts.giveBack(entries.slice(from));
        throw error;
      }
    }
  }

  /** One at a time. */
  function flush(): Promise<void> {
    flushing ??= writeKept()
      .then(writeCounts)
      .catch((error: unknown) => log.warn(nameOf(error), 'the audit log could not be written yet'))
      .finally(() => {
        flushing = undefined;
      });
    return flushing;
  }

  const timer = setInterval(() => void flush(), everyMs).unref();

  return {
    async begin(entry) {
      const id = newId('aud');
      await store.pend({ id, entry, dueInS: begunForS });
      return id;
    },
    async write(entry: AuditEntry, begun = newId('aud')) {
      const pending = { id: begun, entry, dueInS: 0 };
      try {
        await store.pend(pending);
        chainSoon();
      } catch (error) {
        log.warn(nameOf(error), 'an entry of the audit log is kept until Postgres is back');
        keep(pending);
      }
    },
    async forget(begun) {
      await store.forget(begun).catch((error: unknown) => log.warn(nameOf(error), 'an entry of the audit log could not be taken back'));
    },
    count: counts.note,
    chain,
    async close() {
      clearInterval(timer);
      clearTimeout(soon);
      let deadline: NodeJS.Timeout | undefined;
      const tooLong = new Promise<void>((resolve) => {
        deadline = setTimeout(resolve, closingMs);
      });
      // A flush under way has taken what it writes already; what came since needs one more.
      const rest = (flushing ?? Promise.resolve()).then(flush).then(chainQuietly);
      await Promise.race([tooLong, rest]).finally(() => clearTimeout(deadline));
    },
  };
}
