import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGrantryClient, type GrantryClient } from '../../../src/client/client.ts';
import { connect, type Whole, withAuthorizationServer } from '../../broker/connected.ts';
import { problemOf, startWholeSandbox } from '../../harness/broker.ts';

let world: Whole;
let root: GrantryClient;
type Shown = Record<string, unknown>;
type Listed<T = Shown> = { data: T[]; next_cursor: string | null };

beforeAll(async () => {
  world = await startWholeSandbox();
  root = world.root;
  await withAuthorizationServer(world);
});
afterAll(() => world.stop());

/** Every item, page by page. */
async function walk(client: GrantryClient, path: string, limit: number): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < 200; pages += 1) {
    const { data, next_cursor } = await client.call<Listed<{ id: string }>>('GET', path, { query: { limit, cursor } });
    expect(data.length).toBeLessThanOrEqual(limit);
    ids.push(...data.map(({ id }) => id));
    if (next_cursor === null) return ids;
    cursor = next_cursor;
  }
  throw new Error('no end');
}

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
      expires_at: null,
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
  test.each(['/v1/projects', '/v1/api-keys', '/v1/providers', '/v1/integrations', '/v1/connections', '/v1/events'])(
    '%s refuse limits and cursors that are none',
    async (path) => {
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
      expect(await root.call('GET', path, { query: { limit: 200 } })).toMatchObject({ next_cursor: null });
    },
  );
});

describe('providers', () => {
  const own = (change: object = {}) => ({
    ...JSON.parse(world.sandbox.providers.authorizationServer.definition),
    id: 'mine',
    name: 'Mine',
    ...change,
  });

  test('come as JSON or YAML, with versions', async () => {
    expect(await root.call('PUT', '/v1/providers/mine', { body: own() })).toMatchObject({ id: 'mine', source: 'own', version: 1 });
    const yaml = [
      'id: mine',
      'name: Mine in YAML',
      'methods:',
      '  web:',
      '    grant: authorization_code',
      '    authorization_endpoint: https://as.example.com/authorize',
      '    token_endpoint: https://as.example.com/token',
    ].join('\n');
    for (const [index, contentType] of ['application/yaml', 'text/yaml', 'application/x-yaml'].entries()) {
      expect(await root.call('PUT', '/v1/providers/mine', { body: yaml, contentType })).toMatchObject({
        name: 'Mine in YAML',
        version: index + 2,
        methods: [{ id: 'web', grant: 'authorization_code' }],
      });
    }
    expect(await root.call('GET', '/v1/providers/mine')).toMatchObject({ version: 4, definition: { name: 'Mine in YAML' } });
    const versions = await Promise.all(Array.from({ length: 8 }, () => root.call<{ version: number }>('PUT', '/v1/providers/mine', { body: own() })));
    expect(versions.map(({ version }) => version).sort((a, b) => a - b)).toEqual([5, 6, 7, 8, 9, 10, 11, 12]);
  });

  test('are refused with the pointer of each fault', async () => {
    const wrong = await problemOf(
      root.call('PUT', '/v1/providers/mine', {
        body: own({ nonsense: 1, methods: { web: { grant: 'authorization_code', token_endpoint: 'ftp://x' } } }),
      }),
    );
    expect(wrong).toMatchObject({ status: 400, code: 'invalid_definition' });
    expect((wrong.problem.errors as { pointer: string }[]).map(({ pointer }) => pointer)).toContain('/nonsense');
    expect(await problemOf(root.call('PUT', '/v1/providers/other', { body: own() }))).toMatchObject({
      status: 400,
      code: 'invalid_definition',
      problem: { errors: [{ pointer: '/id' }] },
    });
    expect(await problemOf(root.call('PUT', '/v1/providers/mine', { body: own({ name: 'a\u0000b' }) }))).toMatchObject({
      status: 400,
      code: 'invalid_definition',
    });
    expect(await problemOf(root.call('PUT', '/v1/providers/mine', { body: '{"id": "mine"', contentType: 'application/yaml' }))).toMatchObject({
      status: 400,
      code: 'invalid_definition',
    });
  });

  test('of our own shadow shipped ones, and give way when they are removed', async () => {
    const { data } = await root.call<Listed<{ id: string; source: string }>>('GET', '/v1/providers', { query: { limit: 200 } });
    const shipped = data.find(({ source }) => source === 'shipped')?.id ?? '';
    expect(await problemOf(root.call('DELETE', `/v1/providers/${shipped}`))).toMatchObject({ status: 404 });
    await root.call('PUT', `/v1/providers/${shipped}`, { body: own({ id: shipped }) });
    expect(await root.call('GET', `/v1/providers/${shipped}`)).toMatchObject({ source: 'own', version: 1, name: 'Mine' });
    const elsewhere = await world.clientWith(['connect'], 'shop');
    expect(await elsewhere.call('GET', `/v1/providers/${shipped}`)).toMatchObject({ source: 'shipped', version: null });
    await root.call('DELETE', `/v1/providers/${shipped}`);
    expect(await root.call('GET', `/v1/providers/${shipped}`)).toMatchObject({ source: 'shipped', version: null });
    expect(await root.call('PUT', `/v1/providers/${shipped}`, { body: own({ id: shipped }) })).toMatchObject({ version: 2 });
    await root.call('DELETE', `/v1/providers/${shipped}`);
  });

  test('are found by text and grant, and page', async () => {
    const all = await walk(root, '/v1/providers', 200);
    expect(await walk(root, '/v1/providers', 3)).toEqual(all);
    expect([...all].sort()).toEqual(all);
    const { data } = await root.call<Listed<{ id: string }>>('GET', '/v1/providers', { query: { q: 'NOTI' } });
    expect(data.map(({ id }) => id)).toContain('notion');
    const signed = await root.call<Listed<{ methods: { grant: string }[] }>>('GET', '/v1/providers', { query: { grant: 'oauth1' } });
    expect(signed.data.length).toBeGreaterThan(0);
    for (const { methods } of signed.data) expect(methods.map(({ grant }) => grant)).toContain('oauth1');
    expect(await problemOf(root.call('GET', '/v1/providers', { query: { grant: 'password' } }))).toMatchObject({
      status: 400,
      problem: { errors: [{ pointer: '/grant' }] },
    });
  });

  test('keep what their integrations need', async () => {
    expect(await problemOf(root.call('DELETE', '/v1/providers/sandbox-as'))).toMatchObject({ status: 409, code: 'conflict' });
    const definition = JSON.parse(world.sandbox.providers.authorizationServer.definition);
    const { machine } = definition.methods;
    expect(await problemOf(root.call('PUT', '/v1/providers/sandbox-as', { body: { ...definition, methods: { machine } } }))).toMatchObject({
      status: 409,
      code: 'conflict',
    });
    expect(await root.call('GET', '/v1/integrations')).toMatchObject({ data: [{ id: 'as' }] });
  });

  test('a flow that has begun keeps the version that it began with', async () => {
    const as = world.sandbox.providers.authorizationServer;
    const link = await root.createConnectLink({ integration: 'as', end_user: { id: 'u1' } });
    const broken = JSON.parse(as.definition);
    for (const method of Object.values<Record<string, unknown>>(broken.methods)) method.token_endpoint = `${as.url}/nowhere`;
    await root.call('PUT', '/v1/providers/sandbox-as', { body: broken });
    const { createBrowser } = await import('../../../src/sandbox/browser.ts');
    await (await createBrowser().open(link.url)).submit();
    expect(await root.getConnectLink(link.id)).toMatchObject({ status: 'connected' });
    await root.call('PUT', '/v1/providers/sandbox-as', { body: as.definition });
  });
});

describe('integrations', () => {
  const body = (change: object = {}) => ({ id: 'own', provider: 'sandbox-as', client_id: 'client', client_secret: 'very-secret-value', ...change });

  test('keep their secrets to themselves', async () => {
    const made = await root.call<Shown>('POST', '/v1/integrations', { body: body() });
    expect(made).toMatchObject({
      id: 'own',
      method: 'web',
      has_client_secret: true,
      has_private_key: false,
      scopes: ['read', 'offline_access'],
      callback: 'shared',
      verification: 'browser',
      status: 'active',
    });
    expect(await problemOf(root.call('POST', '/v1/integrations', { body: body() }))).toMatchObject({ status: 409, code: 'conflict' });
    const shown = JSON.stringify([made, await root.call('GET', '/v1/integrations/own'), await root.call('GET', '/v1/integrations')]);
    expect(shown).not.toContain('very-secret-value');
    expect(await root.call('PATCH', '/v1/integrations/own', { body: { scopes: ['read'], callback: 'own', verification: 'user' } })).toMatchObject({
      scopes: ['read'],
      callback: 'own',
      verification: 'user',
      has_client_secret: true,
    });
    expect(await problemOf(root.call('PATCH', '/v1/integrations/own', { body: {} }))).toMatchObject({ status: 400 });
    expect(await problemOf(root.call('PATCH', '/v1/integrations/own', { body: { client_secret: null } }))).toMatchObject({
      status: 400,
      problem: { errors: [{ pointer: '/client_secret' }] },
    });
    for (const fixed of ['id', 'provider', 'method'])
      expect(await problemOf(root.call('PATCH', '/v1/integrations/own', { body: { [fixed]: 'x' } }))).toMatchObject({ status: 400 });
    await root.call('DELETE', '/v1/integrations/own');
    expect(await problemOf(root.call('GET', '/v1/integrations/own'))).toMatchObject({ status: 404 });
  });

  test('say what they lack', async () => {
    const pointers = async (change: object) =>
      ((await problemOf(root.call('POST', '/v1/integrations', { body: body(change) }))).problem.errors as { pointer: string }[]).map(
        ({ pointer }) => pointer,
      );
    expect(await pointers({ provider: 'nowhere' })).toEqual(['/provider']);
    expect(await pointers({ method: 'nothing' })).toEqual(['/method']);
    expect(await pointers({ client_id: undefined, client_secret: undefined })).toEqual(['/client_id', '/client_secret']);
    expect(await pointers({ method: 'web-jwt' })).toEqual(['/private_key_jwk']);
    expect(await pointers({ method: 'web-jwt', private_key_jwk: { kty: 'oct', k: 'x' } })).toEqual(['/private_key_jwk/kty']);
    expect(await pointers({ method: 'web-jwt', private_key_jwk: { kty: 'RSA', n: 'x', e: 'y' } })).toEqual(['/private_key_jwk']);
    expect(await pointers({ inputs: { no_such: 'x' } })).toEqual(['/inputs/no_such']);
    expect(await pointers({ id: 'Not A Slug' })).toEqual(['/id']);
  });

  test('come back to the shared callback only for vetted definitions with a fixed host', async () => {
    const { data } = await root.call<Listed<{ id: string; source: string; methods: { grant: string }[] }>>('GET', '/v1/providers', {
      query: { limit: 200, grant: 'authorization_code' },
    });
    const redirects: Record<string, string> = {};
    for (const { id } of data.filter(({ source }) => source === 'shipped')) {
      const made = await root
        .call<{ redirect_uri: string }>('POST', '/v1/integrations', { body: { ...body({ id: `i-${id}`, provider: id }) } })
        .catch(() => undefined);
      if (made !== undefined) redirects[id] = made.redirect_uri;
    }
    expect(Object.values(redirects)).toContain(`${world.url}/oauth/callback`);
    const forced = await root.call<{ redirect_uri: string }>('GET', '/v1/integrations/as');
    expect(forced.redirect_uri).toMatch(new RegExp(`^${world.url}/oauth/callback/[A-Za-z0-9_-]{22}$`));
    const own = await root.call<{ redirect_uri: string }>('PATCH', '/v1/integrations/i-notion', { body: { callback: 'own' } });
    expect(own.redirect_uri).toMatch(/\/oauth\/callback\/[A-Za-z0-9_-]{22}$/);
    expect(await walk(root, '/v1/integrations', 3)).toEqual(await walk(root, '/v1/integrations', 200));
  });

  test('are deleted only without connections; their open links end with an event', async () => {
    await root.call('POST', '/v1/integrations', { body: body({ id: 'ending', ...world.sandbox.providers.authorizationServer.client }) });
    const link = await root.createConnectLink({ integration: 'ending', end_user: { id: 'u1' } });
    const connection = await root.call<{ id: string }>('POST', '/v1/connections', {
      body: { integration: 'ending', end_user: { id: 'u1' }, import: { access_token: 'at' } },
    });
    expect(await problemOf(root.call('DELETE', '/v1/integrations/ending'))).toMatchObject({ status: 409, code: 'conflict' });
    await root.call('DELETE', `/v1/connections/${connection.id}`);
    await root.call('DELETE', '/v1/integrations/ending');
    expect(await root.getConnectLink(link.id)).toMatchObject({
      status: 'expired',
      error: { code: 'link_expired', detail: 'The integration was deleted.' },
    });
    const { data } = await root.call<Listed<{ type: string; connect_link: string }>>('GET', '/v1/events');
    expect(data[0]).toMatchObject({ type: 'connect_link.failed', connect_link: link.id });
  });

  test('merge their inputs, and never show the secret ones', async () => {
    const definition = {
      id: 'with-inputs',
      name: 'With inputs',
      inputs: {
        realm: { label: 'Realm', asked_of: 'integration' },
        sign_key: { label: 'Key', secret: true, asked_of: 'integration' },
        team: { label: 'Team', optional: true, asked_of: 'integration' },
      },
      methods: {
        web: {
          grant: 'authorization_code',
          authorization_endpoint: 'https://as.example.com/authorize',
          token_endpoint: 'https://as.example.com/token',
          token: { params: { realm: '{realm}', key: '{sign_key}' } },
        },
      },
    };
    await root.call('PUT', '/v1/providers/with-inputs', { body: definition });
    const made = await root.call<Shown>('POST', '/v1/integrations', {
      body: body({ id: 'inputs', provider: 'with-inputs', inputs: { realm: 'a', sign_key: 'hidden-input-value', team: 't' } }),
    });
    expect(made.inputs).toEqual({ realm: 'a', team: 't' });
    const changed = await root.call<Shown>('PATCH', '/v1/integrations/inputs', { body: { inputs: { realm: 'b', team: null } } });
    expect(changed.inputs).toEqual({ realm: 'b' });
    expect(await problemOf(root.call('PATCH', '/v1/integrations/inputs', { body: { inputs: { sign_key: null } } }))).toMatchObject({
      status: 400,
      problem: { errors: [{ pointer: '/inputs/sign_key' }] },
    });
    expect(JSON.stringify(await root.call('GET', '/v1/integrations/inputs'))).not.toContain('hidden-input-value');
  });
});

test('connections are found by integration, end user, organization and status, and page', async () => {
  const made: string[] = [];
  for (let n = 0; n < 5; n += 1) {
    const end_user = { id: `user-${n % 2}`, ...(n > 2 && { organization_id: 'acme' }) };
    const { id } = await root.call<{ id: string }>('POST', '/v1/connections', {
      body: { integration: 'as', end_user, metadata: { n }, import: { access_token: `at-${n}` } },
    });
    made.push(id);
  }
  const found = async (query: Record<string, string>) =>
    (await root.call<Listed<{ id: string }>>('GET', '/v1/connections', { query })).data.map(({ id }) => id).filter((id) => made.includes(id));
  const newest = [...made].reverse();
  expect(await found({ integration: 'as' })).toEqual(newest);
  expect(await found({ end_user: 'user-0' })).toEqual([made[4], made[2], made[0]]);
  expect(await found({ organization: 'acme' })).toEqual([made[4], made[3]]);
  expect(await found({ status: 'active', end_user: 'user-1' })).toEqual([made[3], made[1]]);
  expect(await found({ status: 'revoked' })).toEqual([]);
  expect(await found({ integration: 'nowhere' })).toEqual([]);
  expect((await walk(root, '/v1/connections', 2)).filter((id) => made.includes(id))).toEqual(newest);
  expect(await problemOf(root.call('GET', '/v1/connections', { query: { status: 'odd' } }))).toMatchObject({
    status: 400,
    problem: { errors: [{ pointer: '/status' }] },
  });
  expect(await root.call('PATCH', `/v1/connections/${made[0]}`, { body: { metadata: { plan: 'gold' } } })).toMatchObject({
    metadata: { plan: 'gold' },
  });
  const id = await connect(world);
  const events = await walk(root, '/v1/events', 2);
  expect(events).toEqual(await walk(root, '/v1/events', 200));
  const { data } = await root.call<Listed<{ type: string; connection_id: string }>>('GET', `/v1/connections/${id}/events`);
  expect(data.map(({ type }) => type)).toEqual(['connection.created', 'connect_link.connected']);
});
