import pg from 'pg';
import type { Log, Wakeups } from '../broker/world.ts';

/**
 * One listening connection per process: wakes callers that wait for a refresh of somebody else's, and whoever delivers webhooks. It is a
 * comfort, not a guarantee: while the connection is broken the callers' own timeouts wake them, and the sweep finds the webhooks.
 */

const channels = { refresh: 'grantry_refresh', webhooks: 'grantry_webhooks' };
const longestPauseMs = 10_000;

/**
 * Connects and listens. Never rejects: a Postgres that is away is tried again by itself, after up to 10 s; a connection that broke likewise.
 * `close` wakes whoever still waits.
 */
export async function createWakeups({ databaseUrl, log }: { databaseUrl: string; log: Log }): Promise<Wakeups & { close(): Promise<void> }> {
  const waiting = new Map<string, Set<() => void>>();
  const listeners = new Set<() => void>();
  /** The client that listens or is about to; another one's late events are nobody's business. */
  let client: pg.Client | undefined;
  let retry: NodeJS.Timeout | undefined;
  let failures = 0;

  const wake = (id: string) => {
    for (const done of waiting.get(id) ?? []) done();
  };

  async function listen(): Promise<void> {
    const next = new pg.Client({
      connectionString: databaseUrl,
      application_name: 'grantry-wakeups',
      connectionTimeoutMillis: 5_000,
      query_timeout: 5_000,
      // Without probes a connection that died silently would look alive for ever: nothing is ever sent on it.
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    });
    next.on('error', () => lost(next));
    next.on('end', () => lost(next));
    next.on('notification', ({ channel, payload }) => {
      if (channel === channels.webhooks) for (const tell of listeners) tell();
      else if (payload !== undefined) wake(payload);
    });
    client = next;
    try {
      await next.connect();
      await next.query(`listen ${channels.refresh}; listen ${channels.webhooks}`);
    } catch {
      lost(next);
      return;
    }
    if (client !== next) return;
    if (failures > 0) log.info({}, 'the listening connection is back');
    failures = 0;
  }

  function lost(which: pg.Client): void {
    if (client !== which) return;
    client = undefined;
    which.end().catch(() => {});
    failures += 1;
    if (failures === 1) log.warn({}, 'the listening connection broke; waiting callers poll until it is back');
    retry = setTimeout(() => void listen(), Math.min(longestPauseMs, 100 * 2 ** failures));
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
    onWebhooks(listener, gatherMs) {
      let timer: NodeJS.Timeout | undefined;
      const tell = () => {
        timer ??= setTimeout(() => {
          timer = undefined;
          listener();
        }, gatherMs);
      };
      listeners.add(tell);
      return () => {
        clearTimeout(timer);
        listeners.delete(tell);
      };
    },
    async close() {
      clearTimeout(retry);
      const last = client;
      client = undefined;
      for (const id of [...waiting.keys()]) wake(id);
      await last?.end().catch(() => {});
    },
  };
}
