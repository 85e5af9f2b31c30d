import type { Log } from '../broker/world.ts';

/** A number that lives in Postgres or Redis, read when somebody looks; undefined when it cannot be read in time. */
export type Reading<T> = () => Promise<T | undefined>;

export type Pace = {
  elapsedMs: () => number;
  /** Resolves after so many milliseconds, or at once when the signal fires. */
  sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
};

/** So long an answer counts as fresh, however often it is looked at. */
const freshMs = 5_000;
/** So long a look waits. */
const patienceMs = 2_000;

/** Reads at most once in five seconds, and never a second time while the first is still under way: a server that hangs is not pressed. */
export function createReading<T>({ what, read, log, elapsedMs, sleep }: Pace & { what: string; read: () => Promise<T>; log: Log }): Reading<T> {
  let latest: { begunMs: number; isOver: boolean; value: Promise<T | undefined> } | undefined;
  let isMissing = false;

  function told(missing: boolean, error?: unknown): void {
    if (missing && !isMissing)
      log.warn({ what, error: error instanceof Error ? error.name : typeof error }, 'a metric cannot be read; it is left out');
    if (!missing && isMissing) log.info({ what }, 'the metric can be read again');
    isMissing = missing;
  }

  function begin(): NonNullable<typeof latest> {
    const value = Promise.resolve()
      .then(read)
      .finally(() => {
        begun.isOver = true;
      })
      .catch((error: unknown) => {
        told(true, error);
        return undefined;
      });
    const begun = { begunMs: elapsedMs(), isOver: false, value };
    return begun;
  }

  return async () => {
    if (latest === undefined || (latest.isOver && elapsedMs() - latest.begunMs >= freshMs)) latest = begin();
    const patience = new AbortController();
    const late = sleep(patienceMs, patience.signal).then(() => 'late' as const);
    const value = await Promise.race([latest.value, late]);
    patience.abort();
    if (value === 'late') {
      told(true, new DOMException('', 'TimeoutError'));
      return undefined;
    }
    if (value !== undefined) told(false);
    return value;
  };
}
