import type { Log, Uses } from '../broker/world.ts';

/**
 * Which connections a token was handed out of, and which keys were used, gathered in memory and written down now and then: the token path
 * writes nothing. What is gathered is lost when the process crashes, and forgotten beyond a bound; what is in use is noted again soon.
 */

const mostGathered = 100_000;
const batch = 1_000;
/** So long a process that ends waits for its last uses to be written. */
const closingMs = 2_000;

export type UsesOptions = {
  flush(ids: readonly string[]): Promise<void>;
  everyMs: number;
  log: Pick<Log, 'warn'>;
};

/** `close` writes down what is left, for two seconds at most; nothing is written after it. */
export function createUses({ flush, everyMs, log }: UsesOptions): Uses & { close(): Promise<void> } {
  const gathered = new Set<string>();
  let running: Promise<void> | undefined;

  function note(id: string): void {
    if (gathered.size < mostGathered) gathered.add(id);
  }

  async function write(): Promise<void> {
    const ids = [...gathered];
    gathered.clear();
    for (let from = 0; from < ids.length; from += batch) {
      try {
        await flush(ids.slice(from, from + batch));
      } catch (error) {
        log.warn({ error: error instanceof Error ? error.name : typeof error }, 'what was used could not be written down yet');
        for (const id of ids.slice(from)) note(id);
        return;
      }
    }
  }

  /** One at a time. */
  function writeAlone(): Promise<void> {
    running ??= write().finally(() => {
      running = undefined;
    });
    return running;
  }

  const timer = setInterval(() => void writeAlone(), everyMs).unref();

  return {
    note,
    async close() {
      clearInterval(timer);
      let deadline: NodeJS.Timeout | undefined;
      const tooLong = new Promise<void>((resolve) => {
        deadline = setTimeout(resolve, closingMs);
      });
      await Promise.race([tooLong, (running ?? Promise.resolve()).then(writeAlone)]).finally(() => clearTimeout(deadline));
    },
  };
}
