import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { presentedCall } from '../../src/client/client.ts';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { problemOf, startWholeSandbox } from '../harness/broker.ts';
import { connect, type Whole, withAuthorizationServer } from './connected.ts';

/** Each kind of credential as it is handed out, as it is signed, and as its provider takes it. */

let world: Whole;
const ids: Record<string, string> = {};
let consumerSecret: string;

beforeAll(async () => {
  world = await startWholeSandbox();
  const { keyService, phonegap, nexmo } = world.sandbox.providers;
  await withAuthorizationServer(world);
  ids.oauth2 = await connect(world);
  const connection = async (body: object) =>
    (await world.root.call<{ id: string }>('POST', '/v1/connections', { body: { end_user: { id: 'u1' }, ...body } })).id;
  await world.root.call('PUT', '/v1/providers/sandbox-keys', { body: keyService.definition });
  await world.root.call('POST', '/v1/integrations', { body: { id: 'keys', provider: 'sandbox-keys' } });
  ids.api_key = await connection({ integration: 'keys', grant: 'api_key', inputs: { api_key: keyService.issueKey('ada') } });
  await world.root.call('POST', '/v1/integrations', { body: { id: 'bots', provider: 'sandbox-keys', method: 'bot' } });
  ids.path = await connection({ integration: 'bots', grant: 'api_key', inputs: { api_key: keyService.issueKey('ada') } });
  ids.basic = await connection({ integration: 'keys', grant: 'basic', inputs: { username: 'ada', password: keyService.issuePassword('ada') } });
  await world.root.call('PUT', '/v1/providers/sandbox-phonegap', { body: phonegap.definition });
  const { client_id, client_secret } = phonegap.client;
  await world.root.call('POST', '/v1/integrations', { body: { id: 'phonegap', provider: 'sandbox-phonegap', client_id, client_secret } });
  ids.query = await connection({ integration: 'phonegap', grant: 'credential_exchange', inputs: { auth_token: phonegap.authTokenOf('ada') } });
  await world.root.call('PUT', '/v1/providers/sandbox-oauth1', { body: nexmo.definitionWithCallback });
  consumerSecret = nexmo.client.client_secret;
  const signed = await world.root.call<{ redirect_uri: string }>('POST', '/v1/integrations', {
    body: { id: 'signed', provider: 'sandbox-oauth1', client_id: nexmo.client.client_id, client_secret: consumerSecret },
  });
  nexmo.registerRedirectUri(signed.redirect_uri);
  const link = await world.root.createConnectLink({ integration: 'signed', end_user: { id: 'u1' } });
  await (await (await createBrowser().open(link.url)).submit()).submit({ user: 'ada' }, 'Approve');
  ids.oauth1 = (await world.root.getConnectLink(link.id)).connection_id ?? '';
});
afterAll(() => world.stop());

const apis = (): Record<string, string> => {
  const { authorizationServer, keyService, phonegap, nexmo } = world.sandbox.providers;
  return {
    oauth2: `${authorizationServer.url}/api/me`,
    api_key: `${keyService.url}/api/me`,
    basic: `${keyService.url}/api/me`,
    path: `${keyService.url}/api/me`,
    query: `${phonegap.url}/api/v1/me`,
    oauth1: `${nexmo.url}/api/me`,
  };
};
const kinds = ['oauth2', 'api_key', 'basic', 'query', 'path', 'oauth1'];
type Signed = { url: string; headers: Record<string, string> };
const sign = (kind: string, body: object) => world.root.call<Signed>('POST', `/v1/connections/${ids[kind]}/sign`, { body });

test('each kind is handed out in its own form', async () => {
  const handed = Object.fromEntries(await Promise.all(kinds.map(async (kind) => [kind, await world.root.getToken(ids[kind] ?? '')] as const)));
  expect(handed.oauth2).toMatchObject({
    token_type: 'bearer',
    present: { in: 'header', name: 'Authorization', value: `Bearer ${handed.oauth2?.access_token}` },
  });
  expect(handed.api_key).toMatchObject({
    token_type: 'api_key',
    expires_at: null,
    present: { in: 'header', name: 'X-Api-Key', value: handed.api_key?.access_token },
  });
  expect(handed.basic).toMatchObject({
    token_type: 'basic',
    username: 'ada',
    password: expect.any(String),
    present: { in: 'header', name: 'Authorization', value: expect.stringMatching(/^Basic /) },
  });
  expect(handed.query).toMatchObject({
    token_type: 'bearer',
    expires_at: null,
    present: { in: 'query', name: 'access_token', value: handed.query?.access_token },
  });
  expect(handed.path).toMatchObject({ token_type: 'api_key', present: { in: 'path', value: `/bot${handed.path?.access_token}` } });
  expect(handed.oauth1).toMatchObject({
    token_type: 'oauth1',
    oauth_token: expect.any(String),
    oauth_token_secret: expect.any(String),
    oauth_consumer_key: expect.any(String),
    present: null,
  });
  expect(JSON.stringify(handed)).not.toContain(consumerSecret);
  expect(JSON.stringify(handed)).not.toContain('refresh_token');
});

describe.each(kinds)('%s', (kind) => {
  test('signs a request that its provider takes', async () => {
    const { url, headers } = await sign(kind, { method: 'GET', url: apis()[kind] ?? '' });
    const answer = await fetch(url, { headers });
    expect([answer.status, await answer.json()]).toEqual([200, expect.objectContaining({ id: 'ada' })]);
    expect(JSON.stringify([url, headers])).not.toContain(consumerSecret);
  });

  test('opens the API for a worker that has the token answer alone', async () => {
    const { present } = await world.root.getToken(ids[kind] ?? '');
    if (present === null) return expect(kind).toBe('oauth1');
    const url = apis()[kind] ?? '';
    const call = presentedCall(present, { base: url.slice(0, -'/me'.length), path: '/me' });
    const answer = await fetch(call.url, { headers: call.headers });
    expect([answer.status, await answer.json()]).toEqual([200, expect.objectContaining({ id: 'ada' })]);
  });

  test('is proved by the probe', async () => {
    expect(await world.root.call('POST', `/v1/connections/${ids[kind]}/probe`)).toEqual({ outcome: 'works', status: 200 });
  });

  test('is never signed for another host', async () => {
    for (const url of [
      'https://evil.example/',
      'http://127.0.0.1:1/',
      `${apis()[kind]?.replace('127.0.0.1', 'localhost')}`,
      apis()[kind]?.replace('http:', 'https:') ?? '',
    ]) {
      expect(await problemOf(sign(kind, { method: 'GET', url }))).toMatchObject({
        status: 400,
        code: 'invalid_request',
        problem: { errors: [{ pointer: '/url' }] },
      });
    }
    for (const url of ['nonsense', 'file:///etc/passwd', 'javascript:alert(1)', `http://user:pw@${new URL(apis()[kind] ?? '').host}/`]) {
      expect(await problemOf(sign(kind, { method: 'GET', url }))).toMatchObject({ status: 400, code: 'invalid_request' });
    }
  });
});

test('an OAuth 1.0a signature covers the form, as a list or as an object', async () => {
  const url = apis().oauth1 ?? '';
  const asObject = await sign('oauth1', { method: 'POST', url, form: { b: '2 ü', a: '1' } });
  const asList = await sign('oauth1', {
    method: 'POST',
    url,
    form: [
      ['a', '1'],
      ['a', '0'],
      ['b', '2 ü'],
    ],
  });
  for (const { headers } of [asObject, asList]) expect(headers.Authorization).toMatch(/^OAuth .*oauth_signature="/);
  const answer = await fetch(asList.url, {
    method: 'POST',
    headers: { ...asList.headers, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams([
      ['a', '1'],
      ['a', '0'],
      ['b', '2 ü'],
    ]),
  });
  expect(answer.status).not.toBe(401);
  const changed = await fetch(asObject.url, {
    method: 'POST',
    headers: { ...asObject.headers, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams([['a', '9']]),
  });
  expect(changed.status).toBe(401);
});

test('a token in the path: only below the base, and no imported one that cannot stand there', async () => {
  const { url } = world.sandbox.providers.keyService;
  for (const beside of [`${url}/other/me`, `${url}/api/../me`, `${url}/apis/me`])
    expect(await problemOf(sign('path', { method: 'GET', url: beside }))).toMatchObject({
      code: 'invalid_request',
      problem: { detail: expect.stringContaining('api.base_url'), errors: [{ pointer: '/url' }] },
    });
  const inputs = { api_key: world.sandbox.providers.keyService.issueKey('ada') };
  const odd = { integration: 'bots', end_user: { id: 'u1' }, import: { access_token: '..' }, inputs };
  expect(await problemOf(world.root.call('POST', '/v1/connections', { body: odd }))).toMatchObject({
    code: 'invalid_request',
    problem: { errors: [{ pointer: '/import/access_token' }] },
  });
});

test('a token that the provider has ended is refused by the probe', async () => {
  world.sandbox.providers.keyService.switches.fault = { kind: 'down', times: 1 };
  expect(await world.root.call('POST', `/v1/connections/${ids.api_key}/probe`)).toEqual({ outcome: 'unclear', status: 503 });
  world.sandbox.providers.keyService.revokeUser('ada');
  expect(await world.root.call('POST', `/v1/connections/${ids.api_key}/probe`)).toEqual({ outcome: 'refused', status: 401 });
  expect(await problemOf(world.root.call('POST', `/v1/connections/${ids.api_key}/probe`))).toMatchObject({ code: 'reauthorization_required' });
});

test('a connection whose provider has no probe says so', async () => {
  await world.root.call('PUT', '/v1/providers/bare', {
    body: { id: 'bare', name: 'Bare', methods: { key: { grant: 'api_key', inputs: { api_key: { label: 'Key', secret: true } } } } },
  });
  await world.root.call('POST', '/v1/integrations', { body: { id: 'bare', provider: 'bare' } });
  const { id } = await world.root.call<{ id: string }>('POST', '/v1/connections', {
    body: { integration: 'bare', end_user: { id: 'u1' }, grant: 'api_key', inputs: { api_key: 'k-12345678' } },
  });
  expect(await problemOf(world.root.call('POST', `/v1/connections/${id}/probe`))).toMatchObject({ status: 422, code: 'unsupported' });
});

test('a PLAINTEXT signature, which is the consumer secret, is never handed out', async () => {
  const at = 'https://api.acme.com/oauth';
  const oauth1 = {
    grant: 'oauth1',
    request_token_endpoint: `${at}/request`,
    authorization_endpoint: `${at}/authorize`,
    access_token_endpoint: `${at}/access`,
    signature_method: 'PLAINTEXT',
  };
  const definition = { id: 'plain', name: 'Plain', methods: { oauth1 } };
  await world.root.call('PUT', '/v1/providers/plain', { body: definition });
  await world.root.call('POST', '/v1/integrations', {
    body: { id: 'plain', provider: 'plain', client_id: 'app', client_secret: 'consumer-secret-of-plain' },
  });
  const { id } = await world.root.call<{ id: string }>('POST', '/v1/connections', {
    body: { integration: 'plain', end_user: { id: 'u1' }, import: { access_token: 'tok', oauth_token_secret: 'sec' } },
  });
  const problem = await problemOf(world.root.call('POST', `/v1/connections/${id}/sign`, { body: { method: 'GET', url: 'https://api.acme.com/me' } }));
  expect(problem).toMatchObject({ status: 422, code: 'unsupported' });
  expect(JSON.stringify(problem.problem)).not.toContain('consumer-secret');
});
