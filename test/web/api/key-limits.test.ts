import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGrantryClient, type GrantryClient } from '../../../src/client/client.ts';
import { endpoints } from '../../../src/web/api/router.ts';
import { connect, type Whole, withAuthorizationServer } from '../../broker/connected.ts';
import { problemOf, startWholeSandbox } from '../../harness/broker.ts';
import { ask, json, requestId } from './ask.ts';
import { bodies } from './samples.ts';

/** Keys that may touch one integration, or one end user, or be used from certain addresses; keys that take the place of others. */

type Made = { id: string; key: string; expires_at: string | null; limits: unknown };

let world: Whole;
let root: GrantryClient;
const connections: Record<string, string> = {};

beforeAll(async () => {
  world = await startWholeSandbox({ env: { TRUST_PROXY: '1' } });
  root = world.root;
  await withAuthorizationServer(world);
  const as = world.sandbox.providers.authorizationServer;
  const other = await root.call<{ redirect_uri: string }>('POST', '/v1/integrations', {
    body: { id: 'other', provider: 'sandbox-as', client_id: as.client.client_id, client_secret: as.client.client_secret },
  });
  as.registerRedirectUri(other.redirect_uri);
  for (const [integration, user] of [
    ['as', 'u1'],
    ['as', 'u2'],
    ['other', 'u1'],
  ] as const) {
    connections[`${integration} ${user}`] = await connect(world, integration, user);
  }
});
afterAll(() => world?.stop());

const make = (body: Record<string, unknown>, client = root) => client.call<Made>('POST', '/v1/api-keys', { body: { name: 'limited', ...body } });
const clientOf = ({ key }: { key: string }) => createGrantryClient({ baseUrl: world.url, apiKey: key });
async function limited(limits: Record<string, unknown>, scopes = ['connect', 'tokens']): Promise<GrantryClient & { key: string }> {
  const made = await make({ scopes, limits });
  return Object.assign(clientOf(made), { key: made.key });
}

describe.each([
  ['an integration', { integration: 'as' }, ['as u1', 'as u2']],
  ['an end user', { end_user: 'u1' }, ['as u1', 'other u1']],
  ['an end user at an integration', { integration: 'as', end_user: 'u1' }, ['as u1']],
] as const)('a key that is limited to %s', (_, limits, within) => {
  const beyond = () => Object.keys(connections).filter((name) => !within.includes(name as never));

  test('gets tokens and reads connections there', async () => {
    const { getToken, call } = await limited(limits);
    for (const name of within) {
      const id = connections[name] ?? '';
      expect((await getToken(id)).access_token).toMatch(/./);
      expect(await call('GET', `/v1/connections/${id}`)).toMatchObject({ id });
      expect(await call('GET', '/v1/events', { query: { connection_id: id } })).toMatchObject({ data: expect.arrayContaining([expect.anything()]) });
    }
  });

  test('finds in no call that names something what is beyond its reach', async () => {
    const { key } = await limited(limits);
    const links = await Promise.all(
      beyond().map(async (name) => {
        const [integration = '', user = ''] = name.split(' ');
        return (await root.createConnectLink({ integration, end_user: { id: user } })).id;
      }),
    );
    const named = endpoints.filter(({ path, scope }) => path.includes('/:id') && (scope === 'connect' || scope === 'tokens'));
    expect(named.length).toBeGreaterThan(9);
    for (const endpoint of named) {
      const isLink = endpoint.path.startsWith('/v1/connect-links');
      const body = bodies[`${endpoint.method} ${endpoint.path}`];
      const send = async (id: string) => {
        const { headers = {}, ...rest } = body === undefined ? {} : json(body);
        const path = endpoint.path.replace(':id', id);
        const { status, text } = await ask(world.url, {
          method: endpoint.method.toUpperCase(),
          path,
          key,
          headers: { ...headers, 'x-request-id': requestId },
          ...rest,
        });
        return { status, text };
      };
      const absent = await send(isLink ? 'lnk_00000000000000000000000000' : 'con_00000000000000000000000000');
      expect([endpoint.path, absent.status]).toEqual([endpoint.path, 404]);
      for (const id of isLink ? links : beyond().map((name) => connections[name] ?? ''))
        expect([endpoint.path, await send(id)]).toEqual([endpoint.path, absent]);
    }
    for (const name of beyond()) {
      expect(await root.call('GET', `/v1/connections/${connections[name]}`)).toMatchObject({ status: 'active' });
      expect(await problemOf(clientOf({ key }).call('GET', '/v1/events', { query: { connection_id: connections[name] ?? '' } }))).toMatchObject({
        status: 404,
      });
    }
  });

  test('lists what it reaches, and nothing when it asks for something else', async () => {
    const { call } = await limited(limits);
    const list = async (query: Record<string, string> = {}) =>
      (await call<{ data: { id: string }[] }>('GET', '/v1/connections', { query })).data.map(({ id }) => id).sort();
    expect(await list()).toEqual(within.map((name) => connections[name]).sort());
    for (const integration of ['as', 'other'] as const) {
      for (const end_user of ['u1', 'u2']) {
        const name = `${integration} ${end_user}`;
        expect([name, await list({ integration, end_user })]).toEqual([name, within.includes(name as never) ? [connections[name]] : []]);
      }
    }
    expect(await problemOf(call('GET', '/v1/events'))).toMatchObject({
      status: 403,
      problem: { detail: expect.stringContaining('name a connection_id') },
    });
  });

  test('makes links and connections there and nowhere else', async () => {
    const { call } = await limited(limits);
    const before = await world.sql('select count(*) from connect_links');
    for (const name of beyond()) {
      const [integration, user] = name.split(' ');
      const body = { integration, end_user: { id: user } };
      for (const [path, more] of [
        ['/v1/connect-links', {}],
        ['/v1/connections', { import: { access_token: 'at' } }],
      ] as const) {
        expect(await problemOf(call('POST', path, { body: { ...body, ...more } }))).toMatchObject({
          status: 403,
          code: 'forbidden',
          problem: { detail: expect.stringMatching(/^This API key is limited to the (integration "as"|end user "u1")/) },
        });
      }
    }
    expect(await world.sql('select count(*) from connect_links')).toEqual(before);
    const [integration, user] = (within[0] ?? '').split(' ');
    expect(await call('POST', '/v1/connect-links', { body: { integration, end_user: { id: user } } })).toMatchObject({ status: 'pending' });
    expect(await call('GET', '/v1/api-keys/current')).toMatchObject({ limits });
  });

  test('reaches nothing of the kind that is only for admins', async () => {
    const { key } = await limited(limits);
    for (const { path, scope, method } of endpoints.filter((endpoint) => endpoint.scope === 'admin' || endpoint.scope === 'root')) {
      const { status } = await ask(world.url, { method: method.toUpperCase(), path: path.replace(/:[a-z]+/g, 'as'), key });
      expect([method, path, scope, status]).toEqual([method, path, scope, 403]);
    }
  });
});

test('an answer that is repeated for an Idempotency-Key is not told to a key that may not ask for it', async () => {
  const made = await make({ scopes: ['connect'] });
  const body = { integration: 'as', end_user: { id: 'u2' } };
  await clientOf(made).call('POST', '/v1/connect-links', { body, idempotencyKey: 'again' });
  await root.call('PATCH', `/v1/api-keys/${made.id}`, { body: { limits: { end_user: 'u1' } } });
  expect(await problemOf(clientOf(made).call('POST', '/v1/connect-links', { body, idempotencyKey: 'again' }))).toMatchObject({ status: 403 });
  await root.call('PATCH', `/v1/api-keys/${made.id}`, { body: { limits: null } });
  expect(await clientOf(made).call('POST', '/v1/connect-links', { body, idempotencyKey: 'again' })).toMatchObject({ status: 'pending' });
});

describe('a key that is limited to addresses', () => {
  const from = (address: string, key: string, path = '/v1/api-keys/current') =>
    ask(world.url, { path, key, headers: { 'x-forwarded-for': address } });

  test('works from those, in every call', async () => {
    const { key } = await limited({ addresses: ['192.0.2.0/24', '2001:db8::/32', '198.51.100.7'] });
    const token = `/v1/connections/${connections['as u1']}/token`;
    for (const path of [undefined, token, '/v1/connections']) {
      for (const address of [
        '192.0.2.1',
        '192.0.2.255',
        '198.51.100.7',
        '2001:db8::1',
        '2001:0DB8:ffff::',
        '::ffff:192.0.2.9',
        '203.0.113.5, 192.0.2.1',
      ]) {
        expect([address, (await from(address, key, path)).status]).toEqual([address, 200]);
      }
      for (const address of [
        '192.0.3.1',
        '198.51.100.8',
        '2001:db9::1',
        '127.0.0.1',
        '',
        'unknown',
        '192.0.2.1, 203.0.113.5',
        '0xc0.0.2.1x',
        '<b>',
      ]) {
        const { status, text } = await from(address, key, path);
        expect([address, status]).toEqual([address, 403]);
        expect(text).toMatch(/"detail":"This API key may not be used from ([0-9a-f.:]+|this address)\."/);
      }
    }
  });

  test('makes no key that reaches further, and changes none so', async () => {
    const admin = await limited({ addresses: ['127.0.0.0/8', '::1'] }, ['admin']);
    const refused = { status: 400, problem: { errors: [{ pointer: '/limits/addresses' }] } };
    expect(await problemOf(make({ scopes: ['tokens'] }, admin))).toMatchObject(refused);
    for (const addresses of [['10.0.0.0/8'], ['127.0.0.1', '192.0.2.1'], ['0.0.0.0/0'], ['126.0.0.0/7'], ['::/0']]) {
      expect(await problemOf(make({ scopes: ['tokens'], limits: { addresses } }, admin))).toMatchObject(refused);
    }
    const narrow = await make({ scopes: ['tokens'], limits: { addresses: ['127.1.0.0/16', '127.0.0.1'] } }, admin);
    expect(narrow.limits).toEqual({ addresses: ['127.1.0.0/16', '127.0.0.1/32'] });
    expect(await problemOf(admin.call('PATCH', `/v1/api-keys/${narrow.id}`, { body: { limits: null } }))).toMatchObject(refused);
    const wide = await make({ scopes: ['admin'] });
    expect(await problemOf(admin.call('POST', `/v1/api-keys/${wide.id}/rotate`, { body: {} }))).toMatchObject({ status: 403 });
    expect(await clientOf(wide).call('GET', '/v1/integrations')).toMatchObject({ data: expect.any(Array) });
  });
});

test('limits that cannot be are refused with their place', async () => {
  const cases: [Record<string, unknown>, string[]][] = [
    [{ scopes: ['tokens'], limits: { addresses: [] } }, ['/limits/addresses']],
    [
      {
        scopes: ['tokens'],
        limits: {
          addresses: [
            '10.0.0.1/8',
            '10.0.0.0/8',
            '300.1.1.1',
            '1.2.3',
            '010.0.0.1',
            '0x7f.0.0.1',
            '::1%eth0',
            '10.0.0.0/33',
            '10.0.0.0/8/8',
            '10.0.0.0/08',
            '::/129',
            'example.com',
            '',
          ],
        },
      },
      [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map((index) => `/limits/addresses/${index}`),
    ],
    [{ scopes: ['tokens', 'admin'], limits: { integration: 'as' } }, ['/limits']],
    [{ scopes: ['admin'], limits: { end_user: 'u1' } }, ['/limits']],
    [{ scopes: ['tokens'], limits: { integration: 'nowhere' } }, ['/limits/integration']],
    [{ scopes: ['tokens'], limits: { project: 'x' } }, ['/limits/project']],
    [{ scopes: ['tokens'], limits: { end_user: '' } }, ['/limits/end_user']],
  ];
  for (const [body, pointers] of cases) {
    const { status, problem } = await problemOf(make(body));
    expect([body, status, (problem.errors as { pointer: string }[]).map(({ pointer }) => pointer)]).toEqual([body, 400, pointers]);
  }
  const admin = await make({ scopes: ['admin'] });
  expect(await problemOf(root.call('PATCH', `/v1/api-keys/${admin.id}`, { body: { limits: { end_user: 'u1' } } }))).toMatchObject({ status: 400 });
});

describe('rotation', () => {
  test('gives a key that may do the same; the old one ends with the overlap', async () => {
    const old = await make({ scopes: ['tokens'], limits: { end_user: 'u1' } });
    const next = await root.call<Made>('POST', `/v1/api-keys/${old.id}/rotate`, { body: { overlap: 2 } });
    expect(next).toMatchObject({ name: 'limited', scopes: ['tokens'], limits: { end_user: 'u1' }, expires_at: null, replaced_by: null });
    expect(next.key).not.toBe(old.key);
    const id = connections['as u1'] ?? '';
    await clientOf(next).getToken(id);
    await clientOf(old).getToken(id);
    expect(await root.call('GET', `/v1/api-keys/${old.id}`)).toMatchObject({ replaced_by: next.id, expires_at: expect.any(String) });
    expect(await problemOf(root.call('POST', `/v1/api-keys/${old.id}/rotate`, { body: {} }))).toMatchObject({ status: 409 });
    expect(await problemOf(root.call('PATCH', `/v1/api-keys/${old.id}`, { body: { expires_at: null } }))).toMatchObject({ status: 409 });
    await expect.poll(async () => (await problemOf(clientOf(old).getToken(id)).catch(() => undefined))?.status, { timeout: 10_000 }).toBe(401);
    await clientOf(next).getToken(id);
    expect(await problemOf(clientOf(next).getToken(connections['as u2'] ?? ''))).toMatchObject({ status: 404 });
  });

  test('at once with no overlap; an end before the overlap stays; a life as long as before', async () => {
    const old = await make({ scopes: ['tokens'] });
    await root.call('POST', `/v1/api-keys/${old.id}/rotate`, { body: { overlap: 0 } });
    expect(await problemOf(clientOf(old).getToken('con_x'))).toMatchObject({ status: 401 });
    const end = new Date(Date.now() + 600_000).toISOString();
    const brief = await make({ scopes: ['tokens'], expires_at: end });
    const next = await root.call<Made>('POST', `/v1/api-keys/${brief.id}/rotate`, { body: {} });
    expect(await root.call('GET', `/v1/api-keys/${brief.id}`)).toMatchObject({ expires_at: end });
    expect(Math.abs(Date.parse(next.expires_at ?? '') - Date.parse(end))).toBeLessThan(60_000);
  });

  test('at the same moment: one key follows', async () => {
    const old = await make({ scopes: ['tokens'] });
    const outcomes = await Promise.allSettled([1, 2, 3, 4, 5].map(() => root.call('POST', `/v1/api-keys/${old.id}/rotate`, { body: {} })));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('of a key that has ended, or of another project: no', async () => {
    const { id } = await make({ scopes: ['tokens'] });
    await world.sql(`update api_keys set expires_at = now() - interval '1 second' where id = $1`, [id]);
    expect(await problemOf(root.call('POST', `/v1/api-keys/${id}/rotate`, { body: {} }))).toMatchObject({ status: 409 });
    expect(await problemOf(root.call('PATCH', `/v1/api-keys/${id}`, { body: {} }))).toMatchObject({ status: 400 });
  });
});

test('the last use of a key is written in batches, and not by the call', async () => {
  const { id, key } = await make({ scopes: ['tokens'] });
  const seen = async () => (await root.call<{ last_used_at: string | null }>('GET', `/v1/api-keys/${id}`)).last_used_at;
  for (let n = 0; n < 5; n += 1) await clientOf({ key }).getToken(connections['as u1'] ?? '');
  expect(await seen()).toBeNull();
  await world.broker.world.store.apiKeys.used([id, 'root', 'key_gone']);
  const first = await seen();
  expect(first).not.toBeNull();
  await world.broker.world.store.apiKeys.used([id]);
  expect(await seen()).toBe(first);
});
