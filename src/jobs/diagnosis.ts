import { Redis } from 'ioredis';
import type { Diagnosis } from '../broker/diagnosis.ts';
import { redisConnections } from './connections.ts';

/** Whether the Redis of the queues answers, and keeps what it is given. Asks over a connection of its own, for three seconds at most. */
export async function diagnoseRedis(url: string | undefined): Promise<Diagnosis> {
  const check = 'redis' as const;
  if (url === undefined) return { check, outcome: 'ok', what: 'There is none: the queues live in Postgres. A REDIS_URL would add pace.' };
  const { url: address, ...shared } = redisConnections(url).queue;
  const redis = new Redis(address, {
    ...shared,
    lazyConnect: true,
    connectTimeout: 3_000,
    commandTimeout: 3_000,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  redis.on('error', () => {});
  try {
    await redis.connect();
    const info = await redis.info();
    const version = /^redis_version:(\S+)/m.exec(info)?.[1] ?? 'unknown';
    const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
    if (policy !== undefined && policy !== 'noeviction')
      return {
        check,
        outcome: 'warning',
        what: `Redis ${version} drops keys when its memory is full (${policy}).`,
        advice: 'Set maxmemory-policy to noeviction: dropped jobs wait for the next sweep.',
      };
    return { check, outcome: 'ok', what: `Redis ${version} answers.` };
  } catch {
    return {
      check,
      outcome: 'failed',
      what: 'Redis does not answer.',
      advice: 'Look at REDIS_URL, at the server, and at what is between. Nothing is lost meanwhile; background refreshes wait.',
    };
  } finally {
    redis.disconnect();
  }
}
