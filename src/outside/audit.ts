import type { Audit, AuditEntry } from '../broker/audit.ts';
import { newId } from '../broker/ids.ts';
import type { AuditLog, PendingEntry } from '../broker/store.ts';
import type { Log } from '../broker/world.ts';
import { createAuditCounts } from './audit-counts.ts';

/**
 * The audit log as one process takes it down. Counts are gathered in memory and added up in Postgres every few seconds: a crash loses those of
 * the last seconds and nothing else. All that is kept here is bounded; what is beyond is still counted, without target and address.
 */

/** How long something may be under way before it is told as of unknown outcome; no call of the API takes so long. */
const begunForS = 120;
const batch = 500;
const mostKept = 10_000;
/** So long a written entry waits for others before they are chained together; what nobody here has written is chained by the housekeeping. */
const chainAfterMs = 200;
const closingMs = 4_000;

export type AuditOptions = {
  store: AuditLog;
  everyMs: number;
  /** Milliseconds since 1970. */
  now: () => number;
  log: Pick<Log, 'warn' | 'error'>;
};

const nameOf = (error: unknown) => ({ error: error instanceof Error ? error.name : typeof error });

/** `close` writes down what is left, for four seconds at most. */
export function createAudit({ store, everyMs, now, log }: AuditOptions): Audit & { close(): Promise<void> } {
  const counts = createAuditCounts(now);
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
