import { generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type JWTPayload, jwtVerify } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { problemOf, startTestBroker, type TestBroker } from '../harness/broker.ts';

/** A service account whose key the end user pastes into our page: a server that checks each signature gives the tokens (RFC 7523 section 3.1). */

const pair = () => generateKeyPairSync('rsa', { modulusLength: 2048 });
const { privateKey, publicKey } = pair();
const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();

let world: TestBroker;
let server: Server;
let issuer: string;
let disabled = false;
const seen: JWTPayload[] = [];

async function issued(body: string): Promise<[status: number, answer: unknown]> {
  const form = new URLSearchParams(body);
  const verified = await jwtVerify(form.get('assertion') ?? '', publicKey, { audience: `${issuer}/token`, issuer: 'robot@acme.com' }).catch(
    () => undefined,
  );
  const isNew = verified !== undefined && !seen.some(({ jti }) => jti === verified.payload.jti);
  if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:jwt-bearer' || !isNew || disabled) return [400, { error: 'invalid_grant' }];
  seen.push(verified.payload);
  return [200, { access_token: `at-${seen.length}`, token_type: 'Bearer', expires_in: 3_600 }];
}

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const [status, answer] = await issued(body);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  world = await startTestBroker();
  const definition = {
    id: 'robots',
    name: 'Robots',
    methods: {
      account: {
        grant: 'jwt_bearer',
        token_endpoint: `${issuer}/token`,
        inputs: { email: { label: 'E-mail' }, key: { label: 'Private key', secret: true, private_key: true } },
        assertion: { issuer: '{email}', claims: { scope: '{scope}' }, key: '{key}' },
        scopes: { default: ['read'] },
        token: { omit: ['client_id', 'scope'] },
      },
    },
  };
  await world.root.call('PUT', '/v1/providers/robots', { body: definition });
  // Our registration is nothing there.
  await world.root.call('POST', '/v1/integrations', { body: { id: 'robots', provider: 'robots' } });
});
afterAll(async () => {
  server?.close();
  await world?.stop();
});

let connection: string;

test('a key that is none is told at once; one of somebody else is refused by the provider; the right one connects', async () => {
  const link = await world.root.createConnectLink({ integration: 'robots', end_user: { id: 'u1' } });
  const page = await createBrowser().open(link.url);
  expect(page.html).toContain('<textarea');
  const garbled = await page.submit({ email: 'robot@acme.com', key: pem.slice(0, 300) });
  expect([garbled.status, garbled.text]).toEqual([400, expect.stringContaining('Must be a private key in PEM form')]);
  expect(garbled.html).not.toContain(pem.slice(100, 160));
  expect(seen).toEqual([]);
  const other = pair().privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const refused = await garbled.submit({ email: 'robot@acme.com', key: other });
  expect([refused.status, refused.text]).toEqual([400, expect.stringContaining('Robots does not accept this')]);
  // As a browser sends the lines of a text area.
  const done = await refused.submit({ email: 'robot@acme.com', key: pem.replaceAll('\n', '\r\n') });
  expect(done.title).toContain('is connected');
  connection = (await world.root.getConnectLink(link.id)).connection_id ?? '';
  expect(await world.root.getToken(connection)).toMatchObject({ access_token: 'at-1' });
  expect(seen).toMatchObject([{ scope: 'read' }]);
});

test('a new token is asked for with a new assertion, by the broker alone', async () => {
  expect(await world.root.getToken(connection, { force: true })).toMatchObject({ access_token: 'at-2' });
  expect(new Set(seen.map(({ jti }) => jti)).size).toBe(2);
});

test('without a browser; the key is nowhere to be read', async () => {
  const inputs = { email: 'robot@acme.com', key: pem };
  const made = await world.root.call<{ id: string }>('POST', '/v1/connections', {
    body: { integration: 'robots', end_user: { id: 'u2' }, grant: 'jwt_bearer', inputs },
  });
  expect(await world.root.getToken(made.id)).toMatchObject({ access_token: 'at-3' });
  const rows = JSON.stringify(await world.sql('select * from connections'));
  const line = pem.split('\n')[5] ?? '';
  expect(line).toHaveLength(64);
  for (const text of [rows, world.logged.join(), JSON.stringify(await world.root.call('GET', `/v1/connections/${made.id}`))])
    expect(text).not.toContain(line);
});

test('a service account that was disabled has to be connected again', async () => {
  disabled = true;
  await expect(world.root.getToken(connection, { force: true })).rejects.toMatchObject({ code: 'reauthorization_required' });
  expect(await world.root.call('GET', `/v1/connections/${connection}`)).toMatchObject({ status: 'reauthorization_required' });
});

test('who connects again need not say in whose name: it is that of the connection, and no other', async () => {
  disabled = false;
  const own = {
    id: 'apps',
    name: 'Apps',
    methods: {
      app: {
        grant: 'jwt_bearer',
        token_endpoint: `${issuer}/token`,
        assertion: { issuer: 'robot@acme.com', subject: '{user}' },
        inputs: { user: { label: 'User' } },
      },
    },
  };
  await world.root.call('PUT', '/v1/providers/apps', { body: own });
  await world.root.call('POST', '/v1/integrations', { body: { id: 'apps', provider: 'apps', client_id: 'app', private_key_pem: pem } });
  const end_user = { id: 'u3' };
  const made = await world.root.call<{ id: string }>('POST', '/v1/connections', {
    body: { integration: 'apps', end_user, grant: 'jwt_bearer', inputs: { user: 'ada' } },
  });
  expect(seen.at(-1)).toMatchObject({ sub: 'ada' });
  const again = { integration: 'apps', end_user, connection_id: made.id };
  const { url } = await world.root.createConnectLink(again);
  const done = await (await createBrowser().open(url)).submit();
  expect(done.title).toContain('is connected');
  expect(seen.at(-1)).toMatchObject({ sub: 'ada' });
  expect(await problemOf(world.root.createConnectLink({ ...again, inputs: { user: 'bob' } }))).toMatchObject({
    status: 400,
    problem: { errors: [{ pointer: '/inputs/user' }] },
  });
});
