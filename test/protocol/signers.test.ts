import { generateKeyPairSync, verify } from 'node:crypto';
import { expect, test } from 'vitest';
import { signUrl } from '../../src/protocol/signers.ts';

const now = new Date('2025-11-20T12:00:00Z');
const signed = (url: string, sign: Parameters<typeof signUrl>[1], more: Partial<Parameters<typeof signUrl>[2]> = {}) =>
  new URL(signUrl(url, sign, { client: { client_id: 'c', client_secret: 'seCret' }, accessToken: 'token', form: [], now, ...more })).searchParams;

test('token_hmac_sha256: the vector of RFC 4231 section 4.3', () => {
  const sign = { signer: 'token_hmac_sha256', param: 'proof' } as const;
  const query = signed('https://api.acme.com/me?a=1', sign, {
    client: { client_id: 'c', client_secret: 'Jefe' },
    accessToken: 'what do ya want for nothing?',
  });
  expect(Object.fromEntries(query)).toEqual({ a: '1', proof: '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843' });
});

// Made with openssl dgst -sha256 -hmac, of seCret, /v2/orders, app_key key, page 2 (with its space), shop_id é1, timestamp 1763640000, seCret.
const ofPath = '04007f2cffe6ddbeb26243d59bf93c677437d8df7bd76048e75e1f407a5b84f1';
const byPath = { signer: 'path_pairs_hmac_sha256', param: 'sign', timestamp_param: 'timestamp' } as const;

test('path_pairs_hmac_sha256: path, sorted pairs decoded, the time among them; an old signature and an old time are replaced', () => {
  const query = signed('https://api.acme.com/v2/orders?shop_id=%C3%A91&page=+2&app_key=key&sign=old&timestamp=1', byPath);
  expect(query.get('sign')).toBe(ofPath);
  expect(query.get('timestamp')).toBe('1763640000');
});

test('path_pairs_hmac_sha256: a form is signed like the query, a token in the query is not', () => {
  const form = [['page', ' 2'] as const];
  const query = signed('https://api.acme.com/v2/orders?shop_id=%C3%A91&app_key=key&access_token=token', byPath, { form, tokenParam: 'access_token' });
  expect(query.get('sign')).toBe(ofPath);
});

test('pairs_token_md5: sorted name=value and the MD5 of token and secret (made with md5sum)', () => {
  const sign = { signer: 'pairs_token_md5', param: 'sig' } as const;
  const query = signed('https://api.acme.com/fb.do?method=users.get&fields=uid&application_key=key&access_token=token', sign, {
    tokenParam: 'access_token',
  });
  expect(query.get('sig')).toBe('5dfcf3cf450c3f5335b9f13e70953515');
});

test('pairs_rsa_sha256: a token in the query is signed like any other parameter, what is empty is not', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const sign = { signer: 'pairs_rsa_sha256', param: 'sign', timestamp_param: 'timestamp', timestamp_format: 'china_time' } as const;
  const client = { client_id: 'c', private_key_jwk: { ...privateKey.export({ format: 'jwk' }) } };
  const url = 'https://api.acme.com/gateway.do?method=user.info&auth_token=token&empty=&sign=old';
  const query = signed(url, sign, { client, tokenParam: 'auth_token', form: [['biz', 'é=&']] });
  expect(query.get('timestamp')).toBe('2025-11-20 20:00:00');
  const text = 'auth_token=token&biz=é=&&method=user.info&timestamp=2025-11-20 20:00:00';
  expect(verify('sha256', Buffer.from(text), publicKey, Buffer.from(query.get('sign') ?? '', 'base64'))).toBe(true);
});
