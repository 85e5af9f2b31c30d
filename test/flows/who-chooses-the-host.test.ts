import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { problemOf, startTestBroker, type TestBroker } from '../harness/broker.ts';

/**
 * Whoever chooses the host of an endpoint is sent the client secret: only an admin does. And where our registration is the only proof, whoever says in whose name it speaks has
 * that one's data: no end user does.
 */

let world: TestBroker;
const hits: string[] = [];
const canary = createServer((req, res) => {
  hits.push(req.url ?? '');
  res.end('{}');
});
beforeAll(async () => {
  await new Promise<void>((resolve) => canary.listen(0, '127.0.0.1', resolve));
  world = await startTestBroker();
});
afterAll(async () => {
  canary.close();
  await world?.stop();
});

const registration = { client_id: 'app', client_secret: 'the-secret-of-the-app' };
const evil = () => {
  const address = canary.address();
  return `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
};

test('the login host of a shipped definition cannot come with a link', async () => {
  await world.root.call('POST', '/v1/integrations', { body: { id: 'salesforce', provider: 'salesforce', ...registration } });
  const connect = await world.clientWith(['connect']);
  const link = { integration: 'salesforce', end_user: { id: 'u1' }, inputs: { host: evil() } };
  expect(await problemOf(connect.createConnectLink(link))).toMatchObject({ status: 400, problem: { errors: [{ pointer: '/inputs/host' }] } });
  expect(hits).toEqual([]);
});

test('an own definition cannot hand the choice to somebody else either', async () => {
  const definition = {
    id: 'self-hosted',
    name: 'Self-hosted',
    inputs: { host: { label: 'Host', host: true, asked_of: 'end_user' }, account: { label: 'Account' } },
    methods: { app: { grant: 'client_credentials', token_endpoint: 'https://{host}/token', token: { params: { account: '{account}' } } } },
  };
  await world.root.call('PUT', '/v1/providers/self-hosted', { body: definition });
  const without = world.root.call('POST', '/v1/integrations', { body: { id: 'own', provider: 'self-hosted', ...registration } });
  expect(await problemOf(without)).toMatchObject({ status: 400, problem: { errors: [{ pointer: '/inputs/host' }] } });
  const integration = { id: 'own', provider: 'self-hosted', ...registration, inputs: { host: 'login.acme.com' } };
  await world.root.call('POST', '/v1/integrations', { body: integration });
  const connect = await world.clientWith(['connect']);
  const body = { integration: 'own', end_user: { id: 'u1' }, grant: 'client_credentials', inputs: { host: evil(), account: 'a' } };
  expect(await problemOf(connect.call('POST', '/v1/connections', { body }))).toMatchObject({
    status: 400,
    problem: { errors: [{ pointer: '/inputs/host' }] },
  });
  expect(hits).toEqual([]);
});

test('imported extras are those that the definition keeps', async () => {
  const credential = { access_token: 'tok', extras: { instance_url: 'https://acme.my.salesforce.com', other: 'x' } };
  const made = world.root.call('POST', '/v1/connections', { body: { integration: 'salesforce', end_user: { id: 'u1' }, import: credential } });
  expect(await problemOf(made)).toMatchObject({ status: 400, problem: { errors: [{ pointer: '/import/extras/other' }] } });
});

const machines = {
  id: 'machines',
  name: 'Machines',
  inputs: { tenant: { label: 'Tenant', asked_of: 'end_user' }, region: { label: 'Region', enum: ['eu', 'us'] } },
  methods: {
    app: { grant: 'client_credentials', token_endpoint: 'https://{region}.acme.com/{tenant}/token' },
    jwt: { grant: 'jwt_bearer', token_endpoint: 'https://acme.com/token', assertion: { subject: '{tenant}' } },
    hers: {
      grant: 'client_credentials',
      token_endpoint: 'https://acme.com/token',
      token: { params: { tenant: '{tenant}', key: '{key}' } },
      inputs: { key: { label: 'Key', secret: true } },
    },
    web: {
      grant: 'authorization_code',
      authorization_endpoint: 'https://acme.com/{tenant}/authorize',
      token_endpoint: 'https://acme.com/{tenant}/token',
    },
  },
};

test('in whose name our registration speaks comes with the link, and no page asks for it', async () => {
  await world.root.call('PUT', '/v1/providers/machines', { body: machines });
  const jwk = { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }), kid: 'k', alg: 'ES256' };
  for (const method of ['app', 'jwt', 'hers', 'web'])
    await world.root.call('POST', '/v1/integrations', { body: { id: method, provider: 'machines', method, ...registration, private_key_jwk: jwk } });
  const connect = await world.clientWith(['connect']);
  const link = (integration: string, inputs: Record<string, string>) => connect.createConnectLink({ integration, end_user: { id: 'u1' }, inputs });
  for (const integration of ['app', 'jwt']) {
    const detail = 'Tenant has to come with the link: no page asks the end user for it.';
    expect(await problemOf(link(integration, {}))).toMatchObject({ status: 400, problem: { errors: [{ pointer: '/inputs/tenant', detail }] } });
    expect((await link(integration, { tenant: 'acme' })).url).toContain('/connect/');
  }
  // The region is not somebody; here the end user proves herself, and there she consents.
  const page = await createBrowser().open((await link('app', { tenant: 'acme' })).url);
  expect(page.html).toContain('name="region"');
  expect(page.html).not.toContain('name="tenant"');
  for (const integration of ['hers', 'web']) expect((await createBrowser().open((await link(integration, {})).url)).html).toContain('name="tenant"');
});

test('the host of a shipped client credentials method cannot come from a caller', async () => {
  const body = { id: 'coupa', provider: 'coupa', method: 'app', ...registration };
  expect(await problemOf(world.root.call('POST', '/v1/integrations', { body }))).toMatchObject({
    status: 400,
    problem: { errors: [{ pointer: '/inputs/host' }] },
  });
});

test('what an integration has come to lack is asked of no end user', async () => {
  const page = { grant: 'authorization_code', authorization_endpoint: 'https://acme.com/authorize', token_endpoint: 'https://acme.com/token' };
  const define = (more: object) => world.root.call('PUT', '/v1/providers/changing', { body: { id: 'changing', name: 'Changing', ...more } });
  await define({ methods: { web: page } });
  await world.root.call('POST', '/v1/integrations', { body: { id: 'changing', provider: 'changing', ...registration } });
  const connect = await world.clientWith(['connect']);
  const link = { integration: 'changing', end_user: { id: 'u1' } };
  await define({ inputs: { host: { label: 'Host', host: true } }, methods: { web: { ...page, token_endpoint: 'https://{host}/token' } } });
  const detail = 'Host has to be set by the integration, which does not say it yet: change its inputs.';
  expect(await problemOf(connect.createConnectLink(link))).toMatchObject({ status: 400, problem: { errors: [{ pointer: '/inputs/host', detail }] } });
});

test('a method that the integration is not registered for is refused, and the integration stays well', async () => {
  await world.root.call('POST', '/v1/integrations', { body: { id: 'box', provider: 'box', ...registration } });
  const body = { integration: 'box', end_user: { id: 'u1' }, grant: 'jwt_bearer', inputs: { subject_id: '1' } };
  const connect = await world.clientWith(['connect']);
  expect(await problemOf(connect.call('POST', '/v1/connections', { body }))).toMatchObject({
    status: 400,
    problem: { errors: [{ pointer: '/grant' }] },
  });
  expect(await world.root.call('GET', '/v1/integrations/box')).toMatchObject({ status: 'active' });
});
