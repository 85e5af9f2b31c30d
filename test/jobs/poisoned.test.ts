import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Jobs } from '../../src/jobs/start.ts';
import { createChance } from '../fuzz/chance.ts';
import { testRedisUrl } from '../harness/redis.ts';
import { holds, litter, mark } from './garbage.ts';
import { patience, type Renewals, startRenewals } from './renewals.ts';

/** Whoever can write to Redis decides nothing: what is due by Postgres is refreshed, and nothing else, and the process goes on. */

const jobsOfEach = Number(process.env.GRANTRY_GARBAGE ?? 300);
const queues = ['refresh', 'webhooks', 'maintenance'];

let broker: Renewals;
let redis: Redis;
let redisUrl: string;
let jobs: Jobs | undefined;
/** One that is never due. */
let calm: string;

beforeAll(async () => {
  broker = await startRenewals();
  redisUrl = `${testRedisUrl()}/2`;
  redis = new Redis(redisUrl);
  await redis.flushdb();
  calm = await broker.connect('web');
});
afterEach(async () => {
  await jobs?.stop();
  jobs = undefined;
  await redis.flushdb();
  expect(await broker.row(calm)).toMatchObject({ token_version: 1 });
  expect(broker.logged.join('')).not.toContain(mark);
  expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
});
afterAll(async () => {
  redis.disconnect();
  await broker.stop();
});

const versionOf = async (id: string) => (await broker.row(id)).token_version;
const refreshed = (id: string, version = 2) => vi.waitFor(async () => expect(await versionOf(id)).toBe(version), patience);

test(`${jobsOfEach} raw jobs of garbage in each queue: what is due is refreshed, once, and the log stays short`, async () => {
  const due = await Promise.all(Array.from({ length: 5 }, () => broker.connect('web')));
  jobs = await broker.start({ redisUrl });
  await broker.moreSweeps(1);
  const from = broker.logged.length;
  const asked = broker.provider.asked.length;
  const chance = createChance(1_517);
  for (const queue of queues) await litter(redis, queue, jobsOfEach, chance);
  const begun = performance.now(), sweeps = broker.sweeps.length;
  await broker.makeDue(...due);
  for (const id of due) await refreshed(id);
  console.log('took', performance.now() - begun, broker.sweeps.length - sweeps, broker.logged.slice(from));
  expect(broker.provider.asked.length).toBe(asked + due.length);
});

describe.each(queues)('the queue %s', (queue) => {
  test.each(holds)('is held: $name', async ({ hold }) => {
    const id = await broker.connect('web');
    jobs = await broker.start({ redisUrl });
    await broker.moreSweeps(1);
    const from = broker.logged.length;
    await hold(redis, queue);
    const begun = performance.now(), sweeps = broker.sweeps.length;
    await broker.makeDue(id);
    await refreshed(id);
    console.log('took', performance.now() - begun, broker.sweeps.length - sweeps, broker.logged.slice(from).map((l) => l.slice(40, 200)));
  });
});
