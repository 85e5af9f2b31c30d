import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { migrateDatabase } from '../../../src/outside/postgres/database.ts';
import { claimText, commitText, postponeText, readText } from '../../../src/outside/postgres/refresh-statements.ts';
import { refusedElsewhereText } from '../../../src/outside/postgres/refused-elsewhere.ts';
import { packageRoot } from '../../harness/broker.ts';
import { createTestDatabase, type TestDatabase } from '../../harness/database.ts';

/** How Postgres carries out the statements of the refresh engine where it knows nothing of the table yet: after an import, say. */

let database: TestDatabase;
let client: pg.Client;
const ids = Array.from({ length: 8_000 }, (_, n) => `con_${String(n).padStart(5, '0')}`);

beforeAll(async () => {
  database = await createTestDatabase({ migrate: (url) => migrateDatabase(url, `${packageRoot}/drizzle`) });
  client = new pg.Client(database.url);
  await client.connect();
  await client.query('alter table connections set (autovacuum_enabled = false)');
  await client.query(`insert into projects (id, name) values ('default', 'Default')`);
  await client.query(
    `insert into integrations (project_id, id, provider_id, method, client_id, scopes, callback, context, verification)
     values ('default', 'as', 'sandbox', 'web', 'client', '{}', 'shared', 'context', 'browser')`,
  );
  await client.query(
    `insert into connections (id, project_id, integration_id, provider_id, method, end_user, end_user_id, status, requested_scopes, scopes,
       credential_sealed, token_version, issued_at, expires_at, refreshable, refresh_due_at, metadata, extras)
     select id, 'default', 'as', 'sandbox', 'web', '{}', 'user of ' || id, 'active', '{}', '{}', repeat('x', 1500), 1, now(), now() + interval '1 hour', true,
       now() + interval '50 minutes', '{}', '{}' from unnest($1::text[]) as id`,
    [ids],
  );
});
afterAll(async () => {
  await client.end();
  await database.drop();
});

describe('a table without statistics', () => {
  const indexesOf = async (text: string): Promise<string[]> => {
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(`explain (generic_plan) ${text}`);
    return rows
      .flatMap(({ 'QUERY PLAN': line }) => / on connections c(?:_\d+)?\b/.exec(line) && [line.trim().replace(/ {2}\(cost.*/, '')])
      .filter((l) => l !== null);
  };

  test.each([
    ['read', readText],
    ['claim', claimText],
    ['commit', commitText],
    ['postpone', postponeText],
  ])('%s finds its rows by their key alone', async (_, text) => {
    const scans = (await indexesOf(text)).filter((line) => !line.includes('Update on'));
    expect(scans.length).toBeGreaterThan(0);
    expect([...new Set(scans.map((line) => /using (\w+)/.exec(line)?.[1] ?? line))]).toEqual(['connections_pkey']);
  });
});

test.each([
  ['refresh_read', readText, (): unknown[] => [ids.slice(0, 3)]],
  [
    'refresh_claim',
    claimText,
    (): unknown[] => [ids.slice(0, 3), Array(3).fill('default'), [1, 1, 1], Array.from({ length: 3 }, () => randomUUID()), [0, 0, 0]],
  ],
  ['refresh_postpone', postponeText, (): unknown[] => [ids.slice(0, 3), [1, 1, 1], [1, 1, 1]]],
])('the plan of %s is kept', async (name, text, values) => {
  for (let n = 0; n < 12; n += 1) await client.query({ name, text, values: values() });
  const { rows } = await client.query<{ generic: number; custom: number }>(
    'select generic_plans::int as generic, custom_plans::int as custom from pg_prepared_statements where name = $1',
    [name],
  );
  expect(rows).toEqual([{ generic: 7, custom: 5 }]);
});

test('whether others were refused is asked of the youngest connections of the integration alone', async () => {
  const read = async (): Promise<[string, number]> => {
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(`explain (analyze, timing off, costs off) ${refusedElsewhereText}`, [
      'default',
      'as',
      '2020-01-01',
      '',
    ]);
    const lines = rows.map((row) => row['QUERY PLAN']);
    const at = lines.findIndex((line) => line.includes(' on connections c'));
    expect(lines.filter((line) => line.includes('Rows Removed'))).toEqual([]);
    return [/using (\w+)/.exec(lines[at] ?? '')?.[1] ?? '', Number(/rows=(\d+)/.exec(lines[at] ?? '')?.[1])];
  };
  expect(await read()).toEqual(['connections_integration', 2_000]);
  // Most of the table is this integration's, and the youngest connections are another's.
  await client.query(
    `insert into connections select (json_populate_record(c, json_build_object('id', 'con_x' || c.id, 'integration_id', 'beside'))).* from connections c
     where c.id < 'con_01000'`,
  );
  await client.query('analyze connections');
  expect(await read()).toEqual(['connections_integration', 2_000]);
});
