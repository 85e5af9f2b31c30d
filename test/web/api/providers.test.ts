import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GrantryClient } from '../../../src/client/client.ts';
import { type Whole, withAuthorizationServer } from '../../broker/connected.ts';
import { problemOf, startWholeSandbox } from '../../harness/broker.ts';

import { type Listed, walk } from './walk.ts';

let world: Whole;
let root: GrantryClient;

beforeAll(async () => {
  world = await startWholeSandbox();
  root = world.root;
  await withAuthorizationServer(world);
  await root.call('POST', '/v1/projects', { body: { id: 'shelf', name: 'Shelf' } });
});
afterAll(() => world.stop());

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
    const elsewhere = await world.clientWith(['connect'], 'shelf');
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
