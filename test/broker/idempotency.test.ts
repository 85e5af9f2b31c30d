import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keepHouse } from '../../src/broker/housekeeping.ts';
import { createGrantryClient } from '../../src/client/client.ts';
import { problemOf, startWholeSandbox } from '../harness/broker.ts';
import { ask, json } from '../web/api/ask.ts';
import { type Whole, withAuthorizationServer } from './connected.ts';

let world: Whole;

beforeAll(async () => {
  world = await startWholeSandbox();
  await withAuthorizationServer(world);
});
afterAll(() => world.stop());

const link = { integration: 'as', end_user: { id: 'u1' } };
const count = async (table: string) => Number((await world.sql(`select count(*) from ${table}`))[0]?.count);

test('a repeated call has one effect and the same answer, the URL of the link included', async () => {
  const before = await count('connect_links');
  const sent = { method: 'POST', path: '/v1/connect-links', key: world.broker.rootKey, ...json(link) };
  const first = await ask(world.url, { ...sent, headers: { ...sent.headers, 'idempotency-key': 'one' } });
  const again = await ask(world.url, { ...sent, headers: { ...sent.headers, 'idempotency-key': 'one' } });
  expect(first.status).toBe(201);
  expect([again.status, again.text]).toEqual([first.status, first.text]);
  expect(first.headers['idempotency-replayed']).toBeUndefined();
  expect(again.headers['idempotency-replayed']).toBe('true');
  expect(JSON.parse(first.text).url).toContain('/connect/');
  expect(await count('connect_links')).toBe(before + 1);
});

test('another body, address or order of use is not a repetition', async () => {
  const call = (body: object) => world.root.call('POST', '/v1/connect-links', { body, idempotencyKey: 'two' });
  await call(link);
  expect(await problemOf(call({ ...link, end_user: { id: 'u2' } }))).toMatchObject({ status: 422, code: 'idempotency_mismatch' });
  expect(await problemOf(world.root.call('POST', '/v1/api-keys', { body: { name: 'x', scopes: ['admin'] }, idempotencyKey: 'two' }))).toMatchObject({
    status: 422,
  });
});

test('calls at once have one effect; the others are told to wait', async () => {
  const before = await count('api_keys');
  const calls = Array.from({ length: 20 }, () =>
    world.root.call<{ key: string }>('POST', '/v1/api-keys', { body: { name: 'once', scopes: ['tokens'] }, idempotencyKey: 'three' }),
  );
  const outcomes = await Promise.allSettled(calls);
  const keys = new Set(outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value.key] : [])));
  expect(keys.size).toBe(1);
  for (const outcome of outcomes)
    if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ status: 409, code: 'idempotency_conflict', retryAfterS: 1 });
  expect(await count('api_keys')).toBe(before + 1);
});

test('keys of another project, or of another API key, are other keys', async () => {
  await world.root.call('POST', '/v1/projects', { body: { id: 'other', name: 'Other' } });
  const [one, two] = [await world.clientWith(['admin']), await world.clientWith(['admin'])];
  const other = createGrantryClient({ baseUrl: world.url, apiKey: world.broker.rootKey, project: 'other' });
  const ids = await Promise.all(
    [one, two, other, world.root].map((client) =>
      client.call<{ id: string }>('POST', '/v1/api-keys', { body: { name: 'y', scopes: ['tokens'] }, idempotencyKey: 'four' }),
    ),
  );
  expect(new Set(ids.map(({ id }) => id)).size).toBe(4);
});

test('a refused call may be sent again', async () => {
  const call = () =>
    world.root.call<{ id: string }>('POST', '/v1/connections', {
      body: { integration: 'machine', end_user: { id: 'u1' }, grant: 'client_credentials' },
      idempotencyKey: 'five',
    });
  expect(await problemOf(call())).toMatchObject({ status: 400 });
  const { client_id, client_secret } = world.sandbox.providers.authorizationServer.client;
  await world.root.call('POST', '/v1/integrations', { body: { id: 'machine', provider: 'sandbox-as', method: 'machine', client_id, client_secret } });
  const made = await call();
  expect(made.id).toMatch(/^con_/);
  expect(await call()).toEqual(made);
});

test('the kept answer is sealed, bound to its key, and gone after a day', async () => {
  const made = await world.root.call<{ key: string }>('POST', '/v1/api-keys', { body: { name: 'z', scopes: ['tokens'] }, idempotencyKey: 'six' });
  await world.root.call('POST', '/v1/api-keys', { body: { name: 'z', scopes: ['tokens'] }, idempotencyKey: 'seven' });
  const rows = JSON.stringify(await world.sql('select * from idempotency_keys'));
  expect(rows).not.toContain(made.key);
  expect(rows).not.toContain(Buffer.from(made.key).toString('base64').slice(4, 40));
  const guess = createHash('sha256')
    .update(JSON.stringify(['POST', '/v1/api-keys', { name: 'z', scopes: ['tokens'] }]))
    .digest();
  expect(await world.sql('select 1 from idempotency_keys where request_hash = $1', [guess])).toEqual([]);
  await world.sql(`update idempotency_keys set answer_sealed = (select answer_sealed from idempotency_keys where key = 'six') where key = 'seven'`);
  const moved = world.root.call('POST', '/v1/api-keys', { body: { name: 'z', scopes: ['tokens'] }, idempotencyKey: 'seven' });
  expect(await problemOf(moved)).toMatchObject({ status: 500, code: 'integrity_error' });
  await world.sql(`update idempotency_keys set created_at = now() - interval '25 hours'`);
  await keepHouse(world.broker.world);
  expect(await count('idempotency_keys')).toBe(0);
});

test('keys of a call that never ended are free again after two minutes', async () => {
  const insert = (age: string) =>
    world.sql(
      `insert into idempotency_keys (project_id, caller, key, request_hash, created_at) values ('default', 'root', $1, sha256($2), now() - $3::interval)`,
      ['eight', Buffer.from(JSON.stringify([world.broker.rootKey, 'POST', '/v1/connect-links', link])), age],
    );
  await insert('30 seconds');
  const call = () => world.root.call<{ id: string }>('POST', '/v1/connect-links', { body: link, idempotencyKey: 'eight' });
  expect(await problemOf(call())).toMatchObject({ status: 409, code: 'idempotency_conflict' });
  await world.sql(`update idempotency_keys set created_at = now() - interval '3 minutes' where key = 'eight'`);
  expect((await call()).id).toMatch(/^lnk_/);
});

test('only visible characters make a key, and only POST has one', async () => {
  for (const odd of ['', 'a b', 'x'.repeat(256), 'ü']) {
    const told = await ask(world.url, {
      method: 'POST',
      path: '/v1/connect-links',
      key: world.broker.rootKey,
      headers: { 'content-type': 'application/json', 'idempotency-key': odd },
      body: JSON.stringify(link),
    });
    expect([odd, told.status]).toEqual([odd, 400]);
  }
  expect((await ask(world.url, { path: '/v1/providers', key: world.broker.rootKey, headers: { 'idempotency-key': 'a b' } })).status).toBe(200);
});
