import { expect, test } from 'vitest';
import { oauth1 } from '../../src/grants/oauth1.ts';
import { Credential } from '../../src/protocol/credential.ts';
import type { DoorRequest } from '../../src/protocol/door.ts';
import type { Pending } from '../../src/protocol/grant.ts';
import { isSigned } from '../independent/rfc5849.ts';
import { contextFor, now, scriptedDoor } from './context.ts';

/** What single providers do otherwise than RFC 5849. */

const endpoints = {
  request_token_endpoint: 'https://api.acme.com/request',
  authorization_endpoint: 'https://acme.com/authorize',
  access_token_endpoint: 'https://api.acme.com/access',
};
const input = { redirectUri: 'https://broker.example/oauth/callback', state: 'st', scopes: ['a'], endpoint: 'authorization' } as const;
const pending: Pending = { redirectUri: input.redirectUri, scopes: [], requestToken: 'rt', requestTokenSecret: 'rs' };
const callback = { code: '', oauthToken: 'rt', oauthVerifier: 'v', keep: {} };
const fields = {
  kind: 'oauth1',
  access_token: 'a/t',
  token_type: 'oauth1',
  secret: 'ts',
  scopes: [],
  lifetimeS: null,
  refreshLifetimeS: null,
} as const;
const credential = new Credential({ ...fields, extras: {} });

/** An independent server finds the signature right. */
const holds = (request: DoorRequest | undefined, token: string) =>
  isSigned(
    { method: request?.method ?? '', uri: request?.url ?? '', authorization: request?.headers?.['authorization'] },
    { client: 'secret', token },
  );

async function finished(response: Record<string, unknown>, body: string) {
  const { door } = scriptedDoor({ body });
  return (await oauth1.finish(contextFor('oauth1', { ...endpoints, response }, { door }), pending, callback)).reveal();
}

test('token requests by GET, their parameters in the query', async () => {
  const { door, sent } = scriptedDoor({ body: 'oauth_token=t&oauth_token_secret=s&oauth_callback_confirmed=true' });
  const ctx = contextFor('oauth1', { ...endpoints, token_method: 'GET', request_token: { params: { scopes: '{scope}' } } }, { door });
  await oauth1.start(ctx, input);
  expect(sent[0]).toMatchObject({ method: 'GET', url: 'https://api.acme.com/request?scopes=a' });
  expect(sent[0]).not.toHaveProperty('body');
  expect(holds(sent[0], '')).toBe(true);
  expect(sent[0]?.headers?.['authorization']).toMatch(/^OAuth .*oauth_callback="https%3A/);
});

test('the callback on the authorization URL, with the state that goes along', async () => {
  const { door } = scriptedDoor({ body: 'oauth_token=t&oauth_token_secret=s' });
  const method = { ...endpoints, callback: { confirmed: 'absent' }, authorization: { params: { oauth_callback: '{redirect_uri}' } } };
  const started = await oauth1.start(contextFor('oauth1', method, { door }), input);
  const url = new URL(started.kind === 'redirect' ? started.redirect : '');
  expect(Object.fromEntries(url.searchParams)).toMatchObject({ oauth_token: 't', oauth_callback: `${input.redirectUri}?state=st` });
});

test.each([
  ['seconds', { expires_in: '/oauth_expires_in' }, 'oauth_expires_in=3600', 3600],
  ['an instant', { expires_in: '/ends', expires_unit: 'epoch_ms' }, `ends=${now.getTime() + 60_000}`, 60],
  ['nothing, and a lifetime of the definition', { expires_in: '/ends', lifetime: 'PT2H' }, 'x=y', 7200],
  ['nothing', { expires_in: '/ends' }, 'x=y', null],
])('the answer says when the token ends: %s', async (_, response, more, lifetimeS) => {
  expect(await finished(response, `oauth_token=t&oauth_token_secret=s&${more}`)).toMatchObject({ kind: 'oauth1', lifetimeS });
});

test('an end that makes no sense', async () => {
  await expect(finished({ expires_in: '/ends' }, 'oauth_token=t&oauth_token_secret=s&ends=soon')).rejects.toMatchObject({
    code: 'bad_provider_answer',
  });
});

test('the token secret is an API key: it is presented, and no call is signed', async () => {
  const { door } = scriptedDoor({ body: 'oauth_token=t&oauth_token_secret=s' });
  const api = { token: { in: 'header', name: 'Acme-Key', scheme: '' } };
  const ctx = contextFor('oauth1', { ...endpoints, response: { api_key: '/oauth_token_secret' } }, { door, api });
  const got = await oauth1.finish(ctx, pending, callback);
  expect(got.reveal()).toMatchObject({ kind: 'api_key', access_token: 's' });
  expect(got.reveal()).not.toHaveProperty('secret');
  expect(oauth1.present(ctx, got, { method: 'GET', url: 'https://api.acme.com/me' })).toEqual({
    url: 'https://api.acme.com/me',
    headers: { 'Acme-Key': 's' },
  });
});

test('a key that is not there', async () => {
  await expect(finished({ api_key: '/key' }, 'oauth_token=t&oauth_token_secret=s')).rejects.toMatchObject({ code: 'bad_provider_answer' });
});

test('a key that cannot stand in the path, where the API wants it', async () => {
  const { door } = scriptedDoor({ body: 'oauth_token=t&oauth_token_secret=..' });
  const api = { base_url: 'https://api.acme.com', token: { in: 'path' } };
  const ctx = contextFor('oauth1', { ...endpoints, response: { api_key: '/oauth_token_secret' } }, { door, api });
  await expect(oauth1.finish(ctx, pending, callback)).rejects.toMatchObject({ code: 'bad_provider_answer' });
});

const revocable = { ...endpoints, revocation_endpoint: 'https://api.acme.com/tokens/{access_token}', revocation: { method: 'DELETE' } };

test('revoked by a signed call; a token that is gone already is a success', async () => {
  const { door, sent } = scriptedDoor({ status: 204 }, { status: 404 }, { status: 401, body: 'oauth_problem=token_revoked' });
  const ctx = contextFor('oauth1', revocable, { door });
  for (let call = 0; call < 3; call++) await oauth1.revoke(ctx, credential);
  expect(sent[0]).toMatchObject({ method: 'DELETE', url: 'https://api.acme.com/tokens/a%2Ft' });
  expect(sent[0]?.headers?.['authorization']).toMatch(/^OAuth .*oauth_token="a%2Ft"/);
  expect(holds(sent[0], 'ts')).toBe(true);
});

test.each([
  [{ status: 503 }, 'provider_unavailable'],
  [{ status: 401 }, 'provider_error'],
  [{ status: 302 }, 'provider_error'],
] as const)('a revocation that came to nothing: %j', async (answer, code) => {
  const { door } = scriptedDoor(answer);
  await expect(oauth1.revoke(contextFor('oauth1', revocable, { door }), credential)).rejects.toMatchObject({ code });
});

test('without an address nothing is revoked', async () => {
  await expect(oauth1.revoke(contextFor('oauth1', endpoints), credential)).rejects.toMatchObject({ code: 'unsupported' });
});
