import { describe, expect, test } from 'vitest';
import { presentCredential, sendProbe } from '../../src/broker/account.ts';
import { Credential } from '../../src/protocol/credential.ts';
import { contextOf, json, scriptedDoor } from '../grants/context.ts';

/** What goes with a credential on a call of the provider's API. */

const api = { base_url: 'https://api.example', headers: { 'X-Tenant': '{tenant}', 'X-Realm': '{extras.realm}', 'X-Version': '2' } };
const declared = { tenant: { label: 'Tenant', optional: true } };
const methods = {
  api_key: { grant: 'api_key' },
  oauth1: {
    grant: 'oauth1',
    request_token_endpoint: 'https://as.example/request',
    authorization_endpoint: 'https://as.example/authorize',
    access_token_endpoint: 'https://as.example/access',
  },
};

function headersOf(kind: keyof typeof methods, inputs: Record<string, string>, realm = 'r1'): Record<string, string> {
  const fields = { kind, access_token: 'key', token_type: kind, secret: 's', scopes: [], lifetimeS: null, refreshLifetimeS: null };
  const ctx = contextOf(methods[kind], { api, declared, inputs });
  return presentCredential(ctx, new Credential({ ...fields, extras: { realm } }), { method: 'GET', url: 'https://api.example/me' }).headers;
}

test.each(['api_key', 'oauth1'] as const)('%s: a header whose optional input is absent is left out', (kind) => {
  const { Authorization, ...without } = headersOf(kind, {});
  expect(Authorization).toBeTypeOf('string');
  expect(without).toEqual({ 'X-Realm': 'r1', 'X-Version': '2' });
  expect(headersOf(kind, { tenant: 't1' })).toMatchObject({ 'X-Tenant': 't1', 'X-Realm': 'r1', 'X-Version': '2' });
});

test.each(['api_key', 'oauth1'] as const)('%s: a header that is not printable ASCII is refused', (kind) => {
  for (const realm of ['r\r\nX-Evil: 1', 'ré', 'r\u0000']) {
    expect(() => headersOf(kind, {}, realm)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  }
});

const credential = (access_token = 'key') =>
  new Credential({
    kind: 'api_key',
    access_token,
    token_type: 'api_key',
    scopes: [],
    lifetimeS: null,
    refreshLifetimeS: null,
    extras: { realm: 'r1' },
  });
const presented = (method: Record<string, unknown>, url = 'https://api.example/me', common: Record<string, unknown> = api) =>
  presentCredential(contextOf({ grant: 'api_key', ...method }, { api: common, declared }), credential(), { method: 'GET', url });

test('what a method says of its API replaces, field by field, what the definition says', () => {
  const own = { token: { name: 'X-Key', scheme: '' }, headers: { 'X-Kind': 'key' } };
  expect(presented({ api: own }).headers).toEqual({ 'X-Key': 'key', 'X-Kind': 'key' });
  expect(presented({ api: { token: { scheme: 'Key' } } }, undefined, { ...api, token: { in: 'query', name: 't' } }).headers).toMatchObject({
    Authorization: 'Key key',
    'X-Version': '2',
  });
});

test('parameters that each call needs are added, but for those that are there', () => {
  const params = { v: '20260101', key: '{client_id}', realm: '{extras.realm}', tenant: '{tenant}' };
  expect(presented({ api: { params } }).url).toBe('https://api.example/me?v=20260101&key=client&realm=r1');
  expect(presented({ api: { params } }, 'https://api.example/me?v=1&x=%20').url).toBe('https://api.example/me?v=1&x=%20&key=client&realm=r1');
});

test('parameters that each call needs are part of an OAuth 1.0a signature', () => {
  const ctx = contextOf(methods.oauth1, { api: { ...api, params: { v: '2' } }, declared, random: () => Buffer.alloc(16) });
  const fields = {
    kind: 'oauth1' as const,
    access_token: 't',
    token_type: 'oauth1',
    secret: 's',
    scopes: [],
    lifetimeS: null,
    refreshLifetimeS: null,
  };
  const signed = (url: string) => presentCredential(ctx, new Credential({ ...fields, extras: { realm: 'r1' } }), { method: 'GET', url });
  expect(signed('https://api.example/me')).toEqual(signed('https://api.example/me?v=2'));
  expect(signed('https://api.example/me').headers['Authorization']).not.toBe(signed('https://api.example/me?v=3').headers['Authorization']);
});

describe('the probe', () => {
  const probeOf = async (probe: Record<string, unknown>, answer: Parameters<typeof scriptedDoor>[0] = {}, rest: Record<string, unknown> = {}) => {
    const { door, sent } = scriptedDoor(answer);
    const ctx = contextOf({ grant: 'api_key', ...rest }, { api: { base_url: 'https://api.acme.com', probe }, door });
    return { result: await sendProbe(ctx, credential(), 'ignored'), sent };
  };

  test('has the headers and the body that the definition says', async () => {
    const query = '{ viewer { id } }';
    const { sent } = await probeOf({
      method: 'POST',
      path: '/graphql',
      headers: { 'X-Api': '{client_id}' },
      json: { query, token: '{access_token}', list: ['{x y}', 1] },
    });
    expect(sent).toMatchObject([
      {
        method: 'POST',
        url: 'https://api.acme.com/graphql',
        headers: { 'X-Api': 'client', 'content-type': 'application/json', Authorization: 'Bearer key' },
      },
    ]);
    expect(JSON.parse(sent[0]?.body ?? '')).toEqual({ query, token: 'key', list: ['{x y}', 1] });
    const form = await probeOf({ method: 'POST', path: '/me', form: { access_token: '{access_token}', full: 'yes' } });
    expect(form.sent[0]).toMatchObject({ body: 'access_token=key&full=yes', headers: { 'content-type': 'application/x-www-form-urlencoded' } });
  });

  test('works when the answer holds what it must, whatever the status says', async () => {
    const ok = { path: '/me', success: { pointer: '/ok', equals: true } };
    expect((await probeOf(ok, json({ ok: true }))).result?.works).toBe(true);
    expect((await probeOf(ok, json({ ok: false }))).result?.works).toBe(false);
    expect((await probeOf(ok, { body: '<html>' })).result?.works).toBe(false);
    expect((await probeOf(ok, json({ ok: true }, 401))).result?.works).toBe(false);
    expect((await probeOf({ path: '/me' }, { body: '<html>' })).result?.works).toBe(true);
    const viewer = { path: '/me', success: { pointer: '/data/viewer' } };
    expect((await probeOf(viewer, json({ data: { viewer: { id: 1 } } }))).result?.works).toBe(true);
    expect((await probeOf(viewer, json({ data: { viewer: null } }))).result?.works).toBe(false);
  });

  test('of a method is its own, and null takes it away', async () => {
    const own = await probeOf({ path: '/me' }, {}, { api: { base_url: 'https://keys.acme.com/v1', probe: { path: '/key' } } });
    expect(own.sent[0]?.url).toBe('https://keys.acme.com/v1/key');
    expect((await probeOf({ path: '/me' }, {}, { api: { probe: null } })).result).toBeUndefined();
  });
});
