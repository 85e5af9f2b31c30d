import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Store } from '../../../src/broker/store.ts';
import { migrateDatabase, openPostgres, type Postgres } from '../../../src/outside/postgres/database.ts';
import { createStore } from '../../../src/outside/postgres/store.ts';
import { packageRoot } from '../../harness/broker.ts';
import { createTestDatabase, type TestDatabase } from '../../harness/database.ts';

/** Lists of which a few rows among very many are wanted. */

let database: TestDatabase;
let postgres: Postgres;
let store: Store;
let other: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase({ migrate: (url) => migrateDatabase(url, `${packageRoot}/drizzle`) });
  other = new pg.Client(database.url);
  await other.connect();
  await other.query(`insert into projects (id, name) values ('default', 'Default')`);
  await other.query(`insert into events (id, project_id, type, data) values ('evt_1', 'default', 'connection.created', '{}')`);
  await other.query(
    `insert into webhook_endpoints (id, project_id, url, event_types, secrets_sealed) values ('whe_1', 'default', 'https://x', '{}', 'sealed')`,
  );
  await other.query(
    `insert into webhook_deliveries (id, project_id, endpoint_id, event_id, event_type, status, next_attempt_at)
     select 'whd_' || lpad(n::text, 6, '0'), 'default', 'whe_1', 'evt_1', 'connection.created',
       case when n <= 2 then 'failed' when n = 3 then 'pending' when n = 4 then 'queued' else 'delivered' end, case when n in (3, 4) then now() end
     from generate_series(1, 20000) as n`,
  );
  await other.query('vacuum analyze webhook_deliveries');
  postgres = openPostgres({ url: database.url, max: 1, onError: () => {} });
  store = createStore(postgres);
});
afterAll(async () => {
  await other.end();
  await postgres.close();
  await database.drop();
});

/** How often the index was used; the one session for work in a project says at once what it has counted. */
async function usesOf(index: string): Promise<number> {
  await postgres.narrow.query('select pg_stat_force_next_flush()');
  const { rows } = await other.query<{ uses: number }>('select idx_scan::int as uses from pg_stat_user_indexes where indexrelname = $1', [index]);
  return rows[0]?.uses ?? Number.NaN;
}

test.each([
  { status: 'failed', index: 'webhook_deliveries_failed', ids: ['whd_000002', 'whd_000001'] },
  { status: 'pending', index: 'webhook_deliveries_due', ids: ['whd_000004', 'whd_000003'] },
] as const)('a few deliveries that are $status are found by their index, whatever is kept in mind of the plan', async ({ status, index, ids }) => {
  for (const mode of ['force_custom_plan', 'force_generic_plan']) {
    await postgres.narrow.query(`set plan_cache_mode = ${mode}`);
    const before = await usesOf(index);
    expect((await store.webhooks.listDeliveries('default', { status }, { limit: 50 })).items.map(({ id }) => id)).toEqual(ids);
    expect(await usesOf(index)).toBeGreaterThan(before);
  }
});

test('a list that takes too long says what to do, and not that Postgres is away', async () => {
  await postgres.pool.query('set statement_timeout = 100');
  await other.query('begin');
  await other.query('lock table connections in access exclusive mode');
  const refused = await store.connections.list('default', { unused_since: new Date() }, { limit: 50 }).catch((error: unknown) => error);
  await other.query('rollback');
  expect(refused).toMatchObject({ code: 'unavailable', details: { detail: expect.stringContaining('Add integration, end_user or organization') } });
  expect((await store.connections.list('default', { unused_since: new Date() }, { limit: 50 })).items).toEqual([]);
});
