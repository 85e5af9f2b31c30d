import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dryRun } from '../../src/broker/dry-run.ts';
import { loadShippedProviders } from '../../src/outside/shipped-providers.ts';
import { parseDefinitionValue } from '../../src/protocol/definition/parse.ts';
import { packageRoot, problemOf, startWholeSandbox } from '../harness/broker.ts';
import type { Whole } from './connected.ts';

const shipped = await loadShippedProviders(`${packageRoot}/providers`);
let world: Whole;

beforeAll(async () => {
  world = await startWholeSandbox();
});
afterAll(() => world.stop());

describe.each([...shipped])('%s', (_, definition) => {
  test('shows the requests of each method, secrets masked, and sends none', async () => {
    const before = world.logged.length;
    for (const { id, grant, requests } of await dryRun(world.broker.world, definition)) {
      expect([id, requests.length]).toEqual([id, expect.any(Number)]);
      if (grant !== 'api_key' && grant !== 'basic') expect(requests.length).toBeGreaterThan(0);
      for (const { method, url, headers, body } of requests.filter((request) => request.method !== '-')) {
        expect(method).toMatch(/^(GET|POST|PUT|DELETE|PATCH)$/);
        expect(url).toMatch(/^https:\/\//);
        const text = JSON.stringify([url, headers, body]);
        expect(text).not.toMatch(/CLIENT_SECRET|ACCESS_TOKEN|REFRESH_TOKEN|APPLICATION_TOKEN|OAUTH_TOKEN_SECRET|SECRET_INPUT/);
        expect(text).not.toMatch(/Basic [A-Za-z0-9+/]{8,}/);
        expect(text).not.toMatch(/code_verifier=[A-Za-z0-9]|code_challenge=[A-Za-z0-9]/);
        expect(text).not.toMatch(/eyJ[A-Za-z0-9_-]+\./);
      }
      expect(requests.filter(({ body }) => body?.startsWith('Not shown')).map(({ step, body }) => `${id} ${step} ${body}`)).toEqual([]);
    }
    expect(world.logged.slice(before).join('')).not.toContain('outbound request');
  });
});

test('says what an assertion says, and calls secrets by the names of their inputs', async () => {
  const definition = parseDefinitionValue(
    {
      id: 'acme',
      name: 'Acme',
      api: { base_url: 'https://api.acme.com', probe: { path: '/me' } },
      methods: {
        jwt: {
          grant: 'jwt_bearer',
          token_endpoint: 'https://acme.com/token',
          assertion: { subject: 'ada', claims: { scope: '{scope}' } },
          scopes: { default: ['read'] },
        },
        key: { grant: 'api_key', inputs: { api_key: { label: 'Key', secret: true } } },
        login: { grant: 'basic', inputs: { username: { label: 'User' }, password: { label: 'Password', secret: true } } },
        lasting: {
          grant: 'authorization_code',
          authorization_endpoint: 'https://acme.com/authorize',
          token_endpoint: 'https://acme.com/token',
          revocation_endpoint: 'https://acme.com/revoke',
          refresh: { how: 'none' },
        },
      },
    },
    { allowPrivateHosts: false },
  );
  const [jwt, key, login, lasting] = await dryRun(world.broker.world, definition);
  const claims = { scope: 'read', iss: 'CLIENT_ID', sub: 'ada', aud: 'https://acme.com/token', jti: '<fresh>', iat: '<fresh>', exp: '<fresh>' };
  expect(new URLSearchParams(jwt?.requests[0]?.body ?? '').get('assertion')).toContain('<signed JWT');
  expect(decodeURIComponent(jwt?.requests[0]?.body ?? '')).toContain(JSON.stringify(claims));
  expect(key?.requests[0]?.headers).toMatchObject({ Authorization: 'Bearer <api_key>' });
  expect(login?.requests[0]?.headers).toMatchObject({ Authorization: 'Basic <user name and password>' });
  // A token that is never renewed came without another one, so one is given back.
  expect(lasting?.requests.filter(({ step }) => step === 'revoke').map(({ body }) => body)).toEqual([
    expect.stringContaining('token=<access_token>'),
  ]);
});

test('a definition from outside is run through the API, with warnings', async () => {
  const { hostile, authorizationServer, phonegap, nexmo } = world.sandbox.providers;
  for (const definition of [hostile.definition, authorizationServer.definition, phonegap.definition, nexmo.definition]) {
    const answer = await world.root.call<{ valid: boolean; methods: { requests: unknown[] }[] }>('POST', '/v1/providers/validate', {
      body: definition,
    });
    expect(answer.valid).toBe(true);
    for (const { requests } of answer.methods) expect(requests.length).toBeGreaterThan(0);
  }
  expect(hostile.counters.token_requests + nexmo.counters.request_token + phonegap.counters.token_requests).toBe(0);
  expect(authorizationServer.counters.token).toEqual({});
  const { warnings } = await world.root.call<{ warnings: { pointer: string }[] }>('POST', '/v1/providers/validate', { body: phonegap.definition });
  expect(warnings.map(({ pointer }) => pointer)).toEqual(
    expect.arrayContaining(['/methods/web/code_challenge_method', '/methods/web/callback/state', '/methods/web/token', '/methods/web']),
  );
  expect(await problemOf(world.root.call('POST', '/v1/providers/validate', { body: { id: 'x' } }))).toMatchObject({
    status: 400,
    code: 'invalid_definition',
  });
});
