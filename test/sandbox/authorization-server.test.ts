import { importJWK, SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SandboxAs } from '../../src/sandbox/authorization-server.ts';
import { initialCounters, initialSwitches } from '../../src/sandbox/authorization-server-state.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { authorize, basic, browser, callback, callbackOf, getMe, post, refresh, startWorld, tokens } from './world.ts';

let sandbox: Sandbox;
let as: SandboxAs;

beforeAll(async () => {
  sandbox = await startWorld();
  as = sandbox.providers.authorizationServer;
});
afterAll(() => sandbox.stop());
beforeEach(() => {
  Object.assign(as.switches, initialSwitches());
  Object.assign(as.counters, initialCounters());
});

const ownAuth = () => ({ authorization: basic(as.client.client_id, as.client.client_secret) });

describe('the code flow', () => {
  it('shows who asks for what, and comes back with code, state and iss', async () => {
    const { consent, back } = await authorize(as);
    expect(consent.title).toBe('Sandbox sign-in');
    expect(consent.text).toContain('sandbox-client');
    expect(consent.text).toContain('offline_access');
    expect(back.get('state')).toBe('state-1');
    expect(back.get('iss')).toBe(as.issuer);
    expect(back.get('code')).toMatch(/./);
    expect(as.counters.authorize).toBe(1);
  });

  it('gives tokens that open the API for the user who approved', async () => {
    const answer = await tokens(as, { user: 'bob' });
    expect(answer).toMatchObject({ token_type: 'Bearer', expires_in: 60, scope: 'read offline_access' });
    const me = await getMe(as, answer.access_token);
    expect(me.status).toBe(200);
    expect(await me.json()).toMatchObject({ id: 'bob', kind: 'user' });
    expect(as.counters).toMatchObject({ token: { authorization_code: 1 }, api_ok: 1 });
  });

  it('sends access_denied and iss back when the user declines', async () => {
    const { back } = await authorize(as, { button: 'Deny' });
    expect(back.get('error')).toBe('access_denied');
    expect(back.get('iss')).toBe(as.issuer);
    expect(back.get('code')).toBeNull();
  });

  it('asks each time, so that two users can share a browser', async () => {
    const tab = browser();
    await tokens(as, { user: 'alice', tab });
    const second = await tokens(as, { user: 'bob', tab });
    expect(await (await getMe(as, second.access_token)).json()).toMatchObject({ id: 'bob' });
    expect((await authorize(as, { tab })).consent.title).toBe('Sandbox sign-in');
  });

  it('refuses a request without PKCE, a wrong verifier and a redirect URI that is not registered', async () => {
    const ask = (more: Record<string, string>) =>
      browser().open(
        `${as.url}/auth?${new URLSearchParams({ client_id: 'sandbox-client', response_type: 'code', redirect_uri: callback, scope: 'read', ...more })}`,
      );
    expect(callbackOf(await ask({})).get('error')).toBe('invalid_request');
    expect((await ask({ redirect_uri: 'http://localhost:1/elsewhere' })).status).toBe(400);
    as.registerRedirectUri('http://localhost:39999/oauth/callback/own');
    expect(callbackOf(await ask({ redirect_uri: 'http://localhost:39999/oauth/callback/own' })).get('error')).toBe('invalid_request');

    const { back } = await authorize(as);
    const form = { grant_type: 'authorization_code', code: back.get('code') ?? '', redirect_uri: callback, code_verifier: 'x'.repeat(43) };
    expect((await post(`${as.url}/token`, form, ownAuth())).json()).toMatchObject({ error: 'invalid_grant' });
  });

  it('skips the page for the user of the auto-approve switch', async () => {
    as.switches.autoApprove = { user: 'carol' };
    const query = new URLSearchParams({
      client_id: 'sandbox-client',
      response_type: 'code',
      redirect_uri: callback,
      scope: 'read',
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
      code_challenge_method: 'S256',
    });
    expect(callbackOf(await browser().open(`${as.url}/auth?${query}`)).get('code')).toMatch(/./);
  });

  it('grants less than was asked for when scopes are withheld', async () => {
    as.switches.withheldScopes = ['write'];
    const answer = await tokens(as, { scope: 'read write offline_access' });
    expect(answer.scope).toBe('read offline_access');
  });
});

describe('refresh', () => {
  it('rotates, and the old access token lives on until it ends', async () => {
    const first = await tokens(as);
    const second = (await refresh(as, first.refresh_token)).json();
    expect(second.refresh_token).not.toBe(first.refresh_token);
    expect((await getMe(as, second.access_token)).status).toBe(200);
    expect((await getMe(as, first.access_token)).status).toBe(200);
    expect(as.counters).toMatchObject({ refresh_ok: 1, refresh_reuse: 0, token: { refresh_token: 1 } });
  });

  it('ends the whole grant when a used refresh token comes again', async () => {
    const first = await tokens(as);
    const other = await tokens(as);
    const second = (await refresh(as, first.refresh_token)).json();
    const again = await refresh(as, first.refresh_token);
    expect(again.status).toBe(400);
    expect(again.json()).toMatchObject({ error: 'invalid_grant' });
    expect((await getMe(as, second.access_token)).status).toBe(401);
    expect((await refresh(as, second.refresh_token)).json()).toMatchObject({ error: 'invalid_grant' });
    expect((await getMe(as, other.access_token)).status).toBe(200);
    expect(as.counters).toMatchObject({ refresh_ok: 1, refresh_reuse: 1 });
  });

  it('sees the second of two at once as reuse', async () => {
    const { refresh_token } = await tokens(as);
    const answers = await Promise.all(Array.from({ length: 30 }, () => refresh(as, refresh_token)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(as.counters).toMatchObject({ refresh_ok: 1, refresh_reuse: 1 });
  });

  it('keeps the refresh token when the switch says so', async () => {
    as.switches.rotation = 'none';
    const { refresh_token } = await tokens(as);
    expect((await refresh(as, refresh_token)).json()).toMatchObject({ refresh_token });
    expect((await refresh(as, refresh_token)).status).toBe(200);
  });

  it('gives the lifetimes of the switches', async () => {
    as.switches.accessTokenTtlS = 1;
    as.switches.refreshTokenTtlS = 1;
    const { access_token, refresh_token, expires_in } = await tokens(as);
    expect(expires_in).toBe(1);
    await expect.poll(async () => (await getMe(as, access_token)).status, { timeout: 5000, interval: 200 }).toBe(401);
    expect((await refresh(as, refresh_token)).json()).toMatchObject({ error: 'invalid_grant' });
  });

  it('refuses the tokens of a user who withdrew', async () => {
    const mine = await tokens(as, { user: 'mallory' });
    const other = await tokens(as, { user: 'alice' });
    as.revokeUser('mallory');
    expect((await refresh(as, mine.refresh_token)).json()).toMatchObject({ error: 'invalid_grant' });
    expect((await getMe(as, mine.access_token)).status).toBe(401);
    expect((await getMe(as, other.access_token)).status).toBe(200);
  });
});

describe('the other endpoints', () => {
  it('revokes a refresh token with its whole grant', async () => {
    const { access_token, refresh_token } = await tokens(as);
    const answer = await post(`${as.url}/token/revocation`, { token: String(refresh_token), token_type_hint: 'refresh_token' }, ownAuth());
    expect(answer.status).toBe(200);
    expect((await getMe(as, access_token)).status).toBe(401);
    expect((await refresh(as, refresh_token)).status).toBe(400);
    expect(as.counters.revocations).toBe(1);
  });

  it('says at introspection whether a token lives', async () => {
    const { access_token } = await tokens(as, { user: 'bob' });
    const ask = async (token: string) => (await post(`${as.url}/token/introspection`, { token }, ownAuth())).json();
    expect(await ask(String(access_token))).toMatchObject({ active: true, sub: 'bob' });
    expect(await ask('unknown')).toEqual({ active: false });
  });

  it('publishes its metadata with the iss parameter (RFC 8414, RFC 9207)', async () => {
    const metadata = await (await fetch(`${as.url}/.well-known/oauth-authorization-server`)).json();
    expect(metadata).toMatchObject({ issuer: as.issuer, token_endpoint: `${as.url}/token`, authorization_response_iss_parameter_supported: true });
  });

  it('authenticates by basic, post and a signed assertion, and refuses a wrong secret', async () => {
    const { client_id, client_secret } = as.client;
    const grant_type = 'client_credentials';
    const url = `${as.url}/token`;
    expect((await post(url, { grant_type, scope: 'read' }, ownAuth())).status).toBe(200);
    const byPost = (await post(url, { grant_type, scope: 'read', client_id, client_secret })).json();
    expect(await (await getMe(as, byPost.access_token)).json()).toMatchObject({ id: client_id, kind: 'client', scope: 'read' });
    expect((await post(url, { grant_type }, { authorization: basic(client_id, 'wrong') })).json()).toMatchObject({ error: 'invalid_client' });

    const { client_id: signing, private_key_jwk: jwk } = as.signingClient;
    const client_assertion = await new SignJWT({})
      .setProtectedHeader({ alg: 'ES256', kid: String(jwk.kid) })
      .setIssuer(signing)
      .setSubject(signing)
      .setAudience(as.issuer)
      .setJti('jti-1')
      .setExpirationTime('1m')
      .sign(await importJWK({ ...jwk, kty: 'EC' }, 'ES256'));
    const form = { grant_type, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion };
    expect((await post(url, form)).status).toBe(200);
    expect((await post(url, form)).status).toBe(401);
  });

  it('answers the API without a token with a challenge', async () => {
    const answer = await fetch(`${as.url}/api/me`);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="sandbox"');
    expect((await getMe(as, 'unknown')).headers.get('www-authenticate')).toContain('invalid_token');
  });
});

describe('faults at the token endpoint', () => {
  it('is down, slow, garbled or asks to wait, and then processes nothing', async () => {
    const { refresh_token } = await tokens(as);
    const answers: Awaited<ReturnType<typeof refresh>>[] = [];
    for (const fault of [
      { kind: 'down' },
      { kind: 'error_500' },
      { kind: 'garbage' },
      { kind: 'retry_after', seconds: 7, status: 429 },
      { kind: 'invalid_client' },
      { kind: 'refuse', error: 'unauthorized_client', status: 400 },
    ] as const) {
      as.switches.fault = { ...fault, times: 1 };
      answers.push(await refresh(as, refresh_token));
    }
    expect(answers.map(({ status }) => status)).toEqual([503, 500, 200, 429, 401, 400]);
    expect(answers[3]?.headers.get('retry-after')).toBe('7');
    expect(() => answers[2]?.json()).toThrow();
    expect(as.counters).toMatchObject({ refresh_ok: 0, token: { refresh_token: 6 } });
    expect((await refresh(as, refresh_token)).status).toBe(200);
  });

  it('processes and cuts the connection: the refresh token is used up', async () => {
    const { refresh_token } = await tokens(as);
    as.switches.fault = { kind: 'drop', times: 1 };
    await expect(refresh(as, refresh_token)).rejects.toThrow();
    expect(as.counters.refresh_ok).toBe(1);
    expect((await refresh(as, refresh_token)).json()).toMatchObject({ error: 'invalid_grant' });
  });

  it('holds a request, or only its answer', async () => {
    const { refresh_token } = await tokens(as);
    as.switches.fault = { kind: 'slow_answer', ms: 300, times: 1 };
    const pending = refresh(as, refresh_token);
    await expect.poll(() => as.counters.refresh_ok).toBe(1);
    const second = (await pending).json();
    as.switches.fault = { kind: 'slow', ms: 100, times: 1 };
    expect((await refresh(as, second.refresh_token)).status).toBe(200);
  });

  it('fails at revocation by a switch of its own', async () => {
    const { refresh_token } = await tokens(as);
    as.switches.revocationFault = { kind: 'down', times: 1 };
    const revoke = () => post(`${as.url}/token/revocation`, { token: String(refresh_token) }, ownAuth());
    expect((await revoke()).status).toBe(503);
    expect((await revoke()).status).toBe(200);
    expect(as.counters.revocations).toBe(1);
  });
});
