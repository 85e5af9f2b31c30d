import { setTimeout as sleep } from 'node:timers/promises';
import { createPostgresBackend, type JobsOptions, Queue, withBackend } from 'bullmq';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { postgresConnections } from '../../src/jobs/connections.ts';
import type { Jobs } from '../../src/jobs/start.ts';
import { type Place, redisPlace } from './backends.ts';
import { patience, type Renewals, startRenewals } from './renewals.ts';

let broker: Renewals;
let redis: Place;
let jobs: Jobs | undefined;

beforeAll(async () => {
  broker = await startRenewals();
  redis = await redisPlace(8);
});
beforeEach(async () => {
  broker.provider.answer = { status: 200 };
  broker.provider.before = async () => {};
  await broker.sql('update connections set refresh_due_at = null');
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
  { name: 'Redis', redisUrl: () => redis.backend.url },
  { name: 'Postgres', redisUrl: () => undefined },
])('on $name', ({ redisUrl }) => {
  const start = async (refreshConcurrency = 50) => {
    jobs = await broker.start({ redisUrl: redisUrl(), refreshConcurrency });
  };
  const asked = () => broker.provider.asked.length;
  const version = async (id: string) => (await broker.row(id)).token_version;
  const refreshed = (id: string, to = 2) => vi.waitFor(async () => expect(await version(id)).toBe(to), patience);

  test('what is due is refreshed by itself, once, and is due again before its end', async () => {
    const id = await broker.connect('web');
    await broker.makeDue(id);
    const before = asked();
    await start();
    await refreshed(id);
    await broker.moreSweeps(2);
    expect(asked()).toBe(before + 1);
    const { due_in_s, ends_in_s, status } = await broker.row(id);
    expect(status).toBe('active');
    expect(due_in_s).toBeGreaterThan(0);
    expect(due_in_s).toBeLessThan(ends_in_s ?? 0);
  });

  test('what finds no turn at its host is looked for when it is due again, not with the next regular sweep', async () => {
    const ids = await Promise.all(Array.from({ length: 12 }, () => broker.connect('web')));
    for (const id of ids) await broker.makeDue(id);
    broker.provider.before = () => sleep(1_300);
    // The first sweep comes at the start; the next one in an hour.
    jobs = await broker.start({ redisUrl: redisUrl(), refreshConcurrency: 8, sweepEveryMs: 3_600_000 });
    for (const id of ids) await refreshed(id);
    expect(broker.sweeps.length).toBeGreaterThan(1);
  }, 60_000);

  test('what the provider refuses to refresh early is due at its end and not before', async () => {
    const id = await broker.connect('early');
    await broker.makeDue(id);
    await start();
    await refreshed(id);
    const { due_in_s, ends_in_s } = await broker.row(id);
    expect(Math.round((due_in_s ?? 0) - (ends_in_s ?? 0))).toBe(0);
    const before = asked();
    await broker.moreSweeps(3);
    expect(asked()).toBe(before);
    await broker.sql(`update connections set expires_at = now() - interval '1 second', refresh_due_at = now() - interval '1 second' where id = $1`, [
      id,
    ]);
    await refreshed(id, 3);
  });

  test('a refresh token with an end of its own is renewed before it, however long the access token lives', async () => {
    const idle = await broker.connect('idle');
    const ending = await broker.connect('ending');
    const tenDays = 864_000;
    broker.provider.answer = { status: 200, fields: { expires_in: 10 * tenDays, refresh_expires_in: tenDays } };
    await broker.makeDue(idle, ending);
    await start();
    await Promise.all([refreshed(idle), refreshed(ending)]);
    expect(Math.round((await broker.row(idle)).due_after_issue_s ?? 0)).toBe(86_400);
    expect(Math.round((await broker.row(ending)).due_after_issue_s ?? 0)).toBe(tenDays * 0.9);
    await broker.makeDue(idle, ending);
    await Promise.all([refreshed(idle, 3), refreshed(ending, 3)]);
  });

  test('a token that is exchanged for the next one, and one that is asked for anew', async () => {
    const current = await broker.connect('current');
    const machine = await broker.connect('machine');
    expect(await broker.row(machine)).toMatchObject({ refreshable: true, due_in_s: expect.any(Number) });
    const before = asked();
    await broker.makeDue(current, machine);
    await start();
    await Promise.all([refreshed(current), refreshed(machine)]);
    const bodies = broker.provider.asked.slice(before).map((body) => Object.fromEntries(body));
    expect(bodies).toHaveLength(2);
    expect(bodies).toContainEqual(expect.objectContaining({ exchange: 'at-0' }));
    expect(bodies).toContainEqual(expect.objectContaining({ grant_type: 'client_credentials' }));
  });

  test('jobs that anybody put into the queue do nothing: the provider is asked for nothing that is not due', async () => {
    const notDue = await broker.connect('web');
    const due = await broker.connect('web');
    await start();
    await broker.moreSweeps(1);
    const before = asked();
    const queue = strangersQueue(redisUrl());
    const gone: JobsOptions = { removeOnComplete: true, removeOnFail: true };
    for (let n = 0; n < 1_000; n += 100) {
      await queue.addBulk(
        Array.from({ length: 100 }, (_, m) => ({ name: m % 7 === 0 ? `${n}-unknown` : 'refresh', data: garbage(n + m, notDue), opts: gone })),
      );
    }
    const left = async () =>
      Object.values(await queue.getJobCounts('waiting', 'active', 'delayed', 'prioritized')).reduce((sum, count) => sum + count, 0);
    await vi.waitFor(async () => expect(await left()).toBe(0), patience);
    await queue.close();
    expect(asked()).toBe(before);
    expect(await version(notDue)).toBe(1);
    await broker.makeDue(due);
    await refreshed(due);
    expect(asked()).toBe(before + 1);
  });

  test('an orderly stop ends what is under way, and the rest is done by whoever comes next', async () => {
    const ids = await Promise.all(Array.from({ length: 12 }, () => broker.connect('web')));
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    broker.provider.before = () => gate;
    const before = asked();
    await broker.makeDue(...ids);
    await start(4);
    await vi.waitFor(() => expect(asked()).toBeGreaterThan(before), patience);
    const stopped = jobs?.stop();
    release();
    await stopped;
    const sent = asked() - before;
    const rows = await Promise.all(ids.map((id) => broker.row(id)));
    expect(rows.filter((row) => row.refresh_lease !== null)).toEqual([]);
    expect(rows.filter((row) => row.token_version === 2)).toHaveLength(sent);
    expect(sent).toBeLessThan(12);
    // Those that were handed out to the queue are there still; what it has forgotten would be due again in 30 s.
    await start(4);
    await Promise.all(ids.map((id) => refreshed(id)));
    expect(asked() - before).toBe(12);
  });

  test('after 429 with Retry-After nothing is sent before its time', async () => {
    const id = await broker.connect('web');
    broker.provider.answer = { status: 429, headers: { 'retry-after': '600' } };
    const before = asked();
    await broker.makeDue(id);
    await start();
    await vi.waitFor(async () => expect(await broker.row(id)).toMatchObject({ status: 'refresh_failing' }), patience);
    expect((await broker.row(id)).due_in_s).toBeGreaterThan(500);
    broker.provider.answer = { status: 200 };
    await broker.moreSweeps(3);
    expect(asked()).toBe(before + 1);
    await broker.makeDue(id);
    await refreshed(id);
  });
});

/** The queue, for somebody who got at the server. */
function strangersQueue(redisUrl: string | undefined): Pick<Queue, 'addBulk' | 'getJobCounts' | 'close'> {
  const prefix = '{grantry-refresh}';
  if (redisUrl !== undefined) return new Queue('refresh', { connection: { url: redisUrl }, prefix });
  const { Queue: QueueOnPostgres } = withBackend(createPostgresBackend);
  return new QueueOnPostgres('refresh', { connection: postgresConnections(broker.database.url).queue, prefix });
}

/** What a stranger might write: of every shape, and now and then nearly right. */
function garbage(n: number, notDue: string): unknown {
  const shapes = [
    () => ({ connection_id: notDue, token_version: 1 }),
    () => ({ connection_id: notDue, token_version: 2 + n }),
    () => ({ connection_id: `con_${n.toString(36).padStart(26, '0')}`, token_version: 1 }),
    () => ({ connection_id: notDue, token_version: '1' }),
    () => ({ connection_id: notDue, token_version: 1, project_id: 'other' }),
    () => ({ connection_id: { $ne: null }, token_version: { $gt: 0 } }),
    () => ({ connection_id: `${notDue}' or '1'='1`, token_version: 1 }),
    () => JSON.parse('{"__proto__":{"connection_id":"x"},"constructor":{"prototype":{}}}') as unknown,
    () => [notDue, 1],
    () => 'x'.repeat(1 + (n % 50) * 1_000),
    () => n,
    () => null,
    () => ({ connection_id: '\u0001', token_version: Number.MAX_SAFE_INTEGER }),
    () => ({ connection_id: notDue, token_version: 1e308 }),
  ];
  return shapes[n % shapes.length]?.();
}
