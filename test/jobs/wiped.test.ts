import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Jobs } from '../../src/jobs/start.ts';
import { serveHttp } from '../outside/local-servers.ts';
import { type Place, redisPlace } from './backends.ts';
import { patience, type Renewals, startRenewals } from './renewals.ts';

let broker: Renewals;
let redis: Place;
let jobs: Jobs | undefined;

beforeAll(async () => {
  broker = await startRenewals();
  redis = await redisPlace(7);
});
afterEach(async () => {
  await jobs?.stop();
  jobs = undefined;
});
afterAll(async () => {
  await redis.leave();
  await broker.stop();
});

describe.each([
  { name: 'Redis', redisUrl: () => redis.backend.url, wipe: () => redis.wipe() },
  { name: 'Postgres', redisUrl: () => undefined, wipe: wipePostgres },
])('on $name', ({ redisUrl, wipe }) => {
  test('due work that waits in a queue which is wiped is handed out again by the next sweep, and nothing is sent twice', async () => {
    const ids = await Promise.all(Array.from({ length: 8 }, () => broker.connect('web')));
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    broker.provider.before = () => gate;
    const asked = broker.provider.asked.length;
    const again = broker.again();
    await broker.makeDue(...ids);
    jobs = await broker.start({ redisUrl: redisUrl(), refreshConcurrency: 1 });
    // One is under way; seven wait in the queue, and no sweep would look at them for half a minute.
    await vi.waitFor(() => expect(broker.provider.asked.length).toBe(asked + 1), patience);
    const waiting = async () => (await jobs?.depths())?.find(({ queue }) => queue === 'refresh')?.waiting;
    await vi.waitFor(async () => expect(await waiting()).toBe(7), patience);
    await wipe();
    await vi.waitFor(() => expect(broker.again()).toBeGreaterThan(again), patience);
    const from = broker.sweeps.length;
    release();
    await vi.waitFor(async () => {
      const rows = await Promise.all(ids.map((id) => broker.row(id)));
      expect(rows.map(({ token_version, status }) => ({ token_version, status }))).toEqual(ids.map(() => ({ token_version: 2, status: 'active' })));
    }, patience);
    expect(broker.provider.asked.length).toBe(asked + 8);
    expect(broker.sweeps.slice(from).filter((handedOut) => handedOut > 0).length).toBeLessThanOrEqual(1);
  });

  test('webhooks that wait in it are handed out again, too, and each is sent once', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const heard: unknown[] = [];
    const receiver = await serveHttp(async (request, response) => {
      heard.push(request.headers['webhook-id']);
      await gate;
      response.writeHead(204).end();
    });
    const url = `http://127.0.0.1:${receiver.port}/`;
    const { id } = await broker.root.call<{ id: string }>('POST', '/v1/webhook-endpoints', { body: { url, event_types: ['connection.created'] } });
    await Promise.all(Array.from({ length: 60 }, () => broker.connect('web')));
    jobs = await broker.start({ redisUrl: redisUrl() });
    // More than a worker has slots: the others wait in the queue, and no sweep would look at them for a minute.
    const waiting = async () => (await jobs?.depths())?.find(({ queue }) => queue === 'webhooks')?.waiting;
    await vi.waitFor(async () => expect(await waiting()).toBeGreaterThan(0), patience);
    await vi.waitUntil(() => heard.length > 0, patience);
    const again = broker.again();
    await wipe();
    await vi.waitFor(() => expect(broker.again()).toBeGreaterThan(again), patience);
    release();
    const states = () =>
      broker.sql<{ status: string; count: number }>(
        'select status, count(*)::int as count from webhook_deliveries where endpoint_id = $1 group by status',
        [id],
      );
    await vi.waitFor(async () => expect(await states()).toEqual([{ status: 'delivered', count: 60 }]), patience);
    expect([heard.length, new Set(heard).size]).toEqual([60, 60]);
    await broker.root.call('DELETE', `/v1/webhook-endpoints/${id}`);
    await receiver.close();
  });
});

async function wipePostgres(): Promise<void> {
  const tables = await broker.sql<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'bullmq' and tablename <> 'migration'`,
  );
  for (const { name } of tables) await broker.sql(`delete from ${name}`);
}
