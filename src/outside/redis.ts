import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

export type { Redis };

/** So long an answer is waited for: whoever asks goes on without it. */
const silenceMs = 1_000;

/**
 * A connection for what can be done without: a command fails at once while Redis is away, and soon while it is silent. Resolves when it is
 * there, or does not come soon.
 */
export async function openRedis({ url, onError }: { url: string; onError: (error: Error) => void }): Promise<{ redis: Redis; close(): void }> {
  const redis = new Redis(url, {
    connectTimeout: 5_000,
    commandTimeout: silenceMs,
    keepAlive: 10_000,
    enableOfflineQueue: false,
    // What was under way when the connection broke may have been counted.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt) => Math.min(attempt * 200, 2_000),
  });
  redis.on('error', onError);
  const waiting = new AbortController();
  const ready = once(redis, 'ready', { signal: waiting.signal }).catch(() => {});
  await Promise.race([ready, sleep(silenceMs, undefined, { ref: false })]);
  waiting.abort();
  return { redis, close: () => redis.disconnect() };
}
