import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestBroker, type TestBroker } from '../../harness/broker.ts';

/** The sweeps delete in batches, and find what they delete by an index. */

let broker: TestBroker;

beforeAll(async () => {
  broker = await startTestBroker();
});
afterAll(() => broker.stop());

test('settled refresh intents go in batches, and those of the version in use stay', async () => {
  await broker.sql(`insert into connections
    (id, project_id, integration_id, provider_id, method, end_user, end_user_id, status, requested_scopes, scopes, token_version, issued_at, refreshable, metadata, extras)
    select 'conn_1', id, 'i', 'p', 'm', '{}', 'u', 'active', '{}', '{}', 6000, now(), false, '{}', '{}' from projects limit 1`);
  await broker.sql(`insert into refresh_intents (connection_id, token_version, lease, outcome, sent_at)
    select 'conn_1', n, gen_random_uuid(), 'refreshed', now() - interval '2 days' from generate_series(1, 6000) n`);
  const { housekeeping } = broker.broker.world.store;
  const deleted = async () => (await housekeeping.sweep()).refresh_intents;
  expect([await deleted(), await deleted(), await deleted()]).toEqual([5000, 999, 0]);
  expect(await broker.sql('select token_version from refresh_intents')).toEqual([{ token_version: 6000 }]);
});

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
