import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { IntegrationRecord, NewEvent } from '../../../src/broker/records.ts';
import type { Store } from '../../../src/broker/store.ts';
import { migrateDatabase, openPostgres, type Postgres } from '../../../src/outside/postgres/database.ts';
import { createStore } from '../../../src/outside/postgres/store.ts';
import { packageRoot } from '../../harness/broker.ts';
import { createTestDatabase, type TestDatabase } from '../../harness/database.ts';

/** A registration that is mended, and the many connections that waited for it. */

let database: TestDatabase;
let postgres: Postgres;
let store: Store;
let other: pg.Client;
/** More than two batches of each kind. */
const each = 2_500;

beforeAll(async () => {
  database = await createTestDatabase({ migrate: (url) => migrateDatabase(url, `${packageRoot}/drizzle`) });
  other = new pg.Client(database.url);
  await other.connect();
  await other.query(`insert into projects (id, name) values ('default', 'Default')`);
  await other.query(
    `insert into integrations (project_id, id, provider_id, method, client_id, scopes, callback, context, verification)
     select 'default', id, 'sandbox', 'web', 'client', '{}', 'shared', id, 'browser' from unnest('{as,beside}'::text[]) as id`,
  );
  postgres = openPostgres({ url: database.url, max: 4, onError: () => {} });
  store = createStore(postgres);
});
afterAll(async () => {
  await other.end();
  await postgres.close();
  await database.drop();
});
beforeEach(async () => {
  await other.query('delete from connections');
  await other.query('delete from events');
  await other.query(`update integrations set status = 'misconfigured', trial_at = now()`);
  await other.query(
    `insert into connections (id, project_id, integration_id, provider_id, method, end_user, end_user_id, status, requested_scopes, scopes,
       credential_sealed, token_version, issued_at, expires_at, refreshable, refresh_due_at, put_off_since, retry_at, last_error, metadata, extras)
     select 'con_' || integration || kind || n, 'default', integration, 'sandbox', 'web', '{"id": "u"}', 'u',
       case when kind in ('refused', 'broken') then 'refresh_failing' else 'active' end, '{}', '{}', 'sealed', 1, now(), now() + interval '1 hour', true,
       now() + interval '5 minutes', case when kind = 'put_off' then now() - interval '1 hour' end,
       case when kind in ('refused', 'broken') then now() + interval '5 minutes' end,
       case kind when 'refused' then '{"code": "invalid_client"}'::jsonb when 'broken' then '{"code": "no_answer"}' end, '{}', '{}'
     from unnest('{as,beside}'::text[]) as integration, unnest('{put_off,refused,broken,well}'::text[]) as kind,
       generate_series(1, case when integration = 'as' and kind in ('put_off', 'refused') then $1::int else 3 end) as n`,
    [each],
  );
});

async function integration(): Promise<IntegrationRecord> {
  const found = await store.integrations.get('default', 'as');
  if (found === undefined) throw new Error('gone');
  return found;
}
const recovered: NewEvent = { project_id: 'default', type: 'integration.recovered', integration_id: 'as' };
const due = async () =>
  Object.fromEntries(
    (
      await other.query<{ kind: string; n: number }>(
        `select regexp_replace(id, '^con_|[0-9]+$', '', 'g') as kind, count(*)::int as n from connections
         where refresh_due_at <= now() + interval '1 second' and retry_at is null group by 1`,
      )
    ).rows.map(({ kind, n }) => [kind, n]),
  );

test('makes due all that waited for a registration, however many, and nothing else', async () => {
  await store.integrations.resume('default', 'as');
  expect(await due()).toEqual({ asput_off: each, asrefused: each });
  // Since when they wait stays noted: they are late all the same.
  expect((await store.refreshes.counts()).oldestOverdueS).toBeGreaterThan(3_000);
});

test('what it has reached stays so when it fails on the way', async () => {
  const lastOfThem = `select max(id) as id from connections where integration_id = 'as' and put_off_since is not null`;
  await other.query(`
    create function refuse() returns trigger language plpgsql as $$ begin
      if new.id = (${lastOfThem}) then raise 'no'; end if;
      return new;
    end $$`);
  await other.query('create trigger refuse before update on connections for each row execute function refuse()');
  await expect(store.integrations.resume('default', 'as')).rejects.toThrow();
  await other.query('drop trigger refuse on connections');
  expect(await due()).toEqual({ asput_off: 2_000 });
});

describe('the status of a registration', () => {
  test.each([
    { by: 'the provider', mend: async () => store.integrations.setStatus(await integration(), 'active', [recovered]) },
    {
      by: 'an admin',
      mend: async () => {
        const { secret_version } = await integration();
        return store.integrations.update('default', 'as', secret_version, { status: 'active', secret_version: secret_version + 1 }, [recovered]);
      },
    },
  ])('that $by mends is noted whatever holds up what waited', async ({ mend }) => {
    await other.query('begin');
    await other.query(`select 1 from connections where id = 'con_asput_off1' for update`);
    await mend();
    expect((await integration()).status).toBe('active');
    expect((await store.events.list('default', {}, { limit: 10 })).items.map(({ type }) => type)).toEqual(['integration.recovered']);
    await other.query('rollback');
  });
});
