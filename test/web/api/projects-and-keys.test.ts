import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGrantryClient, type GrantryClient } from '../../../src/client/client.ts';
import { type Whole, withAuthorizationServer } from '../../broker/connected.ts';
import { problemOf, startWholeSandbox } from '../../harness/broker.ts';

import { type Listed, type Shown, walk } from './walk.ts';

let world: Whole;
let root: GrantryClient;

beforeAll(async () => {
  world = await startWholeSandbox();
  root = world.root;
  await withAuthorizationServer(world);
});
afterAll(() => world.stop());

describe('projects', () => {
  test('are the root key’s to make and change, with return URLs letter by letter', async () => {
    const made = await root.call<Shown>('POST', '/v1/projects', { body: { id: 'shop', name: 'Shop', return_urls: ['https://shop.example/done'] } });
    expect(made).toEqual({ id: 'shop', name: 'Shop', return_urls: ['https://shop.example/done'], created_at: expect.any(String) });
    expect(await problemOf(root.call('POST', '/v1/projects', { body: { id: 'shop', name: 'Again' } }))).toMatchObject({
      status: 409,
      code: 'conflict',
      problem: { errors: [{ pointer: '/id' }] },
    });
    expect(await root.call('PATCH', '/v1/projects/shop', { body: { name: 'Shop 2' } })).toMatchObject({
      name: 'Shop 2',
      return_urls: ['https://shop.example/done'],
    });
    expect(await root.call('PATCH', '/v1/projects/shop', { body: { return_urls: [] } })).toMatchObject({ name: 'Shop 2', return_urls: [] });
    expect(await root.call('GET', '/v1/projects/shop')).toMatchObject({ id: 'shop', name: 'Shop 2' });
    const admin = await world.clientWith(['admin'], 'shop');
    for (const [method, path] of [
      ['GET', '/v1/projects'],
      ['GET', '/v1/projects/shop'],
      ['PATCH', '/v1/projects/shop'],
    ] as const) {
      expect(await problemOf(admin.call(method, path, method === 'PATCH' ? { body: {} } : {}))).toMatchObject({ status: 403, code: 'forbidden' });
    }
    const faults = [
      'http://shop.example/',
      '//shop.example',
      'https://a@shop.example/',
      'https://shop.example/#x',
      'javascript:alert(1)',
      'https://shop.example/a/../b',
      'https://shop.example:443/',
      '',
      'https://shop.example\\@evil.example/',
    ];
    for (const url of faults) {
      const refused = await problemOf(root.call('PATCH', '/v1/projects/shop', { body: { return_urls: ['https://ok.example/x', url] } }));
      expect([url, refused.status, refused.problem.errors]).toEqual([url, 400, [expect.objectContaining({ pointer: '/return_urls/1' })]]);
    }
  });

  test('are named by Grantry-Project; the default one when nothing is said', async () => {
    const shop = createGrantryClient({ baseUrl: world.url, apiKey: world.broker.rootKey, project: 'shop' });
    await shop.call('POST', '/v1/api-keys', { body: { name: 'in the shop', scopes: ['connect'] } });
    expect(JSON.stringify(await shop.call('GET', '/v1/api-keys'))).toContain('in the shop');
    expect(JSON.stringify(await root.call('GET', '/v1/api-keys'))).not.toContain('in the shop');
    const nowhere = createGrantryClient({ baseUrl: world.url, apiKey: world.broker.rootKey, project: 'nowhere' });
    expect(await problemOf(nowhere.call('GET', '/v1/api-keys'))).toMatchObject({ status: 404, problem: { detail: 'There is no such project.' } });
    expect(await problemOf(nowhere.getToken('con_x'))).toMatchObject({ status: 404 });
  });

  test('are deleted when nothing is connected in them, with all that is theirs, and their ids are not given again', async () => {
    const id = 'short-lived';
    await root.call('POST', '/v1/projects', { body: { id, name: 'Short' } });
    const inside = createGrantryClient({ baseUrl: world.url, apiKey: world.broker.rootKey, project: id });
    const { key } = await world.clientWith(['admin'], id);
    const admin = createGrantryClient({ baseUrl: world.url, apiKey: key });
    await admin.call('PUT', '/v1/providers/acme', {
      body: { id: 'acme', name: 'Acme', methods: { key: { grant: 'api_key', inputs: { api_key: { label: 'K', secret: true } } } } },
    });
    await admin.call('POST', '/v1/webhook-endpoints', { body: { url: 'http://127.0.0.1:9/' } });
    await admin.call('POST', '/v1/integrations', { body: { id: 'acme', provider: 'acme', client_id: 'c' }, idempotencyKey: 'one' });
    await admin.createConnectLink({ integration: 'acme', end_user: { id: 'u1' } });
    const connection = await admin.call<{ id: string }>('POST', '/v1/connections', {
      body: { integration: 'acme', end_user: { id: 'u1' }, grant: 'api_key', inputs: { api_key: 'k' } },
    });
    const remove = () => root.call('DELETE', `/v1/projects/${id}`);
    expect(await problemOf(admin.call('DELETE', `/v1/projects/${id}`))).toMatchObject({ status: 403 });
    expect(await problemOf(remove())).toMatchObject({ status: 409, problem: { detail: expect.stringContaining('delete those first') } });
    expect(await admin.call('GET', `/v1/connections/${connection.id}`)).toMatchObject({ status: 'active' });
    await admin.call('DELETE', `/v1/connections/${connection.id}`);
    expect(await problemOf(remove())).toMatchObject({ status: 409 });
    await admin.call('DELETE', '/v1/integrations/acme');
    await world.sql(
      `insert into revocations (connection_id, project_id, integration_id, credential_sealed, token_version, method, extras) values ('con_x', $1, 'acme', 'x', 1, 'key', '{}')`,
      [id],
    );
    expect(await problemOf(remove())).toMatchObject({ status: 409, problem: { detail: expect.stringContaining('try again later') } });
    await world.sql('delete from revocations where project_id = $1', [id]);

    // Whatever belongs to a project goes with it: a table that is added later is found here.
    const owned = await world.sql<{ name: string }>(
      `select c.table_name as name from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
       where c.column_name = 'project_id' and c.table_schema = 'public' and t.table_type = 'BASE TABLE' and c.table_name <> 'audit_log'`,
    );
    expect(owned.length).toBeGreaterThanOrEqual(11);
    const rows = async () => {
      const counts: Record<string, number> = {};
      for (const { name } of owned) {
        const [row] = await world.sql<{ n: number }>(`select count(*)::int as n from ${name} where project_id = $1`, [id]);
        if ((row?.n ?? 0) > 0) counts[name] = row?.n ?? 0;
      }
      return counts;
    };
    expect(Object.keys(await rows()).sort()).toEqual(
      expect.arrayContaining([
        'api_keys',
        'connect_links',
        'connections',
        'data_keys',
        'events',
        'idempotency_keys',
        'provider_versions',
        'webhook_deliveries',
      ]),
    );
    expect(await remove()).toBeUndefined();
    expect(await rows()).toEqual({});
    expect(await problemOf(remove())).toMatchObject({ status: 404 });
    expect(await problemOf(admin.call('GET', '/v1/integrations'))).toMatchObject({ status: 401 });
    expect(await problemOf(inside.call('GET', '/v1/integrations'))).toMatchObject({ status: 404 });
    expect(await problemOf(root.call('POST', '/v1/projects', { body: { id, name: 'Again' } }))).toMatchObject({
      status: 409,
      problem: { errors: [{ pointer: '/id' }], detail: expect.stringContaining('not given again') },
    });
    expect(await problemOf(root.call('DELETE', '/v1/projects/default'))).toMatchObject({ status: 409 });
  });

  test('page', async () => {
    for (const id of ['a-1', 'a-2', 'a-3']) await root.call('POST', '/v1/projects', { body: { id, name: id } });
    const all = await walk(root, '/v1/projects', 100);
    expect(await walk(root, '/v1/projects', 1)).toEqual(all);
    expect(await walk(root, '/v1/projects', 2)).toEqual(all);
    expect(new Set(all).size).toBe(all.length);
  });
});

describe('API keys', () => {
  test('are shown once and kept as SHA-256', async () => {
    const made = await root.call<{ id: string; key: string }>('POST', '/v1/api-keys', { body: { name: 'worker', scopes: ['tokens', 'tokens'] } });
    expect(made).toEqual({
      id: expect.stringMatching(/^key_/),
      name: 'worker',
      scopes: ['tokens'],
      limits: {},
      expires_at: null,
      replaced_by: null,
      last_used_at: null,
      created_at: expect.any(String),
      key: expect.stringMatching(/^grt_[0-9a-z]{26}_[A-Za-z0-9_-]{43}$/),
    });
    const [row] = await world.sql<{ key_hash: Buffer }>('select key_hash from api_keys where id = $1', [made.id]);
    expect(row?.key_hash.equals(createHash('sha256').update(made.key).digest())).toBe(true);
    const { data } = await root.call<Listed>('GET', '/v1/api-keys');
    expect(data.find(({ id }) => id === made.id)).not.toHaveProperty('key');
    expect(JSON.stringify(data)).not.toContain(made.key.slice(-43));
  });

  test('end when they are deleted, and at their time', async () => {
    const made = await root.call<{ id: string; key: string }>('POST', '/v1/api-keys', { body: { name: 'gone', scopes: ['admin'] } });
    const client = createGrantryClient({ baseUrl: world.url, apiKey: made.key });
    await client.call('GET', '/v1/integrations');
    expect(await root.call('DELETE', `/v1/api-keys/${made.id}`)).toBeUndefined();
    expect(await problemOf(client.call('GET', '/v1/integrations'))).toMatchObject({ status: 401 });
    expect(await problemOf(client.getToken('con_x'))).toMatchObject({ status: 401 });
    expect(await problemOf(root.call('DELETE', `/v1/api-keys/${made.id}`))).toMatchObject({ status: 404 });
    expect(
      await problemOf(root.call('POST', '/v1/api-keys', { body: { name: 'late', scopes: ['admin'], expires_at: '2020-01-01T00:00:00Z' } })),
    ).toMatchObject({ status: 400, problem: { errors: [{ pointer: '/expires_at' }] } });
    const soon = await root.call<{ key: string; expires_at: string }>('POST', '/v1/api-keys', {
      body: { name: 'soon', scopes: ['admin'], expires_at: new Date(Date.now() + 1_000).toISOString() },
    });
    await expect
      .poll(
        async () =>
          (await problemOf(createGrantryClient({ baseUrl: world.url, apiKey: soon.key }).call('GET', '/v1/integrations')).catch(() => undefined))
            ?.status,
        { timeout: 5_000 },
      )
      .toBe(401);
  });

  test('page, newest first', async () => {
    const all = await walk(root, '/v1/api-keys', 100);
    expect(all.length).toBeGreaterThan(1);
    expect(await walk(root, '/v1/api-keys', 1)).toEqual(all);
    expect([...all].sort().reverse()).toEqual(all);
  });
});

describe('lists', () => {
  test.each([
    '/v1/projects',
    '/v1/api-keys',
    '/v1/providers',
    '/v1/integrations',
    '/v1/connections',
    '/v1/events',
    '/v1/webhook-endpoints',
    '/v1/webhook-deliveries',
  ])('%s refuse limits and cursors that are none', async (path) => {
    for (const limit of ['0', '-1', '201', '1.5', 'x', '']) {
      expect(await problemOf(root.call('GET', path, { query: { limit } }))).toMatchObject({
        status: 400,
        problem: { errors: [{ pointer: '/limit' }] },
      });
    }
    for (const cursor of [
      '!',
      '%%',
      'Jw',
      Buffer.from("x' or '1'='1").toString('base64url'),
      Buffer.from([0, 1, 2]).toString('base64url'),
      Buffer.from('Ü').toString('base64url'),
      'x'.repeat(201),
      '',
    ]) {
      const refused = await problemOf(root.call('GET', path, { query: { cursor } }));
      expect([cursor, refused.status, refused.problem.errors]).toEqual([cursor, 400, [expect.objectContaining({ pointer: '/cursor' })]]);
    }
    const page = await root.call<{ data: unknown[] }>('GET', path, { query: { limit: 200 } });
    expect(page.data.length).toBeLessThanOrEqual(200);
    expect(page).toMatchObject({ next_cursor: page.data.length < 200 ? null : expect.any(String) });
  });
});
