import { Redis } from 'ioredis';
import { expect, onTestFinished, test, vi } from 'vitest';
import { testRedisUrl } from '../harness/redis.ts';
import { type Place, postgresPlace, redisPlace } from './backends.ts';
import { counter, patience, startTrial } from './trial.ts';

async function trialAt(place: Place) {
  const trial = await startTrial(place);
  onTestFinished(async () => {
    await trial.clear();
    await trial.end();
  });
  return trial;
}

test('a Redis that evicts keys is warned of', async () => {
  const redis = new Redis(testRedisUrl());
  const before = await redis.config('GET', 'maxmemory-policy');
  onTestFinished(async () => {
    await redis.config('SET', 'maxmemory-policy', String(Object.values(before)[1]));
    redis.disconnect();
  });
  await redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
  const trial = await trialAt(await redisPlace(15));
  trial.keep(counter().run);
  await vi.waitFor(() => expect(trial.logged.join('')).toMatch(/"policy":"allkeys-lru".*noeviction/), patience);
});

test('every key of a queue on Redis carries the same hash tag', async () => {
  const trial = await trialAt(await redisPlace(15));
  const counted = counter();
  trial.keep(counted.run);
  await counted.more();
  const keys = [...(await trial.place.dump()).matchAll(/\["([^"]+)",/g)].map((match) => match[1]);
  expect(keys.length).toBeGreaterThan(2);
  expect(keys.filter((key) => !key?.startsWith('{grantry-trial}:'))).toEqual([]);
});

test('several that start at once on a fresh database make its schema without a fault', async () => {
  const trial = await trialAt(await postgresPlace());
  const counted = counter();
  for (let n = 0; n < 4; n += 1) trial.keep(counted.run);
  await counted.more(6);
  expect(trial.logged).toEqual([]);
  expect(await trial.place.count('trial')).toMatchObject({ schedules: 1 });
});

test('options in the URL of Postgres are kept, and the queue still has its schema', async () => {
  const place = await postgresPlace();
  const url = new URL(place.backend.url);
  url.searchParams.set('options', '-c statement_timeout=12345');
  const trial = await trialAt({ ...place, backend: { kind: 'postgres', url: url.href } });
  const counted = counter();
  trial.keep(counted.run);
  await counted.more();
  expect(trial.logged).toEqual([]);
  expect(await place.count('trial')).toMatchObject({ schedules: 1 });
});
