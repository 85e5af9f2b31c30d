import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Endpoint } from '../../../src/web/api/endpoint.ts';
import { endpoints } from '../../../src/web/api/router.ts';
import { connect, type Whole, withAuthorizationServer } from '../../broker/connected.ts';
import { startWholeSandbox } from '../../harness/broker.ts';
import { type Ask, ask, json, requestId, type Told } from './ask.ts';
import { bodies } from './samples.ts';

/** What belongs to one project does not exist for another: the answers are the same, byte by byte, as for what was never there. */

let world: Whole;
let owner: string;
let stranger: string;
/** The ids of the project `default`, by the first part of the path. */
const ids: Record<string, string> = {};

beforeAll(async () => {
  world = await startWholeSandbox();
  await withAuthorizationServer(world);
  ids.connections = await connect(world);
  const hook = await world.root.call<{ id: string }>('POST', '/v1/webhook-endpoints', { body: { url: 'http://127.0.0.1:9/' } });
  const link = await world.root.createConnectLink({ integration: 'as', end_user: { id: 'u1' } });
  const deliveries = await world.root.call<{ data: { id: string }[] }>('GET', '/v1/webhook-deliveries');
  Object.assign(ids, { 'webhook-endpoints': hook.id, 'webhook-deliveries': deliveries.data[0]?.id });
  await world.root.call('POST', '/v1/projects', { body: { id: 'stranger', name: 'Stranger' } });
  owner = (await world.clientWith(['admin'])).key;
  stranger = (await world.clientWith(['admin'], 'stranger')).key;
  const { data } = await world.root.call<{ data: { id: string }[] }>('GET', '/v1/api-keys');
  const made = await world.root.call<{ id: string }>('POST', '/v1/integrations/as/test', { body: {} });
  Object.assign(ids, { tests: made.id, 'connect-links': link.id, integrations: 'as', providers: 'sandbox-as', 'api-keys': data[0]?.id });
});
afterAll(() => world.stop());

const withId = endpoints.filter(({ path, scope }) => path.includes('/:id') && scope !== 'root');
const kindOf = ({ path }: Endpoint) => path.split('/')[2] ?? '';

function requestFor(endpoint: Endpoint, id: string): Ask {
  const body = bodies[`${endpoint.method} ${endpoint.path}`];
  const definition = world.sandbox.providers.authorizationServer.definition.replace('"sandbox-as"', JSON.stringify(id));
  const content =
    endpoint.bodyFormat === 'definition'
      ? { headers: { 'content-type': 'application/json' }, body: definition }
      : body === undefined
        ? {}
        : json(body);
  return {
    ...content,
    method: endpoint.method.toUpperCase(),
    path: endpoint.path
      .replace(':id', id)
      .replace(':link', ids.tests ?? '')
      .replace(':version', '1'),
  };
}

/** All that an answer tells but the time. */
async function told(asked: Ask): Promise<Told> {
  const { headers, ...answer } = await ask(world.url, { ...asked, headers: { ...asked.headers, 'x-request-id': requestId } });
  const { date: _, ...others } = headers;
  return { ...answer, headers: others };
}
const missing: Record<string, string> = {
  connections: 'con_00000000000000000000000000',
  'connect-links': 'lnk_00000000000000000000000000',
  integrations: 'zz',
  providers: 'sandbox-zz',
  'api-keys': 'key_00000000000000000000000000',
  'webhook-endpoints': 'whe_00000000000000000000000000',
  'webhook-deliveries': 'whd_00000000000000000000000000_0000000000',
};

describe('an id of another project', () => {
  test.each(withId.filter(({ method }) => method !== 'put').map((endpoint): [string, Endpoint] => [`${endpoint.method} ${endpoint.path}`, endpoint]))(
    'is nobody’s in %s',
    async (_, endpoint) => {
      const kind = kindOf(endpoint);
      const foreign = await told({ ...requestFor(endpoint, ids[kind] ?? ''), key: stranger });
      const absent = await told({ ...requestFor(endpoint, missing[kind] ?? ''), key: stranger });
      expect(foreign.status).toBe(404);
      expect(foreign).toEqual(absent);
      for (const id of ['zzz', '*', "' or 1=1--", '..', '%2e%2e%2f', 'con_%', '\u00e9'.repeat(50)]) {
        const odd = await told({ ...requestFor(endpoint, encodeURIComponent(id)), key: stranger });
        expect([id, odd.status, odd.text]).toEqual([id, absent.status, absent.text]);
      }
    },
  );

  test.each([
    ['the integration of a link', '/v1/connect-links', (known: boolean) => ({ integration: known ? 'as' : 'zz', end_user: { id: 'u1' } })],
    [
      'the integration of a connection',
      '/v1/connections',
      (known: boolean) => ({ integration: known ? 'as' : 'zz', end_user: { id: 'u1' }, import: { access_token: 'at' } }),
    ],
    [
      'the provider of an integration',
      '/v1/integrations',
      (known: boolean) => ({ id: 'mine', provider: known ? 'sandbox-as' : 'sandbox-zz', client_id: 'a', client_secret: 'b' }),
    ],
  ])('is nobody’s as %s', async (_, path, body) => {
    const foreign = await told({ method: 'POST', path, key: stranger, ...json(body(true)) });
    expect(foreign.status).toBe(400);
    expect(foreign).toEqual(await told({ method: 'POST', path, key: stranger, ...json(body(false)) }));
  });

  test('is nobody’s as the connection that a link renews, and in filters and lists', async () => {
    await world.root.call('PUT', '/v1/providers/sandbox-as', { body: world.sandbox.providers.authorizationServer.definition });
    const own = { id: 'as', provider: 'sandbox-as', client_id: 'a', client_secret: 'b' };
    await ask(world.url, {
      method: 'PUT',
      path: '/v1/providers/sandbox-as',
      key: stranger,
      headers: { 'content-type': 'application/json' },
      body: world.sandbox.providers.authorizationServer.definition,
    });
    expect((await ask(world.url, { method: 'POST', path: '/v1/integrations', key: stranger, ...json(own) })).status).toBe(201);
    const link = (connection: string | undefined) =>
      told({
        method: 'POST',
        path: '/v1/connect-links',
        key: stranger,
        ...json({ integration: 'as', end_user: { id: 'u1' }, connection_id: connection }),
      });
    const foreign = await link(ids.connections);
    expect(foreign.status).toBe(400);
    expect(foreign).toEqual(await link(missing.connections));
    for (const path of [
      '/v1/connections',
      '/v1/connections?integration=as',
      '/v1/connections?end_user=u1',
      '/v1/events',
      '/v1/webhook-endpoints',
      '/v1/webhook-deliveries',
      `/v1/webhook-deliveries?endpoint=${ids['webhook-endpoints']}`,
    ]) {
      const { data } = JSON.parse((await ask(world.url, { path, key: stranger })).text);
      expect(data).toEqual([]);
    }
    const keys = JSON.parse((await ask(world.url, { path: '/v1/api-keys', key: stranger })).text).data;
    expect(keys).toHaveLength(1);
  });

  test('is not reached by naming its project in a header or a body', async () => {
    const path = `/v1/connections/${ids.connections}`;
    expect((await ask(world.url, { path, key: stranger, headers: { 'grantry-project': 'default' } })).status).toBe(404);
    expect((await ask(world.url, { path: `${path}/token`, key: stranger, headers: { 'grantry-project': 'default' } })).status).toBe(404);
    expect((await ask(world.url, { path: `${path}?project=default`, key: stranger })).status).toBe(400);
  });

  test('is there for its own project, and for the root key that names it', async () => {
    for (const endpoint of withId.filter(({ method }) => method === 'get')) {
      const asked = requestFor(endpoint, ids[kindOf(endpoint)] ?? '');
      expect((await ask(world.url, { ...asked, key: owner })).status).toBe(200);
      expect((await ask(world.url, { ...asked, key: world.broker.rootKey })).status).toBe(200);
      expect((await ask(world.url, { ...asked, key: world.broker.rootKey, headers: { 'grantry-project': 'nowhere' } })).status).toBe(404);
    }
  });
});
