import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dryRun } from '../../src/broker/dry-run.ts';
import { loadShippedProviders } from '../../src/outside/shipped-providers.ts';
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
        expect(text).not.toMatch(/CLIENT_SECRET|ACCESS_TOKEN|REFRESH_TOKEN|OAUTH_TOKEN_SECRET/);
        expect(text).not.toMatch(/Basic [A-Za-z0-9+/]{8,}/);
        expect(text).not.toMatch(/code_verifier=[A-Za-z0-9]|code_challenge=[A-Za-z0-9]/);
        expect(text).not.toMatch(/eyJ[A-Za-z0-9_-]+\./);
      }
      expect(requests.filter(({ body }) => body?.startsWith('Not shown')).map(({ step, body }) => `${id} ${step} ${body}`)).toEqual([]);
    }
    expect(world.logged.slice(before).join('')).not.toContain('outbound request');
  });
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
