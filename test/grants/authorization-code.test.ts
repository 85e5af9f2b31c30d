import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { authorizationCode } from '../../src/grants/authorization-code.ts';
import { createDoor } from '../../src/outside/http.ts';
import { GrantryError } from '../../src/protocol/errors.ts';
import type { StartInput } from '../../src/protocol/grant.ts';
import { type Local, serveHttp } from '../outside/local-servers.ts';
import { contextFor, formOf, json, scriptedDoor } from './context.ts';

const endpoints = { authorization_endpoint: 'https://as.acme.com/authorize', token_endpoint: 'https://as.acme.com/token' };
const input: StartInput = {
  redirectUri: 'https://broker.acme.com/oauth/callback?x=1&y=a%2Fb',
  state: 's'.repeat(43),
  scopes: ['read', 'write'],
  endpoint: 'authorization',
};
const answer = { access_token: 'at-1', token_type: 'Bearer', expires_in: 3600, refresh_token: 'rt-1' };

async function start(
  method: Record<string, unknown> = {},
  { scopes = input.scopes, ...settings }: Parameters<typeof contextFor>[2] & { scopes?: readonly string[] } = {},
) {
  const ctx = contextFor('authorization_code', { ...endpoints, ...method }, settings);
  const started = await authorizationCode.start(ctx, { ...input, scopes });
  if (started.kind !== 'redirect') throw new Error(started.kind);
  const url = new URL(started.redirect);
  return { ctx, started, url, query: [...url.searchParams] };
}

async function finish(
  method: Record<string, unknown>,
  door: ReturnType<typeof scriptedDoor>['door'],
  { code = 'code-1', keep = {}, ...settings }: Record<string, unknown> = {},
) {
  const ctx = contextFor('authorization_code', { ...endpoints, ...method }, { door, ...settings });
  const pending = { redirectUri: input.redirectUri, scopes: input.scopes, codeVerifier: 'v'.repeat(43) };
  const credential = await authorizationCode.finish?.(ctx, pending, { code: code as string, keep: keep as Record<string, string> });
  return credential?.reveal();
}

describe('the redirect', () => {
  test('has each parameter of RFC 6749 section 4.1.1 and RFC 7636 section 4.3 once', async () => {
    const { query, started } = await start();
    const verifier = started.pending.codeVerifier ?? '';
    expect(verifier).toMatch(/^[\w-]{43}$/);
    expect(Object.fromEntries(query)).toEqual({
      response_type: 'code',
      client_id: 'client',
      redirect_uri: input.redirectUri,
      scope: 'read write',
      state: input.state,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    });
    expect(query).toHaveLength(7);
  });

  test("keeps the endpoint's own query byte for byte, and never lets it stand for a parameter of ours", async () => {
    const { started, url } = await start({ authorization_endpoint: 'https://as.acme.com/a?tenant=1&client_id=evil&e=%2f+x&client%5Fid=worse' });
    expect(started.redirect).toContain('/a?tenant=1&e=%2f+x&');
    expect(url.searchParams.getAll('client_id')).toEqual(['client']);
  });

  test('is made anew each time', async () => {
    const [one, two] = [await start(), await start()];
    expect(one.started.pending.codeVerifier).not.toBe(two.started.pending.codeVerifier);
  });

  test('says what the definition says: renamed, omitted, added, with a fragment', async () => {
    const { query, url } = await start(
      {
        authorization: {
          params: {
            access_type: 'offline',
            'grant_options[]': '{mode}',
            again: '{scope}|{client_id}|{redirect_uri}',
            state: 'fixed',
            gone: '{hint}',
          },
          rename: { client_id: 'client_key', state: 'st' },
          omit: ['response_type'],
          fragment: 'wechat_redirect',
        },
        scopes: { separator: ',', param: 'user_scope' },
        callback: { response_mode: 'form_post' },
        code_challenge_method: 'plain',
        inputs: { mode: { label: 'Mode' }, hint: { label: 'Hint', optional: true } },
      },
      { inputs: { mode: 'per user' } },
    );
    expect(Object.fromEntries(query)).toMatchObject({
      access_type: 'offline',
      'grant_options[]': 'per user',
      again: `read,write|client|${input.redirectUri}`,
      client_key: 'client',
      st: input.state,
      user_scope: 'read,write',
      response_mode: 'form_post',
      code_challenge_method: 'plain',
    });
    expect(query.map(([name]) => name)).not.toEqual(expect.arrayContaining(['client_id']));
    expect(query.map(([name]) => name)).not.toContain('response_type');
    expect(query.map(([name]) => name)).not.toContain('gone');
    expect(url.hash).toBe('#wechat_redirect');
  });

  test('never gives state or challenge a value of the definition', async () => {
    const { url } = await start({ authorization: { params: { state: 'fixed', code_challenge: 'mine', code_challenge_method: 'plain' } } });
    expect(url.searchParams.getAll('state')).toEqual([input.state]);
    expect(url.searchParams.getAll('code_challenge_method')).toEqual(['S256']);
    expect(url.searchParams.get('code_challenge')).not.toBe('mine');
  });

  test('has no PKCE where the definition says none, and plain is the verifier itself', async () => {
    const none = await start({ code_challenge_method: 'none' });
    expect(none.started.pending).not.toHaveProperty('codeVerifier');
    expect(none.url.searchParams.has('code_challenge')).toBe(false);
    const plain = await start({ code_challenge_method: 'plain' });
    expect(plain.url.searchParams.get('code_challenge')).toBe(plain.started.pending.codeVerifier);
  });

  test('has no scope when none is asked for, and is refused where one is needed', async () => {
    expect((await start({}, { scopes: [] })).url.searchParams.has('scope')).toBe(false);
    await expect(start({ scopes: { required: true } }, { scopes: [] })).rejects.toMatchObject({ code: 'invalid_request' });
    await expect(start({}, { scopes: ['a b'] })).rejects.toMatchObject({ code: 'invalid_request' });
  });

  test('fills templates of the endpoint', async () => {
    const method = {
      authorization_endpoint: 'https://{subdomain}.acme.com/{path}',
      inputs: { subdomain: { label: 'Subdomain' }, path: { label: 'Path' } },
    };
    expect((await start(method, { inputs: { subdomain: 'shop', path: 'a/b' } })).started.redirect).toContain('https://shop.acme.com/a%2Fb?');
    await expect(start(method, { inputs: { subdomain: 'evil.net/', path: '' } })).rejects.toMatchObject({ code: 'invalid_request' });
  });

  test('needs a client id', async () => {
    await expect(start({}, { client: { client_id: '' } })).rejects.toMatchObject({ code: 'invalid_client' });
  });
});

describe('the exchange', () => {
  test('sends the code once, with the redirect URI byte for byte and the verifier', async () => {
    const { door, sent } = scriptedDoor(json(answer));
    const fields = await finish({}, door, { keep: { realmId: '42' } });
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatchObject({
      method: 'POST',
      url: endpoints.token_endpoint,
      headers: { accept: 'application/json', authorization: 'Basic Y2xpZW50OnNlY3JldA==' },
    });
    expect(formOf(sent[0])).toEqual({
      grant_type: 'authorization_code',
      code: 'code-1',
      redirect_uri: input.redirectUri,
      code_verifier: 'v'.repeat(43),
    });
    expect(fields).toEqual({
      kind: 'oauth2',
      access_token: 'at-1',
      refresh_token: 'rt-1',
      token_type: 'bearer',
      scopes: ['read', 'write'],
      lifetimeS: 3600,
      refreshLifetimeS: null,
      extras: { realmId: '42' },
    });
  });

  test('never begins a new flow, and sends nothing for a code that is not one', async () => {
    for (const code of ['', ['a', 'b'], { x: 'y' }, null, 7]) {
      const { door, sent } = scriptedDoor(json(answer));
      await expect(finish({}, door, { code: code as string }), String(code)).rejects.toMatchObject({ code: 'invalid_callback' });
      expect(sent).toHaveLength(0);
    }
  });

  test.each([
    ['no_answer', 'exchange_unknown'],
    ['provider_unreachable', 'provider_unreachable'],
    ['bad_provider_answer', 'bad_provider_answer'],
    ['address_refused', 'address_refused'],
  ] as const)('the door says %s: the exchange says %s, and the code is not sent again', async (given, expected) => {
    const { door, sent } = scriptedDoor(new GrantryError(given), json(answer));
    await expect(finish({}, door)).rejects.toMatchObject({ name: 'GrantryError', code: expected });
    expect(sent).toHaveLength(1);
  });

  test.each([
    [400, { error: 'invalid_grant' }, 'invalid_grant'],
    [401, { error: 'invalid_client' }, 'invalid_client'],
    [400, { error: 'unheard of' }, 'provider_error'],
    [503, {}, 'provider_unavailable'],
  ] as const)('an answer %i %o keeps its code through passport', async (status, body, code) => {
    const { door, sent } = scriptedDoor(json(body, status), json(answer));
    await expect(finish({}, door)).rejects.toMatchObject({ name: 'GrantryError', code });
    expect(sent).toHaveLength(1);
  });

  test('a fault of our own comes out as ours', async () => {
    await expect(finish({}, () => Promise.reject(new TypeError('marker-body')))).rejects.toMatchObject({ code: 'internal_error' });
  });

  test('speaks JSON, GET and other names where the definition says so', async () => {
    const asJson = scriptedDoor(json(answer));
    await finish(
      {
        token: {
          format: 'json',
          rename: { code: 'auth_code' },
          params: { type: 'web_server', at: '{redirect_uri}' },
          headers: { 'X-App': '{client_id}' },
        },
      },
      asJson.door,
    );
    expect(JSON.parse(asJson.sent[0]?.body ?? '')).toMatchObject({ auth_code: 'code-1', type: 'web_server', at: input.redirectUri });
    expect(asJson.sent[0]?.headers).toMatchObject({ 'content-type': 'application/json', 'x-app': 'client' });

    const asGet = scriptedDoor(json(answer));
    await finish(
      { token_endpoint: 'https://as.acme.com/token?v=5&code=evil', token: { method: 'GET' }, token_endpoint_auth_method: 'client_secret_post' },
      asGet.door,
    );
    const url = new URL(asGet.sent[0]?.url ?? '');
    expect(asGet.sent[0]?.body).toBeUndefined();
    expect(url.searchParams.getAll('code')).toEqual(['code-1']);
    expect(Object.fromEntries(url.searchParams)).toMatchObject({ v: '5', client_id: 'client', client_secret: 'secret' });
  });

  test('what the callback brought never chooses where the code and the secret go', async () => {
    const { door, sent } = scriptedDoor(json(answer));
    const method = { token_endpoint: '{extras.host}/token', callback: { keep: ['host'] } };
    await expect(finish(method, door, { keep: { host: 'https://evil.com' } })).rejects.toMatchObject({ code: 'invalid_request' });
    expect(sent).toHaveLength(0);
  });
});

describe('two providers over HTTP', () => {
  let server: Local;
  let base: string;
  const seen: { method: string; url: string; body: string; authorization: string | undefined }[] = [];
  const door = createDoor({ allowPrivateHosts: true });
  beforeAll(async () => {
    server = await serveHttp((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        seen.push({ method: request.method ?? '', url: request.url ?? '', body, authorization: request.headers.authorization });
        const params = new URLSearchParams(body);
        const phonegap = request.url?.startsWith('/authorize/token?');
        const refreshing = params.get('grant_type') === 'refresh_token';
        const reply = phonegap
          ? new URL(request.url ?? '', 'http://x').searchParams.get('code') === 'good'
            ? { access_token: 'pg-token' }
            : { error: 'invalid request' }
          : { access_token: refreshing ? 'at-2' : 'at-1', token_type: 'bearer', expires_in: 60, ...(refreshing ? {} : { refresh_token: 'rt-1' }) };
        response.writeHead(200, { 'content-type': 'text/html' }).end(JSON.stringify(reply));
      });
    });
    base = `http://127.0.0.1:${server.port}`;
  });
  afterAll(async () => {
    await door.close();
    await server.close();
  });

  test('a standard one: redirect, exchange, refresh with the old refresh token kept, present, revoke', async () => {
    const ctx = contextFor(
      'authorization_code',
      { authorization_endpoint: `${base}/authorize`, token_endpoint: `${base}/token`, revocation_endpoint: `${base}/revoke` },
      { door: door.send, allowPrivateHosts: true },
    );
    const started = await authorizationCode.start(ctx, input);
    if (started.kind !== 'redirect') throw new Error(started.kind);
    const credential = await authorizationCode.finish?.(ctx, started.pending, { code: 'c', keep: {} });
    if (credential === undefined) throw new Error('no credential');
    const challenge = new URL(started.redirect).searchParams.get('code_challenge');
    const sent = new URLSearchParams(seen.at(-1)?.body);
    expect(
      createHash('sha256')
        .update(sent.get('code_verifier') ?? '')
        .digest('base64url'),
    ).toBe(challenge);
    expect(sent.get('redirect_uri')).toBe(new URL(started.redirect).searchParams.get('redirect_uri'));

    const next = await authorizationCode.refresh?.(ctx, credential);
    expect(next?.reveal()).toMatchObject({ access_token: 'at-2', refresh_token: 'rt-1' });
    expect(authorizationCode.present(ctx, credential, { method: 'GET', url: 'https://api.acme.com/me' })).toEqual({
      url: 'https://api.acme.com/me',
      headers: { Authorization: 'Bearer at-1' },
    });
    await authorizationCode.revoke?.(ctx, credential);
    expect(seen.slice(-2).map(({ body }) => Object.fromEntries(new URLSearchParams(body)))).toEqual([
      { token: 'rt-1', token_type_hint: 'refresh_token' },
      { token: 'at-1', token_type_hint: 'access_token' },
    ]);
    expect(seen.at(-1)?.authorization).toMatch(/^Basic /);
  });

  test('one with its parameters in the query of a POST, no grant_type, and an error with 200', async () => {
    const ctx = contextFor(
      'authorization_code',
      {
        authorization_endpoint: `${base}/authorize`,
        token_endpoint: `${base}/authorize/token`,
        token_endpoint_auth_method: 'client_secret_post',
        code_challenge_method: 'none',
        callback: { state: 'not_echoed', denied: ['authorization_refused'] },
        token: { format: 'query', omit: ['grant_type', 'redirect_uri'] },
        refresh: { how: 'none' },
      },
      { door: door.send, allowPrivateHosts: true, api: { token: { in: 'query', name: 'access_token' } } },
    );
    const pending = { redirectUri: input.redirectUri, scopes: [] };
    const credential = await authorizationCode.finish?.(ctx, pending, { code: 'good', keep: {} });
    if (credential === undefined) throw new Error('no credential');
    expect(seen.at(-1)).toEqual({
      method: 'POST',
      url: '/authorize/token?code=good&client_id=client&client_secret=secret',
      body: '',
      authorization: undefined,
    });
    expect(credential.reveal()).toMatchObject({ access_token: 'pg-token', token_type: 'bearer', lifetimeS: null, scopes: [] });
    expect(authorizationCode.present(ctx, credential, { method: 'GET', url: 'https://b.com/me?access_token=x&a=1' }).url).toBe(
      'https://b.com/me?a=1&access_token=pg-token',
    );
    await expect(authorizationCode.finish?.(ctx, pending, { code: 'bad', keep: {} })).rejects.toMatchObject({ code: 'provider_error' });
    await expect(authorizationCode.refresh?.(ctx, credential)).rejects.toMatchObject({ code: 'unsupported' });
    await expect(authorizationCode.revoke?.(ctx, credential)).rejects.toMatchObject({ code: 'unsupported' });
  });
});
