import { createHash } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keepHouse } from '../../../src/broker/housekeeping.ts';
import { idFloor, newId } from '../../../src/broker/ids.ts';
import { startTestBroker, type TestBroker } from '../../harness/broker.ts';

/** The sweeps delete in batches, and find what they delete by an index. */

let broker: TestBroker;

const now = Date.now();
const daysAgo = (days: number) => new Date(now - days * 86_400_000);
const sweep = () => broker.broker.world.store.housekeeping.sweep({ eventsBefore: daysAgo(90), deliveriesBefore: daysAgo(30) });
const counted = async (table: string) => Number((await broker.sql<{ n: string }>(`select count(*) as n from ${table}`))[0]?.n);

beforeAll(async () => {
  broker = await startTestBroker();
});
afterAll(() => broker.stop());

test.each([
  ['connections', 'deleted_at', 'connections_deleted'],
  ['connect_links', 'finished_at', 'connect_links_finished'],
])('what is deleted from %s is found by the index on %s', async (table, column, index) => {
  const session = new pg.Client(broker.database.url);
  await session.connect();
  // An empty table is read whole by choice.
  await session.query('set enable_seqscan = off');
  const plan = await session.query<{ 'QUERY PLAN': string }>(
    `explain select id from ${table} where ${column} < now() - interval '30 days' limit 1000`,
  );
  await session.end();
  expect(plan.rows.map((line) => line['QUERY PLAN']).join('\n')).toContain(index);
});

/** Ids of one instant, as `newId` would have made them then. */
const idsOf = (date: Date, count: number, prefix: 'evt' | 'whd') =>
  Array.from({ length: count }, (_, n) => `${idFloor(prefix, date).slice(0, 20)}${String(n).padStart(10, '0')}`);

async function addEvents(date: Date, count: number): Promise<void> {
  await broker.sql(
    `insert into events (id, project_id, type, data, created_at) select id, 'default', 'connection.refreshed', '{}', $2 from unnest($1::text[]) id`,
    [idsOf(date, count, 'evt'), date],
  );
}

async function addDeliveries(date: Date, count: number, status: string, lastAttempt = date): Promise<void> {
  const suffix = `_${status}${lastAttempt.getTime()}`;
  await broker.sql(
    `insert into webhook_deliveries (id, project_id, endpoint_id, event_id, event_type, status, next_attempt_at, last_attempt_at, created_at)
     select d || $5, 'default', 'whe_1', e, 'connection.refreshed', $3, null, $4, $6 from unnest($1::text[], $2::text[]) as x(d, e)`,
    [idsOf(date, count, 'whd'), idsOf(date, count, 'evt'), status, lastAttempt, suffix, date],
  );
}

test('old events go in batches with their deliveries, newer ones stay; a sweep has an end', async () => {
  await broker.sql('delete from events');
  await broker.sql(
    `insert into webhook_endpoints (id, project_id, url, event_types, secrets_sealed) values ('whe_1', 'default', 'http://127.0.0.1:1', '{}', 'x')`,
  );
  await addEvents(daysAgo(91), 45_000);
  await addEvents(daysAgo(89), 700);
  await addEvents(daysAgo(1), 300);
  await addDeliveries(daysAgo(91), 500, 'pending');
  await addDeliveries(daysAgo(89), 40, 'pending');
  expect((await sweep()).events).toBe(40_000);
  expect((await sweep()).events).toBe(5_000);
  expect((await sweep()).events).toBe(0);
  expect([await counted('events'), await counted('webhook_deliveries')]).toEqual([1_000, 40]);
});

test('deliveries that have ended go after their time, and not those that are under way or were tried again since', async () => {
  await broker.sql('delete from webhook_deliveries');
  await addEvents(daysAgo(40), 3_000);
  await addDeliveries(daysAgo(40), 3_000, 'delivered');
  await addDeliveries(daysAgo(40), 10, 'failed');
  await addDeliveries(daysAgo(40), 20, 'failed', daysAgo(2));
  await addDeliveries(daysAgo(40), 30, 'pending');
  await addDeliveries(daysAgo(1), 40, 'delivered');
  expect((await sweep()).webhook_deliveries).toBe(3_010);
  expect((await sweep()).webhook_deliveries).toBe(0);
  expect(await counted('webhook_deliveries')).toBe(90);
  expect(await counted(`events where id < '${idFloor('evt', daysAgo(39))}' and id > '${idFloor('evt', daysAgo(41))}'`)).toBe(3_000);
});

test("how long events live is the caller's choice", async () => {
  await broker.sql('delete from events');
  await addEvents(daysAgo(8), 50);
  const { deleted } = await keepHouse(broker.broker.world, { eventRetentionDays: 9 });
  const before = await counted('events');
  expect((await keepHouse(broker.broker.world, { eventRetentionDays: 7 })).deleted.events).toBe(50);
  expect([deleted.webhook_deliveries, await counted('events')]).toEqual([0, before - 50]);
});

test.each([
  ['events', `id < '${idFloor('evt', new Date())}'`, 'events_pkey'],
  ['webhook_deliveries', `id < '${idFloor('whd', new Date())}' and status in ('delivered', 'failed')`, 'webhook_deliveries_pkey'],
])('old %s are found at the beginning of the primary key', async (table, condition, index) => {
  const session = new pg.Client(broker.database.url);
  await session.connect();
  await session.query('set enable_seqscan = off; set enable_bitmapscan = off');
  const plan = await session.query<{ 'QUERY PLAN': string }>(
    `explain select id from ${table} where ${condition} order by id limit 2000 for update skip locked`,
  );
  await session.end();
  const text = plan.rows.map((line) => line['QUERY PLAN']).join('\n');
  expect(text).toContain(`Index Scan using ${index}`);
  expect(text).not.toContain('Sort');
});

test("ids of a time sort at its floor or after it, and before the next millisecond's", () => {
  const before = new Date();
  const id = newId('evt');
  const after = new Date(Date.now() + 1);
  expect(id >= idFloor('evt', before)).toBe(true);
  expect(id < idFloor('evt', after)).toBe(true);
  expect(idFloor('evt', new Date(-1))).toBe(`evt_${'0'.repeat(26)}`);
  expect(idFloor('whd', before).length).toBe(id.length);
});

test('a code is known for a day: one of 23 hours ago is refused still, one of 25 hours ago is gone', async () => {
  const { ledger } = broker.broker.world.store;
  const hash = (code: string) => createHash('sha256').update(code).digest();
  for (const [code, hours] of [
    ['young', 23],
    ['old', 25],
  ] as const) {
    expect(await ledger.record(hash(code), `lnk_${code}`)).toBeUndefined();
    await broker.sql('update code_ledger set seen_at = now() - make_interval(hours => $2) where code_hash = $1', [hash(code), hours]);
  }
  expect((await sweep()).code_ledger).toBe(1);
  expect(await ledger.record(hash('young'), 'lnk_again')).toBe('lnk_young');
  expect(await ledger.record(hash('old'), 'lnk_again')).toBeUndefined();
});

test('counts of limits go when their window is over', async () => {
  await broker.sql(`insert into rate_counts select 'old:' || n, 1, extract(epoch from now()) * 1000 - 1 from generate_series(1, 5001) n`);
  await broker.sql(`insert into rate_counts values ('new', 1, extract(epoch from now()) * 1000 + 60000)`);
  expect((await sweep()).rate_counts).toBe(5_001);
  expect(await broker.sql(`select key from rate_counts where key like 'old:%' or key = 'new'`)).toEqual([{ key: 'new' }]);
});
