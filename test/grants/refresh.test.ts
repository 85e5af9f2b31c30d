import { describe, expect, test } from 'vitest';
import { authorizationCode } from '../../src/grants/authorization-code.ts';
import { clientCredentials } from '../../src/grants/client-credentials.ts';
import { Credential, type CredentialFields } from '../../src/protocol/credential.ts';
import { GrantryError } from '../../src/protocol/errors.ts';
import { contextFor, formOf, json, scriptedDoor } from './context.ts';

const endpoints = { authorization_endpoint: 'https://as.acme.com/a', token_endpoint: 'https://as.acme.com/t' };
const old: CredentialFields = {
  kind: 'oauth2',
  access_token: 'at-1',
  token_type: 'bearer',
  refresh_token: 'rt-1',
  scopes: ['read', 'write'],
  lifetimeS: 3600,
  refreshLifetimeS: 86_400,
  extras: { site: 'one', kept: 'yes' },
};

async function refresh(
  method: Record<string, unknown>,
  door: ReturnType<typeof scriptedDoor>['door'],
  fields: Partial<CredentialFields> = {},
  settings = {},
) {
  const ctx = contextFor('authorization_code', { ...endpoints, ...method }, { door, ...settings });
  return (await authorizationCode.refresh?.(ctx, new Credential({ ...old, ...fields })))?.reveal();
}

test('RFC 6749 section 6: nothing but grant_type and the refresh token; what the answer leaves out stays', async () => {
  const { door, sent } = scriptedDoor(json({ access_token: 'at-2', token_type: 'bearer', expires_in: 60, site: 'two' }));
  const next = await refresh({ response: { keep: { site: '/site' } } }, door);
  expect(formOf(sent[0])).toEqual({ grant_type: 'refresh_token', refresh_token: 'rt-1' });
  expect(next).toEqual({ ...old, access_token: 'at-2', lifetimeS: 60, refreshLifetimeS: null, extras: { site: 'two', kept: 'yes' } });
});

test('a new refresh token replaces the old one, narrower scopes the old ones', async () => {
  const { door } = scriptedDoor(json({ access_token: 'at-2', refresh_token: 'rt-2', scope: 'read' }));
  expect(await refresh({}, door)).toMatchObject({ access_token: 'at-2', refresh_token: 'rt-2', scopes: ['read'] });
});

test('without a refresh token nothing is sent', async () => {
  const { door, sent } = scriptedDoor();
  const { refresh_token: _, ...without } = old;
  const ctx = contextFor('authorization_code', endpoints, { door });
  await expect(authorizationCode.refresh?.(ctx, new Credential(without))).rejects.toMatchObject({ code: 'invalid_grant' });
  expect(sent).toHaveLength(0);
});

test('its own address, format, parameters and fields; names and omissions are those of the token request', async () => {
  const { door, sent } = scriptedDoor(json({ data: { at: 'at-2' }, expires: 5 }));
  const next = await refresh(
    {
      token: {
        rename: { refresh_token: 'rt', client_id: 'key' },
        omit: ['grant_type'],
        params: { type: 'web_server' },
        headers: { 'X-App': 'acme' },
      },
      token_endpoint_auth_method: 'client_secret_post',
      refresh: {
        endpoint: 'https://as.acme.com/again',
        format: 'json',
        params: { type: 'refresh', scope: '{scope}', was: '{access_token}', to: '{redirect_uri}' },
        response: { access_token: '/data/at' },
      },
      response: { expires_in: '/expires' },
    },
    door,
    {},
    { redirectUri: 'https://broker.acme.com/cb' },
  );
  expect(sent[0]).toMatchObject({ method: 'POST', url: 'https://as.acme.com/again', headers: { 'x-app': 'acme' } });
  expect(JSON.parse(sent[0]?.body ?? '')).toEqual({
    rt: 'rt-1',
    key: 'client',
    client_secret: 'secret',
    type: 'refresh',
    scope: 'read write',
    was: 'at-1',
    to: 'https://broker.acme.com/cb',
  });
  expect(next).toMatchObject({ access_token: 'at-2', lifetimeS: 5 });
});

test('exchange_current sends the access token where the definition puts it', async () => {
  const { door, sent } = scriptedDoor(json({ access_token: 'at-2' }));
  await refresh(
    {
      token_endpoint_auth_method: 'none',
      refresh: {
        how: 'exchange_current',
        method: 'GET',
        endpoint: 'https://graph.acme.com/refresh',
        params: { grant_type: 'ig_refresh_token', access_token: '{access_token}' },
      },
    },
    door,
  );
  expect(sent[0]).toMatchObject({
    method: 'GET',
    url: 'https://graph.acme.com/refresh?client_id=client&grant_type=ig_refresh_token&access_token=at-1',
  });
});

test.each(['none', 'reissue'])('%s: there is no way without the end user', async (how) => {
  await expect(refresh({ refresh: { how } }, scriptedDoor().door)).rejects.toMatchObject({ code: 'unsupported' });
});

describe('failures', () => {
  test.each([
    [json({ error: 'invalid_grant' }, 400), 'invalid_grant'],
    [json({ error: 'invalid_client' }, 401), 'invalid_client'],
    [json({}, 503), 'provider_unavailable'],
    [new GrantryError('no_answer'), 'no_answer'],
    [new GrantryError('provider_unreachable'), 'provider_unreachable'],
  ])('%o is %s', async (answer, code) => {
    await expect(refresh({}, scriptedDoor(answer).door)).rejects.toMatchObject({ name: 'GrantryError', code });
  });
});

test('lifetimes count from before the request', async () => {
  let clock = Date.parse('2026-11-20T12:00:00Z');
  const answer = json({ access_token: 'at-2', expires_at: '2026-11-20T12:01:00Z' });
  const door = async () => {
    clock += 9_000;
    return { status: 200, headers: {}, body: answer.body ?? '' };
  };
  const next = await refresh({ response: { expires_in: '/expires_at', expires_unit: 'iso' } }, door, {}, { now: () => new Date(clock) });
  expect(next?.lifetimeS).toBe(60);
});

describe('client credentials', () => {
  const method = { token_endpoint: 'https://as.acme.com/t' };

  test('a new token is asked for, with the scopes of the connection', async () => {
    const { door, sent } = scriptedDoor(json({ access_token: 'at-2' }), json({ access_token: 'at-3' }));
    const ctx = contextFor('client_credentials', method, { door });
    const { refresh_token: _, ...fields } = old;
    const next = await clientCredentials.refresh?.(ctx, new Credential(fields));
    expect(formOf(sent[0])).toEqual({ grant_type: 'client_credentials', scope: 'read write' });
    expect(next?.reveal()).not.toHaveProperty('refresh_token');
    await clientCredentials.refresh?.({ ...ctx, requestedScopes: ['https://x/.default'] }, new Credential(fields));
    expect(formOf(sent[1])).toEqual({ grant_type: 'client_credentials', scope: 'https://x/.default' });
  });
});

test('a refresh that authenticates otherwise, and the secret in a header', async () => {
  const method = {
    token_endpoint_auth_method: 'client_secret_post',
    token: { headers: { 'X-Key': '{client_secret}' } },
    refresh: { token_endpoint_auth_method: 'client_secret_basic' },
  };
  const { door, sent } = scriptedDoor(json({ access_token: 'next' }));
  const ctx = contextFor(
    'authorization_code',
    { authorization_endpoint: 'https://as.acme.com/a', token_endpoint: 'https://as.acme.com/t', ...method },
    { door },
  );
  const fields = {
    kind: 'oauth2',
    access_token: 'at',
    refresh_token: 'rt',
    token_type: 'bearer',
    scopes: [],
    lifetimeS: 1,
    refreshLifetimeS: null,
  } as const;
  await authorizationCode.refresh?.(ctx, new Credential({ ...fields, extras: {} }));
  expect(sent[0]?.headers).toMatchObject({ authorization: 'Basic Y2xpZW50OnNlY3JldA==', 'x-key': 'secret' });
  expect(formOf(sent[0])).toEqual({ grant_type: 'refresh_token', refresh_token: 'rt' });
});
