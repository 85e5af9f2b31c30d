import pg from 'pg';
import type { Log, Wakeups } from '../broker/world.ts';

/**
 * One listening connection per process: wakes callers that wait for a refresh of somebody else's. It is a comfort, not a
 * guarantee: while the connection is broken the callers' own timeouts wake them.
 */

const channel = 'grantry_refresh';

/** Connects and listens; comes back by itself, waiting up to 10 s between attempts. */
export async function createWakeups({ databaseUrl, log }: { databaseUrl: string; log: Log }): Promise<Wakeups & { close(): Promise<void> }> {
  const waiting = new Map<string, Set<() => void>>();
  let client: pg.Client | undefined;
  let retry: NodeJS.Timeout | undefined;
  let failures = 0;
  let closed = false;

  const wake = (id: string) => {
    for (const done of waiting.get(id) ?? []) done();
  };

  async function listen(): Promise<void> {
    const next = new pg.Client({ connectionString: databaseUrl, application_name: 'grantry-wakeups', keepAlive: true, connectionTimeoutMillis: 5_000 });
    const lost = () => {
      if (client !== next) return;
      client = undefined;
      again();
    };
    next.on('error', lost);
    next.on('end', lost);
    next.on('notification', ({ payload }) => payload !== undefined && wake(payload));
    client = next;
    try {
      await next.connect();
      await next.query(`listen ${channel}`);
      failures = 0;
    } catch {
      client = undefined;
      next.end().catch(() => {});
      again();
    }
  }

  function again(): void {
    if (closed) return;
    failures += 1;
    if (failures === 1) log.warn({}, 'the listening connection broke; waiting callers poll until it is back');
    clearTimeout(retry);
    retry = setTimeout(() => void listen(), Math.min(10_000, 100 * 2 ** failures));
    retry.unref();
  }

  await listen();

  return {
    wait: (id, timeoutMs) =>
      new Promise((resolve) => {
        const mine = waiting.get(id) ?? new Set();
        waiting.set(id, mine);
        const done = () => {
          clearTimeout(timer);
          mine.delete(done);
          if (mine.size === 0) waiting.delete(id);
          resolve();
        };
        const timer = setTimeout(done, timeoutMs);
        mine.add(done);
      }),
    async close() {
      closed = true;
      clearTimeout(retry);
      const last = client;
      client = undefined;
      for (const id of [...waiting.keys()]) wake(id);
      await last?.end().catch(() => {});
    },
  };
}
