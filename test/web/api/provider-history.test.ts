import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GrantryClient } from '../../../src/client/client.ts';
import { connect, expire, type Whole, withAuthorizationServer } from '../../broker/connected.ts';
import { packageRoot, problemOf, startWholeSandbox } from '../../harness/broker.ts';
import { ask } from './ask.ts';
import type { Listed } from './walk.ts';

let world: Whole;
let admin: GrantryClient & { key: string };

beforeAll(async () => {
  world = await startWholeSandbox();
  await withAuthorizationServer(world);
  admin = await world.clientWith(['admin']);
  await world.root.call('POST', '/v1/projects', { body: { id: 'shelf', name: 'Shelf' } });
});
afterAll(() => world.stop());

const yaml = { contentType: 'application/yaml' };
const written = (name: string) => `# What ${name} wants, in our words.
id: mine
name: ${name}
methods:
  web:
    grant: authorization_code
    authorization_endpoint: https://as.example.com/authorize
    token_endpoint: https://as.example.com/token
`;
const extending = `# Ours asks for more.
id: our-github
name: Our GitHub
extends: github
aliases: [gh]
methods:
  web:
    scopes: { default: [repo] }   # the teams need it
`;
type Version = { version: number; current: boolean; made_by: { id: string; name: string } | null };
const text = (path: string, client: GrantryClient = admin) => client.call<string>('GET', path, { accept: 'application/yaml' });

test('versions are listed, newest first, with who made them, and read one by one', async () => {
  await admin.call('PUT', '/v1/providers/mine', { body: written('First'), ...yaml });
  await admin.call('PUT', '/v1/providers/mine', { body: written('Second'), ...yaml });
  await world.root.call('PUT', '/v1/providers/mine', { body: written('Third'), ...yaml });
  const { data } = await admin.call<Listed<Version>>('GET', '/v1/providers/mine/versions');
  expect(data.map(({ version, current, made_by }) => [version, current, made_by?.name])).toEqual([
    [3, true, 'root key'],
    [2, false, 'admin'],
    [1, false, 'admin'],
  ]);
  expect(data[1]?.made_by?.id).toMatch(/^key_/);
  const first = await admin.call<Listed<Version>>('GET', '/v1/providers/mine/versions', { query: { limit: 2 } });
  const rest = await admin.call<Listed<Version>>('GET', '/v1/providers/mine/versions', { query: { limit: 2, cursor: first.next_cursor ?? '' } });
  expect([...first.data, ...rest.data]).toEqual(data);
  expect(rest.next_cursor).toBeNull();
  expect(await admin.call('GET', '/v1/providers/mine/versions/2')).toMatchObject({ version: 2, current: false, definition: { name: 'Second' } });
  expect(await text('/v1/providers/mine/versions/1')).toBe(written('First'));
  for (const version of ['4', '0', '01', '-1', '1e0', 'x', '99999999999'])
    expect(await problemOf(admin.call('GET', `/v1/providers/mine/versions/${version}`))).toMatchObject({ status: 404 });
  expect(
    await problemOf(admin.call('GET', '/v1/providers/mine/versions', { query: { cursor: Buffer.from('mine').toString('base64url') } })),
  ).toMatchObject({ status: 400 });
  expect(await admin.call('GET', '/v1/providers/github/versions')).toEqual({ data: [], next_cursor: null });
});

test('the name of a key stays when the key is gone', async () => {
  const brief = await world.clientWith(['admin', 'connect']);
  await brief.call('PUT', '/v1/providers/kept', { body: written('Kept').replace('id: mine', 'id: kept'), ...yaml });
  const [version] = (await admin.call<Listed<Version>>('GET', '/v1/providers/kept/versions')).data;
  await admin.call('DELETE', `/v1/api-keys/${version?.made_by?.id}`);
  expect(await admin.call('GET', '/v1/providers/kept/versions')).toMatchObject({
    data: [{ made_by: { id: version?.made_by?.id, name: 'admin,connect' } }],
  });
});

test('a rollback makes a new version with the old content, also of what was removed', async () => {
  expect(await admin.call('POST', '/v1/providers/mine/rollback', { body: { version: 1 } })).toMatchObject({
    version: 4,
    name: 'First',
    warnings: expect.arrayContaining([expect.objectContaining({ code: 'no_documentation' })]),
  });
  expect(await text('/v1/providers/mine')).toBe(written('First'));
  await admin.call('DELETE', '/v1/providers/mine');
  expect(await problemOf(text('/v1/providers/mine'))).toMatchObject({ status: 404 });
  const { data } = await admin.call<Listed<Version>>('GET', '/v1/providers/mine/versions');
  expect(data.map(({ version, current }) => [version, current])).toEqual([4, 3, 2, 1].map((version) => [version, false]));
  expect(await admin.call('POST', '/v1/providers/mine/rollback', { body: { version: 2 } })).toMatchObject({ version: 5, name: 'Second' });
  expect(await problemOf(admin.call('POST', '/v1/providers/mine/rollback', { body: { version: 9 } }))).toMatchObject({ status: 404 });
  expect(await problemOf(admin.call('POST', '/v1/providers/mine/rollback', { body: { version: 'x' } }))).toMatchObject({
    status: 400,
    problem: { errors: [{ pointer: '/version' }] },
  });
});

test('a rollback does not take a method from an integration', async () => {
  const definition = JSON.parse(world.sandbox.providers.authorizationServer.definition);
  const { web, machine } = definition.methods;
  await admin.call('PUT', '/v1/providers/two', { body: { ...definition, id: 'two', methods: { machine } } });
  await admin.call('PUT', '/v1/providers/two', { body: { ...definition, id: 'two', methods: { web, machine } } });
  await admin.call('POST', '/v1/integrations', { body: { id: 'two', provider: 'two', method: 'web', client_id: 'c', client_secret: 's' } });
  expect(await problemOf(admin.call('POST', '/v1/providers/two/rollback', { body: { version: 1 } }))).toMatchObject({
    status: 409,
    code: 'conflict',
  });
});

test('an export is what was written, and goes in again unchanged', async () => {
  const put = await admin.call<{ definition: object }>('PUT', '/v1/providers/our-github', { body: extending, ...yaml });
  expect(put.definition).toMatchObject({ name: 'Our GitHub', methods: { web: { scopes: { default: ['repo'] } } } });
  expect(put.definition).not.toHaveProperty('extends');
  expect(await text('/v1/providers/our-github')).toBe(extending);
  const again = await admin.call<{ definition: object }>('PUT', '/v1/providers/our-github', {
    body: await text('/v1/providers/our-github'),
    ...yaml,
  });
  expect(again.definition).toEqual(put.definition);
  // Only what was merged then is used, and it is all there.
  const shipped = await admin.call<{ definition: { methods: { web: { token_endpoint: string } } } }>('GET', '/v1/providers/github');
  expect(put.definition).toMatchObject({ methods: { web: { token_endpoint: shipped.definition.methods.web.token_endpoint } } });
});

test('one that was sent as JSON comes as YAML, and as JSON to who does not ask', async () => {
  const { definition: sent } = world.sandbox.providers.authorizationServer;
  const before = await admin.call<{ definition: object }>('GET', '/v1/providers/sandbox-as');
  const exported = await text('/v1/providers/sandbox-as');
  expect(exported).toMatch(/^id: sandbox-as\nname: /);
  expect(exported.split('\n').length).toBeGreaterThan(20);
  expect(JSON.parse(sent)).toHaveProperty('id');
  expect(await admin.call('PUT', '/v1/providers/sandbox-as', { body: exported, ...yaml })).toMatchObject({ definition: before.definition });
  for (const accept of [undefined, '*/*', 'application/json', 'application/json, application/yaml', 'text/html']) {
    const { headers } = await ask(world.url, { path: '/v1/providers/mine', key: admin.key, ...(accept && { headers: { accept } }) });
    expect([accept, headers['content-type'], headers.vary]).toEqual([accept, 'application/json; charset=utf-8', expect.stringContaining('Accept')]);
  }
  const { headers } = await ask(world.url, { path: '/v1/providers/mine', key: admin.key, headers: { accept: 'text/yaml' } });
  expect(headers['content-type']).toBe('text/yaml; charset=utf-8');
});

test('a text that Postgres does not keep is refused, also in a comment', async () => {
  expect(await problemOf(admin.call('PUT', '/v1/providers/mine', { body: `${written('NUL')}# \u0000\n`, ...yaml }))).toMatchObject({
    status: 400,
    code: 'invalid_definition',
  });
});

test('a shipped one is exported as its file is', async () => {
  expect(await text('/v1/providers/github')).toBe(await readFile(`${packageRoot}/providers/github.yaml`, 'utf8'));
  expect(await problemOf(text('/v1/providers/..%2f..%2fpackage'))).toMatchObject({ status: 404 });
});

test('one may extend the shipped one that it stands for', async () => {
  await admin.call('PUT', '/v1/providers/github', { body: 'id: github\nextends: github\nname: GitHub for us\n', ...yaml });
  expect(await admin.call('GET', '/v1/providers/github')).toMatchObject({ source: 'own', name: 'GitHub for us' });
  await admin.call('DELETE', '/v1/providers/github');
});

describe('one that was taken once and would be refused today', () => {
  const id = 'outdated';
  let connection: string;

  beforeAll(async () => {
    const as = world.sandbox.providers.authorizationServer;
    await admin.call('PUT', `/v1/providers/${id}`, { body: { ...JSON.parse(as.definition), id } });
    const body = { id, provider: id, ...as.client };
    as.registerRedirectUri((await admin.call<{ redirect_uri: string }>('POST', '/v1/integrations', { body })).redirect_uri);
    connection = await connect(world, id);
    // As a process finds it that has new rules: a version that it has not looked at yet.
    await world.sql(`update provider_versions set current = false where provider_id = $1`, [id]);
    await world.sql(
      `insert into provider_versions (project_id, provider_id, version, written, current, definition)
       select project_id, provider_id, 2, '# Ours.\nid: outdated\n', true, jsonb_set(definition::jsonb, '{methods,web,token,params}', '{"grant_type": "password"}')::json
       from provider_versions where provider_id = $1`,
      [id],
    );
  });

  const faults = [{ pointer: '/methods/web/token/params/grant_type', detail: expect.stringContaining('no other grant is used') }];

  test('is shown as it is stored, with its faults, and so is its version', async () => {
    expect(await admin.call('GET', `/v1/providers/${id}`)).toMatchObject({
      id,
      source: 'own',
      version: 2,
      name: expect.stringMatching(/./),
      methods: expect.arrayContaining([{ id: 'web', grant: 'authorization_code' }]),
      definition: { methods: { web: { token: { params: { grant_type: 'password' } } } } },
      faults,
    });
    expect(await admin.call('GET', `/v1/providers/${id}/versions/2`)).toMatchObject({ version: 2, faults });
    expect(await admin.call('GET', `/v1/providers/${id}/versions/1`)).toMatchObject({ version: 1, faults: [] });
    expect(await text(`/v1/providers/${id}`)).toBe('# Ours.\nid: outdated\n');
    expect(await admin.call('GET', '/v1/providers/github')).toMatchObject({ source: 'shipped', faults: [] });
  });

  test('is used for nothing, and whoever wants to is told why', async () => {
    const calls = Object.values(world.sandbox.providers.authorizationServer.counters.token);
    expect(await problemOf(world.root.getToken(connection))).toMatchObject({
      status: 409,
      code: 'conflict',
      problem: { detail: `The definition of "outdated" would be refused today: GET /v1/providers/outdated says what is wrong in it.` },
    });
    await expire(world, connection);
    expect(await problemOf(world.root.getToken(connection))).toMatchObject({ status: 409, code: 'conflict' });
    expect(await admin.call('GET', `/v1/connections/${connection}`)).toMatchObject({ last_error: { code: 'invalid_definition' } });
    expect(await problemOf(world.root.createConnectLink({ integration: id, end_user: { id: 'u2' } }))).toMatchObject({ code: 'invalid_definition' });
    expect(await problemOf(admin.call('POST', `/v1/providers/${id}/rollback`, { body: { version: 2 } }))).toMatchObject({
      code: 'invalid_definition',
    });
    expect(Object.values(world.sandbox.providers.authorizationServer.counters.token)).toEqual(calls);
  });

  test('is mended by putting it without them, and its connections go on with their next attempt', async () => {
    const { definition } = await admin.call<{ definition: { methods: { web: { token: { params: object } } } } }>('GET', `/v1/providers/${id}`);
    definition.methods.web.token.params = {};
    expect(await admin.call('PUT', `/v1/providers/${id}`, { body: definition })).toMatchObject({ version: 3 });
    expect(await admin.call('GET', `/v1/providers/${id}`)).toMatchObject({ version: 3, faults: [] });
    // The pause after the failure is over.
    await world.sql('update connections set retry_at = null where id = $1', [connection]);
    await world.root.getToken(connection);
    expect(await admin.call('GET', `/v1/connections/${connection}`)).toMatchObject({ status: 'active', last_error: null });
  });
});

test('history and rollback are for admins of the project only', async () => {
  const elsewhere = await world.clientWith(['admin'], 'shelf');
  const connect = await world.clientWith(['connect', 'tokens']);
  for (const path of ['/v1/providers/mine/versions', '/v1/providers/mine/versions/1']) {
    expect(await problemOf(elsewhere.call('GET', path))).toMatchObject({ status: 404 });
    expect(await problemOf(connect.call('GET', path))).toMatchObject({ status: 403 });
  }
  expect(await problemOf(text('/v1/providers/mine', elsewhere))).toMatchObject({ status: 404 });
  expect(await problemOf(elsewhere.call('POST', '/v1/providers/mine/rollback', { body: { version: 1 } }))).toMatchObject({ status: 404 });
  expect(await problemOf(connect.call('POST', '/v1/providers/mine/rollback', { body: { version: 1 } }))).toMatchObject({ status: 403 });
});
