/** Where queues live, and the settings with which BullMQ connects to it. */

export type Backend = { kind: 'redis' | 'postgres'; url: string };

/** Between attempts to reach a Redis that is away. */
const retryStrategy = (attempt: number): number => Math.min(attempt * 200, 2_000);

/** A worker's commands wait until Redis is back, as BullMQ asks of it; whoever adds work is told after a few attempts that Redis is away. */
export function redisConnections(url: string) {
  const shared = { url, retryStrategy, connectTimeout: 5_000, keepAlive: 10_000 };
  return { queue: { ...shared, maxRetriesPerRequest: 3 }, worker: { ...shared, maxRetriesPerRequest: null } };
}

/**
 * A schema of its own for the queues. BullMQ brings it up to date under an advisory lock of its own, so several processes may start at once.
 * It pins the search path in `options`, which an `options` in the URL would override: that one is handed over instead.
 */
export function postgresConnections(url: string) {
  const address = new URL(url);
  const options = address.searchParams.get('options');
  address.searchParams.delete('options');
  const shared = {
    connectionString: address.href,
    ...(options !== null && { options }),
    schema: 'bullmq',
    migrate: true,
    application_name: 'grantry-jobs',
    connectionTimeoutMillis: 5_000,
    query_timeout: 30_000,
    keepAlive: true,
  };
  return { queue: { ...shared, max: 1 }, worker: { ...shared, max: 2 } };
}
