import { generateKeyPairSync, verify } from 'node:crypto';
import { expect, test } from 'vitest';
import { authorizationCode } from '../../src/grants/authorization-code.ts';
import { Credential } from '../../src/protocol/credential.ts';
import { contextFor, formOf, json, scriptedDoor } from './context.ts';

/** Token requests that carry a signature of the provider's own (token.sign). */

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const private_key_jwk = { ...privateKey.export({ format: 'jwk' }) };
const held = new Credential({
  kind: 'oauth2',
  access_token: 'at',
  refresh_token: 'rt+/=',
  token_type: 'bearer',
  scopes: [],
  lifetimeS: 1,
  refreshLifetimeS: null,
  extras: {},
});
const method = {
  authorization_endpoint: 'https://as.acme.com/a',
  token_endpoint: 'https://as.acme.com/gateway?charset=utf-8',
  token_endpoint_auth_method: 'none',
  token: { sign: { signer: 'pairs_rsa_sha256', param: 'sign', timestamp_param: 'time', timestamp_format: 'china_time' } },
  refresh: { params: { name: 'é &', empty: '' } },
};

test('pairs_rsa_sha256: what is signed is what is sent, sorted, with the time of China, without what is empty', async () => {
  const { door, sent } = scriptedDoor(json({ access_token: 'at-2' }));
  await authorizationCode.refresh?.(contextFor('authorization_code', method, { door, client: { client_id: 'client', private_key_jwk } }), held);
  const { sign = '', ...others } = formOf(sent[0]);
  expect(others).toEqual({
    grant_type: 'refresh_token',
    refresh_token: 'rt+/=',
    client_id: 'client',
    name: 'é &',
    empty: '',
    time: '2026-11-20 20:00:00',
  });
  const text = 'charset=utf-8&client_id=client&grant_type=refresh_token&name=é &&refresh_token=rt+/=&time=2026-11-20 20:00:00';
  expect(verify('sha256', Buffer.from(text), publicKey, Buffer.from(sign, 'base64'))).toBe(true);
});

test('path_pairs_hmac_sha256, with the client secret; in the query of a GET', async () => {
  const { door, sent } = scriptedDoor(json({ access_token: 'at-2' }));
  const token = { method: 'GET', format: 'query', sign: { signer: 'path_pairs_hmac_sha256', param: 'sig' } };
  await authorizationCode.refresh?.(contextFor('authorization_code', { ...method, token, refresh: {} }, { door }), held);
  const url = new URL(sent[0]?.url ?? '');
  // Made with openssl dgst -sha256 -hmac secret, of secret/gatewaycharsetutf-8client_idclientgrant_typerefresh_tokenrefresh_tokenrt+/=secret.
  expect(url.searchParams.get('sig')).toBe('d54f9f37d6f5d200801e9674d82b8df7cc1f25d530a4e397d46920d0a0829f07');
  expect(sent[0]?.body).toBeUndefined();
});

test.each([
  ['no key', {}],
  ['a key of another kind', { private_key_jwk: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) }],
  ['a public key', { private_key_jwk: { ...publicKey.export({ format: 'jwk' }) } }],
])('nothing is sent with %s', async (_, more) => {
  const { door, sent } = scriptedDoor();
  const ctx = contextFor('authorization_code', method, { door, client: { client_id: 'client', client_secret: 's', ...more } });
  await expect(authorizationCode.refresh?.(ctx, held)).rejects.toMatchObject({ code: 'invalid_client' });
  expect(sent).toEqual([]);
});
