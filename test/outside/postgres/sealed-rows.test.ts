import { afterAll, beforeAll, expect, test } from 'vitest';
import { sealedTables } from '../../../src/broker/key-records.ts';
import type { Place } from '../../../src/broker/seal.ts';
import { generateKeyRing } from '../../../src/outside/key-ring.ts';
import { sealedShapes } from '../../../src/outside/postgres/sealed-rows.ts';
import { connect, type Whole, withAuthorizationServer } from '../../broker/connected.ts';
import { startWholeSandbox } from '../../harness/broker.ts';
import { fieldsByKey, quick, turnAll } from '../../rotation/broker.ts';

/** A sealed column that a rotation does not know of would be lost with the old key. */

let world: Whole;
beforeAll(async () => {
  const keys = generateKeyRing();
  world = await startWholeSandbox({ env: { GRANTRY_KEYS: keys }, adapt: quick(keys) });
  await withAuthorizationServer(world);
});
afterAll(() => world?.stop());

test('every sealed column of every table is gone through, in the order of the primary key', async () => {
  const columns = await world.sql<{ table_name: string; column_name: string }>(
    `select table_name, column_name from information_schema.columns where table_schema = 'public' and column_name like '%\\_sealed'`,
  );
  const known = sealedTables.flatMap((table) => sealedShapes[table].sealed.map((column) => `${table}.${column}`));
  expect(known.sort()).toEqual(columns.map((row) => `${row.table_name}.${row.column_name}`).sort());
  for (const table of sealedTables) {
    const primary = await world.sql<{ attname: string }>(
      `select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey) where i.indrelid = $1::regclass and i.indisprimary`,
      [table],
    );
    expect([table, ...primary.map(({ attname }) => attname).sort()]).toEqual(
      [table, ...sealedShapes[table].key].sort((a, b) => (a === table ? -1 : b === table ? 1 : a < b ? -1 : 1)),
    );
  }
});

test('a rotation seals each of them anew, at its place', async () => {
  const id = await connect(world);
  const gone = await connect(world, 'as', 'u2');
  const link = await world.root.createConnectLink({ integration: 'as', end_user: { id: 'u3' } });
  const hook = await world.root.call<{ id: string }>('POST', '/v1/webhook-endpoints', { body: { url: 'http://127.0.0.1:9/' } });
  const link2 = { integration: 'as', end_user: { id: 'u4' } };
  await world.root.call('POST', '/v1/connect-links', { body: link2, idempotencyKey: 'once' });
  world.sandbox.providers.authorizationServer.switches.revocationFault = { kind: 'down' };
  await world.root.call('DELETE', `/v1/connections/${gone}`);
  const [[integration], [connection], [answer]] = await Promise.all([
    world.sql<{ secret_version: number }>(`select secret_version from integrations where id = 'as'`),
    world.sql<{ token_version: number }>('select token_version from connections where id = $1', [id]),
    world.sql<{ caller: string }>(`select caller from idempotency_keys where key = 'once'`),
  ]);
  await world.sql('update connect_links set attempt = 3 where id = $1', [link.id]);
  const place = (table: string, row: string, field: string, version = 0): Place => ({ project: 'default', table, row, field, version });
  const secrets = integration?.secret_version ?? 0;
  const once = JSON.stringify([answer?.caller, 'once']);
  const fields: [table: string, column: string, where: string, value: string, place: Place][] = [
    ...(['client_secret', 'further_secrets', 'private_key', 'inputs'] as const).map((field): (typeof fields)[number] => [
      'integrations',
      `${field}_sealed`,
      'id = $1',
      'as',
      place('integrations', 'as', field, secrets),
    ]),
    ['connections', 'credential_sealed', 'id = $1', id, place('connections', id, 'credential', connection?.token_version)],
    ['connections', 'inputs_sealed', 'id = $1', id, place('connections', id, 'inputs')],
    ['connect_links', 'inputs_sealed', 'id = $1', link.id, place('connect_links', link.id, 'inputs')],
    ['connect_links', 'pending_sealed', 'id = $1', link.id, place('connect_links', link.id, 'pending', 3)],
    ['connect_links', 'answer_sealed', 'id = $1', link.id, place('connect_links', link.id, 'answer', 3)],
    ['revocations', 'credential_sealed', 'connection_id = $1', gone, place('connections', gone, 'credential', 1)],
    ['revocations', 'inputs_sealed', 'connection_id = $1', gone, place('connections', gone, 'inputs')],
    ['webhook_endpoints', 'secrets_sealed', 'id = $1', hook.id, place('webhook_endpoints', hook.id, 'secrets', 1)],
    ['idempotency_keys', 'answer_sealed', 'key = $1', 'once', place('idempotency_keys', once, 'answer')],
  ];
  expect(fields.map(([table, column]) => `${table}.${column}`).sort()).toEqual(
    sealedTables.flatMap((table) => sealedShapes[table].sealed.map((column) => `${table}.${column}`)).sort(),
  );
  const { seal } = world.broker.world;
  for (const [table, column, where, value, at] of fields)
    await world.sql(`update ${table} set ${column} = $2 where ${where}`, [value, await seal.seal(at, `${table}.${column}`)]);
  const [old] = Object.keys(await fieldsByKey(world));
  await world.root.call('POST', '/v1/encryption/rotate');
  await turnAll(world.broker.world);
  const counts = await fieldsByKey(world);
  expect(Object.keys(counts)).toHaveLength(1);
  expect(counts[old ?? '']).toBeUndefined();
  for (const [table, column, where, value, at] of fields) {
    const [row] = await world.sql<{ sealed: string }>(`select ${column} as sealed from ${table} where ${where}`, [value]);
    expect(await seal.open(at, row?.sealed ?? '')).toBe(`${table}.${column}`);
  }
});
