import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { Jobs } from '../../src/jobs/start.ts';
import { createChance } from '../fuzz/chance.ts';
import { testRedisUrl } from '../harness/redis.ts';
import { serveHttp } from '../outside/local-servers.ts';
import { holds, intervalOf, litter, mark, scheduleHolds, takeId } from './garbage.ts';
import { patience, type Renewals, startRenewals } from './renewals.ts';

/** Whoever can write to Redis decides nothing: what is due by Postgres is refreshed, and nothing else, and the process goes on. */

/** `npm run attacks:floods` puts ten thousand there. */
const count = Number(process.env.GRANTRY_GARBAGE ?? 500);
const seed = 1_517;
const queues = ['refresh', 'webhooks', 'maintenance'];
const everyMs = 200;

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

async function begin(): Promise<void> {
  jobs = await broker.start({ redisUrl, sweepEveryMs: everyMs });
  await broker.moreSweeps(1);
}

const versionOf = async (id: string) => (await broker.row(id)).token_version;

/** Waits for the refresh of one that is due; answers how many sweeps that took. */
async function refreshed(id: string): Promise<number> {
  const [version, from] = [await versionOf(id), broker.sweeps.length];
  await broker.makeDue(id);
  await vi.waitFor(async () => expect(await versionOf(id)).toBe(version + 1), patience);
  return broker.sweeps.length - from;
}

test(`${count} raw jobs of garbage in each queue (seed ${seed}): what is due is refreshed and sent, once, and the log stays short`, async () => {
  const heard: unknown[] = [];
  const receiver = await serveHttp((request, response) => {
    heard.push(request.headers['webhook-id']);
    response.writeHead(204).end();
  });
  const url = `http://127.0.0.1:${receiver.port}/`;
  const endpoint = await broker.root.call<{ id: string }>('POST', '/v1/webhook-endpoints', { body: { url, event_types: ['connection.created'] } });
  await begin();
  const [fromLine, asked] = [broker.logged.length, broker.provider.asked.length];
  const chance = createChance(seed);
  for (const queue of queues) await litter(redis, queue, count, chance);
  const due = await Promise.all(Array.from({ length: 5 }, () => broker.connect('web')));
  const sweeps = await Promise.all(due.map(refreshed));
  await vi.waitFor(() => expect(new Set(heard).size).toBe(due.length), patience);
  expect(broker.provider.asked.length).toBe(asked + due.length);
  expect(heard.length).toBe(due.length);
  expect(Math.max(...sweeps)).toBeLessThan(20);
  // A few for each look at a queue, however much lies in it.
  const lines = broker.logged.slice(fromLine).filter((line) => line.includes('"queue"'));
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.length).toBeLessThan(200);
  await broker.root.call('DELETE', `/v1/webhook-endpoints/${endpoint.id}`);
  await receiver.close();
});

test('a queue of which somebody has taken hold is emptied, and filled again', async () => {
  const id = await broker.connect('web');
  await begin();
  for (const { name, hold } of holds) {
    await hold(redis, 'refresh');
    expect([name, (await refreshed(id)) < 20]).toEqual([name, true]);
  }
});

test('that of the upkeep, too, and every schedule in it', async () => {
  const id = await broker.connect('web');
  await begin();
  for (const { hold } of holds.filter(({ name }) => /wait|meta|marker|repeat|paused/.test(name))) {
    await hold(redis, 'maintenance');
    await refreshed(id);
  }
  for (const { hold } of scheduleHolds) {
    await hold(redis, 'maintenance', 'sweep-refreshes');
    await refreshed(id);
    await vi.waitFor(async () => expect(await intervalOf(redis, 'maintenance', 'sweep-refreshes')).toBe(String(everyMs)), patience);
  }
});

test('a queue of which somebody took hold before the process began is emptied, too', async () => {
  for (const queue of queues) for (const { hold } of holds.filter(({ name }) => /meta|marker/.test(name))) await hold(redis, queue);
  await begin();
  expect(await refreshed(await broker.connect('web'))).toBeLessThan(20);
});

test('who takes the id of a job keeps it back for five minutes at most', async () => {
  const { world } = broker.broker;
  const { now } = world;
  let nowMs = Math.floor(Date.now() / 300_000) * 300_000 + 1_000;
  Object.assign(world, { now: () => new Date(nowMs) });
  const id = await broker.connect('web');
  await takeId(redis, 'refresh', `${id}-1-${Math.floor(nowMs / 300_000)}`);
  await begin();
  const from = broker.sweeps.length;
  await broker.makeDue(id);
  await vi.waitUntil(() => broker.sweeps.slice(from).includes(1), patience);
  await broker.moreSweeps(3);
  expect(await versionOf(id)).toBe(1);
  nowMs += 300_000;
  await refreshed(id);
  Object.assign(world, { now });
});
