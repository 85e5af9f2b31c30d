import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clientCredentials } from '../../src/grants/client-credentials.ts';
import { credentialExchange } from '../../src/grants/credential-exchange.ts';
import { createDoor } from '../../src/outside/http.ts';
import type { Started } from '../../src/protocol/grant.ts';
import { type Local, serveHttp } from '../outside/local-servers.ts';
import { contextFor, json, scriptedDoor } from './context.ts';

const input = { redirectUri: '', state: '', scopes: ['a', 'b'], endpoint: 'authorization' } as const;
const fieldsOf = (started: Started) => {
  if (started.kind !== 'credential') throw new Error(started.kind);
  return started.credential.reveal();
};

describe('over HTTP', () => {
  let server: Local;
  const seen: { url: string; body: string; authorization: string | undefined }[] = [];
  const door = createDoor({ allowPrivateHosts: true });
  beforeAll(async () => {
    server = await serveHttp((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        seen.push({ url: request.url ?? '', body, authorization: request.headers.authorization });
        const bad = request.url?.includes('auth_token=bad');
        const reply = bad ? { error: 'invalid token' } : { access_token: `at-${seen.length}`, refresh_token: 'idle', expires_in: 60 };
        response.writeHead(bad ? 401 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(reply));
      });
    });
  });
  afterAll(async () => {
    await door.close();
    await server.close();
  });

  test('client credentials: obtain, and obtain again', async () => {
    const ctx = contextFor(
      'client_credentials',
      { token_endpoint: `http://127.0.0.1:${server.port}/token` },
      { door: door.send, allowPrivateHosts: true },
    );
    const started = await clientCredentials.start(ctx, input);
    expect(seen.at(-1)).toEqual({ url: '/token', body: 'grant_type=client_credentials&scope=a+b', authorization: 'Basic Y2xpZW50OnNlY3JldA==' });
    const fields = fieldsOf(started);
    expect(fields).toMatchObject({ scopes: ['a', 'b'], lifetimeS: 60 });
    expect(fields).not.toHaveProperty('refresh_token');
    if (started.kind !== 'credential') throw new Error(started.kind);
    const next = await clientCredentials.refresh?.(ctx, started.credential);
    expect(next?.reveal().access_token).not.toBe(fields.access_token);
    expect(next?.reveal()).not.toHaveProperty('refresh_token');
  });

  test('credential exchange: what the end user handed over, in the query, and again when the token has ended', async () => {
    const method = {
      token_endpoint: `http://127.0.0.1:${server.port}/authorize`,
      token: { format: 'query', params: { auth_token: '{auth_token}' } },
      inputs: { auth_token: { label: 'Auth token', secret: true } },
    };
    const ctx = contextFor('credential_exchange', method, { door: door.send, allowPrivateHosts: true, inputs: { auth_token: 'a b&c' } });
    const started = await credentialExchange.start(ctx, { ...input, scopes: [] });
    expect(seen.at(-1)).toEqual({ url: '/authorize?client_id=client&client_secret=secret&auth_token=a%20b%26c', body: '', authorization: undefined });
    if (started.kind !== 'credential') throw new Error(started.kind);
    expect((await credentialExchange.refresh?.(ctx, started.credential))?.reveal()).not.toHaveProperty('refresh_token');
    expect(seen.at(-1)?.url).toContain('auth_token=a%20b%26c');
    // An unexplained 401 speaks of what the end user gave, not of our registration.
    const wrong = { ...ctx, inputs: { auth_token: 'bad' } };
    await expect(credentialExchange.start(wrong, { ...input, scopes: [] })).rejects.toMatchObject({ code: 'invalid_grant' });
  });
});

test('a refresh token is kept where the definition uses it', async () => {
  const { door } = scriptedDoor(json({ access_token: 'at', refresh_token: 'rt' }));
  const ctx = contextFor('client_credentials', { token_endpoint: 'https://as.acme.com/t', refresh: { how: 'refresh_token' } }, { door });
  expect(fieldsOf(await clientCredentials.start(ctx, input))).toMatchObject({ refresh_token: 'rt' });
});

test.each(['client_secret_basic', 'basic_raw', 'client_secret_post', 'none'])(
  '%s and no other authentication',
  async (token_endpoint_auth_method) => {
    const { door, sent } = scriptedDoor(json({ access_token: 'at' }));
    const ctx = contextFor('client_credentials', { token_endpoint: 'https://as.acme.com/t', token_endpoint_auth_method }, { door });
    await clientCredentials.start(ctx, input);
    const form = new URLSearchParams(sent[0]?.body);
    expect(sent[0]?.headers?.['authorization'] !== undefined).toBe(token_endpoint_auth_method.includes('basic'));
    expect(form.has('client_secret')).toBe(token_endpoint_auth_method === 'client_secret_post');
    expect(form.has('client_assertion')).toBe(false);
  },
);

test('an input that is missing is named, and nothing is sent', async () => {
  const { door, sent } = scriptedDoor();
  const ctx = contextFor('credential_exchange', { token_endpoint: 'https://as.acme.com/t', token: { params: { t: '{auth_token}' } } }, { door });
  await expect(credentialExchange.start(ctx, { ...input, scopes: [] })).rejects.toMatchObject({
    code: 'invalid_request',
    message: 'The value of {auth_token} is missing.',
  });
  expect(sent).toHaveLength(0);
});

test('a header line cannot be broken by an input', async () => {
  const { door, sent } = scriptedDoor();
  const method = { token_endpoint: 'https://as.acme.com/t', token: { headers: { 'X-Tenant': '{tenant}' } } };
  const ctx = contextFor('client_credentials', method, { door, inputs: { tenant: 'a\r\nAuthorization: evil' } });
  await expect(clientCredentials.start(ctx, input)).rejects.toMatchObject({ code: 'invalid_request' });
  expect(sent).toHaveLength(0);
});

test('a token that cannot stand in the path, where the API wants it, is no token', async () => {
  const api = { base_url: 'https://api.acme.com', token: { in: 'path' } };
  for (const [access_token, answered] of [
    ['..', 'refused'],
    ['a/..', 'taken'],
  ]) {
    const { door } = scriptedDoor(json({ access_token }));
    const ctx = contextFor('client_credentials', { token_endpoint: 'https://as.acme.com/t' }, { door, api });
    const started = clientCredentials.start(ctx, input).then(
      () => 'taken',
      ({ code }) => (code === 'bad_provider_answer' ? 'refused' : code),
    );
    expect([access_token, await started]).toEqual([access_token, answered]);
  }
});
