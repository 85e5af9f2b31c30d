import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { authorizationCode } from '../../src/grants/authorization-code.ts';
import { Credential } from '../../src/protocol/credential.ts';
import { contextFor, formOf, json, scriptedDoor } from './context.ts';

/** What some providers want of the code flow besides, or in another way than RFC 6749 and RFC 7636 say. */

const endpoints = { authorization_endpoint: 'https://as.acme.com/authorize', token_endpoint: 'https://as.acme.com/token' };
const input = {
  redirectUri: 'https://broker.acme.com/oauth/callback',
  state: 's'.repeat(43),
  scopes: ['read', 'write'],
  endpoint: 'authorization',
} as const;
const pending = { redirectUri: input.redirectUri, scopes: input.scopes, codeVerifier: 'v'.repeat(43) };

type Settings = Parameters<typeof contextFor>[2];

async function start(method: Record<string, unknown>, settings: Settings = {}) {
  const started = await authorizationCode.start(contextFor('authorization_code', { ...endpoints, ...method }, settings), input);
  if (started.kind !== 'redirect') throw new Error(started.kind);
  return { verifier: started.pending.codeVerifier ?? '', url: new URL(started.redirect) };
}

async function finish(method: Record<string, unknown>, callback: Record<string, string> = {}, settings: Settings = {}) {
  const { door, sent } = scriptedDoor(json({ access_token: 'at', token_type: 'bearer' }));
  const ctx = contextFor('authorization_code', { ...endpoints, ...method }, { ...settings, door });
  const credential = await authorizationCode.finish?.(ctx, pending, { code: 'c', keep: {}, ...callback });
  return { form: formOf(sent[0]), scopes: credential?.reveal().scopes };
}

const alias = { redirect_uri: '{alias}' };
const aliased = { declared: { alias: { label: 'Alias', asked_of: 'integration' } }, inputs: { alias: 'Acme-Acme-Prod-abc' } };

test('an alias of the redirect URI is sent in both requests', async () => {
  expect((await start(alias, aliased)).url.searchParams.get('redirect_uri')).toBe('Acme-Acme-Prod-abc');
  expect((await finish(alias, {}, aliased)).form['redirect_uri']).toBe('Acme-Acme-Prod-abc');
});

test('a refresh names the redirect URI, or its alias', async () => {
  for (const [method, settings, uri] of [
    [{}, {}, input.redirectUri],
    [alias, aliased, 'Acme-Acme-Prod-abc'],
  ] as const) {
    const { door, sent } = scriptedDoor(json({ access_token: 'at-2', token_type: 'bearer' }));
    const fields = { ...endpoints, ...method, refresh: { params: { redirect_uri: '{redirect_uri}' } } };
    const ctx = contextFor('authorization_code', fields, { ...settings, door, redirectUri: input.redirectUri });
    const old = {
      kind: 'oauth2',
      access_token: 'at',
      refresh_token: 'rt',
      token_type: 'bearer',
      scopes: [],
      lifetimeS: null,
      refreshLifetimeS: null,
      extras: {},
    } as const;
    await authorizationCode.refresh?.(ctx, new Credential(old));
    expect(formOf(sent[0])['redirect_uri']).toBe(uri);
  }
});

test('the token request may name the state of the callback, and a fresh value', async () => {
  const params = { state: '{state}', nonce: '{nonce}', id: 'n-{nonce}' };
  const first = (await finish({ token: { params } }, { state: input.state })).form;
  const second = (await finish({ token: { params } }, { state: input.state })).form;
  expect(first['state']).toBe(input.state);
  expect(first['nonce']).toMatch(/^[\w-]{22}$/);
  expect(first['id']).toBe(`n-${first['nonce']}`);
  expect(second['nonce']).not.toBe(first['nonce']);
});

test('a fresh value in the authorization request', async () => {
  const nonce = async () => (await start({ authorization: { params: { nonce: '{nonce}' } } })).url.searchParams.get('nonce');
  expect(await nonce()).toMatch(/^[\w-]{22}$/);
  expect(await nonce()).not.toBe(await nonce());
});

test('the scopes that the callback names were granted, unless the answer names others', async () => {
  const method = { scopes: { separator: ',' }, callback: { scope: 'scope' } };
  expect((await finish(method, { scope: 'read' })).scopes).toEqual(['read']);
  expect((await finish(method)).scopes).toEqual(['read', 'write']);
  await expect(finish(method, { scope: 'a\u0000b' })).rejects.toMatchObject({ code: 'invalid_callback' });
});

test('the hash of the code challenge is written as the provider wants it', async () => {
  const hex = (verifier: string) => createHash('sha256').update(verifier).digest('hex');
  const plain = await start({ code_challenge_encoding: 'hex' });
  expect(plain.url.searchParams.get('code_challenge')).toBe(hex(plain.verifier));
  const twice = await start({ code_challenge_encoding: 'base64url_hex' });
  expect(twice.url.searchParams.get('code_challenge')).toBe(Buffer.from(hex(twice.verifier)).toString('base64url'));
  expect(twice.url.searchParams.get('code_challenge_method')).toBe('S256');
});

test('parameters stand in the order that a page wants, and the client id in its path', async () => {
  const authorization = { rename: { client_id: 'appid' }, order: ['appid', 'redirect_uri', 'response_type', 'scope', 'state'] };
  const { url } = await start({
    authorization,
    code_challenge_method: 'none',
    authorization_endpoint: 'https://as.acme.com/apps/{client_id}/authorize',
  });
  expect([...url.searchParams.keys()]).toEqual(['appid', 'redirect_uri', 'response_type', 'scope', 'state']);
  expect(url.pathname).toBe('/apps/client/authorize');
});
