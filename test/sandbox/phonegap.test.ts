import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SandboxPhonegap } from '../../src/sandbox/phonegap.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { browser, callbackOf, startWorld } from './world.ts';

let sandbox: Sandbox;
let phonegap: SandboxPhonegap;

beforeAll(async () => {
  sandbox = await startWorld();
  phonegap = sandbox.providers.phonegap;
});
afterAll(() => sandbox.stop());
beforeEach(() => {
  Object.assign(phonegap.switches, { errorStatus: 400, fault: { kind: 'none' } });
});

const open = () => browser().open(`${phonegap.url}/authorize?client_id=${phonegap.client.client_id}&state=ignored`);
const code = async (user = 'alice') => callbackOf(await (await open()).submit({ user }, 'Approve')).get('code') ?? '';

async function call(path: string, query: Record<string, string>) {
  const response = await fetch(`${phonegap.url}${path}?${new URLSearchParams(query)}`, { method: 'POST' });
  const body: Record<string, unknown> = JSON.parse(await response.text());
  return { status: response.status, body };
}
const exchange = (value: string, more: Record<string, string> = {}) => call('/authorize/token', { ...phonegap.client, code: value, ...more });
const me = (token: unknown) => fetch(`${phonegap.url}/api/v1/me?access_token=${token}`);

describe('the web flow', () => {
  it('comes back with a code and no state', async () => {
    const back = callbackOf(await (await open()).submit({ user: 'bob' }, 'Approve'));
    expect([...back.keys()]).toEqual(['code']);
  });

  it('says authorization_refused when the user declines', async () => {
    const back = callbackOf(await (await open()).submit({}, 'Deny'));
    expect([...back]).toEqual([['error', 'authorization_refused']]);
  });

  it('gives a token without an end that goes into the query of the API', async () => {
    const answer = await exchange(await code('bob'));
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.body)).toEqual(['access_token']);
    expect(await (await me(answer.body.access_token)).json()).toMatchObject({ id: 'bob' });
    expect((await me('unknown')).status).toBe(401);
  });

  it('takes a code once, from its own client, and answers errors with the status of the switch', async () => {
    const used = await code();
    await exchange(used);
    expect(await exchange(used)).toEqual({ status: 400, body: { error: 'invalid request' } });
    phonegap.switches.errorStatus = 200;
    expect(await exchange(await code(), { client_secret: 'wrong' })).toEqual({ status: 200, body: { error: 'invalid request' } });
  });

  it('takes its parameters from the query only', async () => {
    const body = new URLSearchParams({ ...phonegap.client, code: await code() });
    expect((await fetch(`${phonegap.url}/authorize/token`, { method: 'POST', body })).status).toBe(400);
  });

  it('sends the browser to the callback that was registered last', async () => {
    phonegap.registerRedirectUri('http://localhost:39999/oauth/callback/own?a=1');
    const page = await (await open()).submit({}, 'Approve');
    phonegap.registerRedirectUri('http://localhost:39999/oauth/callback');
    expect(page.location).toMatch(/^http:\/\/localhost:39999\/oauth\/callback\/own\?a=1&code=/);
  });

  it('shows an error page to an unknown client', async () => {
    expect((await browser().open(`${phonegap.url}/authorize?client_id=other`)).status).toBe(400);
  });
});

describe('the auth token', () => {
  it('is exchanged for an access token, until the user withdraws', async () => {
    const auth_token = phonegap.authTokenOf('carol');
    const { body } = await call('/authorize', { ...phonegap.client, auth_token });
    expect(await (await me(body.access_token)).json()).toMatchObject({ id: 'carol' });
    phonegap.revokeUser('carol');
    expect((await me(body.access_token)).status).toBe(401);
    expect((await call('/authorize', { ...phonegap.client, auth_token })).body).toEqual({ error: 'invalid request' });
  });
});

it('fails as the switch says', async () => {
  phonegap.switches.fault = { kind: 'retry_after', seconds: 3, times: 1 };
  const value = await code();
  expect((await exchange(value)).status).toBe(503);
  expect((await exchange(value)).status).toBe(200);
});
