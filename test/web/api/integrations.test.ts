import { generateKeyPairSync } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openClient, openSecrets } from '../../../src/broker/client-secrets.ts';
import type { GrantryClient } from '../../../src/client/client.ts';
import { type Whole, withAuthorizationServer } from '../../broker/connected.ts';
import { problemOf, startWholeSandbox } from '../../harness/broker.ts';

import { type Listed, type Shown, walk } from './walk.ts';

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();

let world: Whole;
let root: GrantryClient;

beforeAll(async () => {
  world = await startWholeSandbox();
  root = world.root;
  await withAuthorizationServer(world);
});
afterAll(() => world.stop());

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
    expect(await problemOf(root.call('PATCH', '/v1/integrations/own', { body: {} }))).toMatchObject({
      status: 400,
      problem: { errors: [{ pointer: '', detail: 'There is nothing to change.' }] },
    });
    expect(await problemOf(root.call('PATCH', '/v1/integrations/own', { body: { client_secret: null } }))).toMatchObject({
      status: 400,
      problem: { errors: [{ pointer: '/client_secret' }] },
    });
    for (const fixed of ['id', 'provider', 'method'])
      expect(await problemOf(root.call('PATCH', '/v1/integrations/own', { body: { [fixed]: 'x' } }))).toMatchObject({ status: 400 });
    await root.call('DELETE', '/v1/integrations/own');
    expect(await problemOf(root.call('GET', '/v1/integrations/own'))).toMatchObject({ status: 404 });
  });

  test('take a private key as providers give it out, and another one in its place', async () => {
    const made = await root.call<Shown>('POST', '/v1/integrations', { body: body({ id: 'signing', method: 'web-jwt', private_key_pem: pem }) });
    expect(made).toMatchObject({ has_private_key: true });
    const stored = async () => {
      const record = await world.broker.world.store.integrations.get('default', 'signing');
      if (record === undefined) throw new Error('It is gone.');
      return (await openClient(world.broker.world, record)).private_key_jwk;
    };
    const jwk = privateKey.export({ format: 'jwk' });
    expect(await stored()).toEqual({ ...jwk, alg: 'ES256', kid: await calculateJwkThumbprint(jwk) });
    await root.call('PATCH', '/v1/integrations/signing', { body: { private_key_pem: pem, private_key_id: 'KEY42' } });
    expect(await stored()).toEqual({ ...jwk, alg: 'ES256', kid: 'KEY42' });
    await root.call('PATCH', '/v1/integrations/signing', { body: { scopes: ['read'] } });
    expect(await stored()).toMatchObject({ kid: 'KEY42' });
    expect(await problemOf(root.call('PATCH', '/v1/integrations/signing', { body: { private_key_pem: 'x' } }))).toMatchObject({
      status: 400,
      problem: { errors: [{ pointer: '/private_key_pem' }] },
    });
  });

  test('take several client secrets, in order', async () => {
    const shown = { has_client_secret: true, client_secret_count: 2 };
    const secrets = ['very-secret-first', 'very-secret-second'];
    const made = await root.call<Shown>('POST', '/v1/integrations', {
      body: body({ id: 'several', client_secret: undefined, client_secrets: secrets }),
    });
    expect(made).toMatchObject(shown);
    const change = (given: object) => root.call<Shown>('PATCH', '/v1/integrations/several', { body: given });
    const stored = () =>
      world.broker.world.store.integrations
        .get('default', 'several')
        .then((found) => (found === undefined ? [] : openSecrets(world.broker.world, found)));
    // Whatever else is changed keeps them.
    expect(await change({ scopes: ['read'] })).toMatchObject(shown);
    expect(await stored()).toEqual(secrets);
    expect(JSON.stringify([made, await root.call('GET', '/v1/integrations/several')])).not.toContain('very-secret');
    expect(await change({ client_secrets: ['a', 'b', 'c', 'd', 'e'] })).toMatchObject({ client_secret_count: 5 });
    expect(await change({ client_secret: 'only' })).toMatchObject({ client_secret_count: 1 });
    expect(await stored()).toEqual(['only']);

    const pointers = async (given: object) =>
      ((await problemOf(change(given))).problem.errors as { pointer: string }[]).map(({ pointer }) => pointer);
    expect(await pointers({ client_secret: 'a', client_secrets: ['b'] })).toEqual(['/client_secrets']);
    expect(await pointers({ client_secret: null, client_secrets: ['b'] })).toEqual(['/client_secrets']);
    for (const wrong of [[], ['a', 'a'], ['1', '2', '3', '4', '5', '6'], 'a', null])
      expect(await pointers({ client_secrets: wrong })).toEqual(['/client_secrets']);
    expect(await pointers({ client_secrets: ['a', ''] })).toEqual(['/client_secrets/1']);
    expect(await stored()).toEqual(['only']);
    const unused = { id: 'unused', method: 'web-public', client_secret: undefined, client_secrets: ['a', 'b'] };
    expect(await problemOf(root.call('POST', '/v1/integrations', { body: body(unused) }))).toMatchObject({
      status: 400,
      problem: { errors: [{ pointer: '/client_secrets' }] },
    });
  });

  test('say after how long connections that nobody uses are probed', async () => {
    const made = await root.call<Shown>('POST', '/v1/integrations', { body: body({ id: 'probing', probe_unused_after: 'P7D' }) });
    expect(made).toMatchObject({ probe_unused_after: 'P7D' });
    const change = (given: unknown) => root.call<Shown>('PATCH', '/v1/integrations/probing', { body: { probe_unused_after: given } });
    expect(await change('PT36H')).toMatchObject({ probe_unused_after: 'P1DT12H' });
    expect(await root.call('PATCH', '/v1/integrations/probing', { body: { scopes: ['read'] } })).toMatchObject({ probe_unused_after: 'P1DT12H' });
    for (const wrong of ['PT59M', 'P366D', 'P1Y', 'week', 3600, ''])
      expect(await problemOf(change(wrong))).toMatchObject({ status: 400, problem: { errors: [{ pointer: '/probe_unused_after' }] } });
    expect(await change(null)).toMatchObject({ probe_unused_after: null });
    expect(await root.call('GET', '/v1/integrations/as')).toMatchObject({ probe_unused_after: null });
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
    expect(await pointers({ method: 'web-jwt', private_key_pem: 'not a key' })).toEqual(['/private_key_pem']);
    expect(await pointers({ method: 'web-jwt', private_key_pem: pem, private_key_jwk: {} })).toEqual(['/private_key_pem']);
    expect(await pointers({ method: 'web-jwt', private_key_id: 'k1' })).toEqual(['/private_key_id']);
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
    const own = await root.call<{ redirect_uri: string }>('PATCH', '/v1/integrations/i-asana', { body: { callback: 'own' } });
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
    expect(data.map(({ type, connect_link }) => [type, connect_link])).toContainEqual(['connect_link.failed', link.id]);
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
