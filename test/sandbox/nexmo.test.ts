import { createHmac, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SandboxNexmo } from '../../src/sandbox/nexmo.ts';
import { initialNexmoSwitches } from '../../src/sandbox/nexmo-state.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { browser, callback, callbackOf, startWorld } from './world.ts';

let sandbox: Sandbox;
let nexmo: SandboxNexmo;

beforeAll(async () => {
  sandbox = await startWorld();
  nexmo = sandbox.providers.nexmo;
});
afterAll(() => sandbox.stop());
beforeEach(() => {
  Object.assign(nexmo.switches, initialNexmoSwitches());
});

type Token = { oauth_token: string; oauth_token_secret: string };

const encode = (text: string) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** A client's side of RFC 5849, for requests without other parameters: its own few lines, shared with nothing. */
async function signed(method: string, path: string, { token, ...more }: { token?: Token; [name: string]: string | Token | undefined } = {}) {
  const url = nexmo.url + path;
  const params: Record<string, string> = {
    oauth_consumer_key: nexmo.client.client_id,
    oauth_nonce: randomBytes(8).toString('hex'),
    oauth_signature_method: 'HMAC-SHA1',
    oauth_timestamp: String(Math.floor(Date.now() / 1000)),
    oauth_version: '1.0',
    ...(token === undefined ? {} : { oauth_token: token.oauth_token }),
    ...Object.fromEntries(Object.entries(more).map(([name, value]) => [name, String(value)])),
  };
  const query = Object.keys(params)
    .sort()
    .map((name) => `${name}=${encode(params[name] ?? '')}`)
    .join('&');
  const key = `${encode(nexmo.client.client_secret)}&${encode(token?.oauth_token_secret ?? '')}`;
  params.oauth_signature = createHmac('sha1', key)
    .update(`${method}&${encode(url)}&${encode(query)}`)
    .digest('base64');
  const authorization = `OAuth ${Object.entries(params)
    .map(([name, value]) => `${name}="${encode(value)}"`)
    .join(', ')}`;
  const response = await fetch(url, { method, headers: { authorization } });
  const text = await response.text();
  return { status: response.status, text, form: Object.fromEntries(new URLSearchParams(text)) };
}

const tokenOf = ({ form }: { form: Record<string, string> }): Token => ({
  oauth_token: form.oauth_token ?? '',
  oauth_token_secret: form.oauth_token_secret ?? '',
});
const requestToken = async (prefix = '/oauth', oauth_callback = 'oob') =>
  tokenOf(await signed('POST', `${prefix}/request_token`, { oauth_callback }));
const decide = async (token: Token, { user = 'alice', button = 'Approve', page = '/oauth/authorize' } = {}) =>
  (await browser().open(`${nexmo.url}${page}?oauth_token=${token.oauth_token}`)).submit({ user }, button);

async function connect(user = 'alice'): Promise<Token> {
  const token = await requestToken();
  await decide(token, { user });
  return tokenOf(await signed('POST', '/oauth/access_token', { token }));
}

describe('out of band without a verifier', () => {
  it('connects once the user has approved on the page', async () => {
    const answer = await signed('POST', '/oauth/request_token', { oauth_callback: 'oob' });
    expect(Object.keys(answer.form)).toEqual(['oauth_token', 'oauth_token_secret']);
    const token = tokenOf(answer);
    expect((await signed('POST', '/oauth/access_token', { token })).form).toEqual({ oauth_problem: 'permission_unknown' });

    const page = await decide(token, { user: 'bob' });
    expect(page.status).toBe(200);
    expect(page.text).toContain('You may return');
    const access = tokenOf(await signed('POST', '/oauth/access_token', { token }));
    const me = await signed('GET', '/api/me', { token: access });
    expect(JSON.parse(me.text)).toEqual({ id: 'bob', name: 'bob' });
    expect((await signed('POST', '/oauth/access_token', { token })).form).toEqual({ oauth_problem: 'token_rejected' });
  });

  it('works at the sign-in page too', async () => {
    const token = await requestToken();
    const before = nexmo.counters.authenticate;
    await decide(token, { page: '/oauth/authenticate' });
    expect(nexmo.counters.authenticate).toBe(before + 1);
    expect((await signed('POST', '/oauth/access_token', { token })).status).toBe(200);
  });

  it('ends the present access token when a new request token is asked for', async () => {
    const access = await connect();
    expect((await signed('GET', '/api/me', { token: access })).status).toBe(200);
    await requestToken();
    expect((await signed('GET', '/api/me', { token: access })).form).toEqual({ oauth_problem: 'token_rejected' });

    nexmo.switches.requestTokenEnds = 'none';
    const other = await connect();
    await requestToken();
    expect((await signed('GET', '/api/me', { token: other })).status).toBe(200);
  });

  it('gives nothing after a denial', async () => {
    const token = await requestToken();
    expect((await decide(token, { button: 'Deny' })).title).toBe('Declined');
    expect((await signed('POST', '/oauth/access_token', { token })).form).toEqual({ oauth_problem: 'permission_denied' });
  });

  it('refuses the token of a user who withdrew, and a secret that is not its own', async () => {
    const access = await connect('mallory');
    expect((await signed('GET', '/api/me', { token: { ...access, oauth_token_secret: 'other' } })).form).toEqual({
      oauth_problem: 'signature_invalid',
    });
    nexmo.revokeUser('mallory');
    expect((await signed('GET', '/api/me', { token: access })).status).toBe(401);
  });
});

describe('with a callback and a verifier', () => {
  const start = () => signed('POST', '/oauth1/request_token', { oauth_callback: callback });

  it('confirms the callback and comes back with token and verifier', async () => {
    const answer = await start();
    expect(answer.form.oauth_callback_confirmed).toBe('true');
    const token = tokenOf(answer);
    const back = callbackOf(await decide(token, { user: 'bob' }));
    expect(back.get('oauth_token')).toBe(token.oauth_token);
    const access = await signed('POST', '/oauth1/access_token', { token, oauth_verifier: back.get('oauth_verifier') ?? '' });
    expect(access.status).toBe(200);
    expect(JSON.parse((await signed('GET', '/api/me', { token: tokenOf(access) })).text)).toMatchObject({ id: 'bob' });
  });

  it('does not end access tokens', async () => {
    const access = await connect();
    await start();
    expect((await signed('GET', '/api/me', { token: access })).status).toBe(200);
  });

  it('refuses a wrong verifier, once and for all', async () => {
    const token = tokenOf(await start());
    const back = callbackOf(await decide(token));
    expect((await signed('POST', '/oauth1/access_token', { token, oauth_verifier: '1' })).form).toEqual({ oauth_problem: 'verifier_invalid' });
    expect((await signed('POST', '/oauth1/access_token', { token, oauth_verifier: back.get('oauth_verifier') ?? '' })).status).toBe(401);
  });

  it('does not take a request token at the other way', async () => {
    const token = tokenOf(await start());
    await decide(token);
    expect((await signed('POST', '/oauth/access_token', { token })).form).toEqual({ oauth_problem: 'token_rejected' });
  });

  it('refuses a callback that is not registered', async () => {
    expect((await signed('POST', '/oauth1/request_token', { oauth_callback: 'http://localhost:1/x' })).form).toEqual({
      oauth_problem: 'parameter_rejected',
    });
  });

  it('leaves the confirmation out, answers with a wrong token, names the denied token, as the switches say', async () => {
    nexmo.switches.confirmed = 'missing';
    expect((await start()).form).not.toHaveProperty('oauth_callback_confirmed');
    nexmo.switches.callbackToken = 'wrong';
    const wrong = tokenOf(await start());
    expect(callbackOf(await decide(wrong)).get('oauth_token')).not.toBe(wrong.oauth_token);
    nexmo.switches.deniedParameter = 'refused';
    const refused = tokenOf(await start());
    expect([...callbackOf(await decide(refused, { button: 'Deny' }))]).toEqual([['refused', refused.oauth_token]]);
  });

  it('shows a PIN when the callback is oob', async () => {
    const token = await requestToken('/oauth1');
    const pin = /PIN: (\d{7})/.exec((await decide(token)).text)?.[1] ?? '';
    expect((await signed('POST', '/oauth1/access_token', { token, oauth_verifier: pin })).status).toBe(200);
  });
});

it('refuses a timestamp when its clock is off, and says which would do', async () => {
  nexmo.switches.clockSkewS = 1000;
  const answer = await signed('POST', '/oauth/request_token', { oauth_callback: 'oob' });
  expect(answer.status).toBe(401);
  expect(answer.form.oauth_problem).toBe('timestamp_refused');
  expect(answer.form.oauth_acceptable_timestamps).toMatch(/^\d+-\d+$/);
  expect(nexmo.counters.refused.timestamp_refused).toBe(1);
});

it('fails as the switch says', async () => {
  nexmo.switches.fault = { kind: 'down', times: 1 };
  expect((await signed('POST', '/oauth/request_token', { oauth_callback: 'oob' })).status).toBe(503);
  expect((await requestToken()).oauth_token).toMatch(/./);
});
