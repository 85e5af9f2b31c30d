import { inject } from 'vitest';

/** The Redis of this test run. Database 0 is shared by all test files: use a key prefix of your own. Throws with the reason when there is none. */
export function testRedisUrl(): string {
  const redis = inject('redis');
  if ('missing' in redis) throw new Error(redis.missing);
  return redis.value;
}
