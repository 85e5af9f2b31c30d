import { generateKeyPairSync } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, jwtVerify } from 'jose';
import { expect, test } from 'vitest';
import { jwtBearer } from '../../src/grants/jwt-bearer.ts';
import type { Started } from '../../src/protocol/grant.ts';
import { contextFor, formOf, json, now, scriptedDoor } from './context.ts';

/** RFC 7523 section 2.1: a signed JWT is the authorization. */

const token_endpoint = 'https://as.acme.com/t';
const input = { redirectUri: '', state: '', scopes: ['a', 'b'], endpoint: 'authorization' } as const;
const fieldsOf = (started: Started) => {
  if (started.kind !== 'credential') throw new Error(started.kind);
  return started.credential;
};

async function registered(alg = 'ES256') {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { publicKey, client: { client_id: 'client', private_key_jwk: { ...(await exportJWK(privateKey)), alg, kid: 'k1' } } };
}

test('the key of the integration signs, anew for each token: one minute, one use, one audience', async () => {
  const { publicKey, client } = await registered();
  const { door, sent } = scriptedDoor(json({ access_token: 'at-1', expires_in: 60, refresh_token: 'idle' }), json({ access_token: 'at-2' }));
  const ctx = contextFor(
    'jwt_bearer',
    { token_endpoint, assertion: { subject: '{user}', claims: { tenant: 'acme' } }, inputs: { user: { label: 'User' } } },
    { client, door, inputs: { user: 'ada' } },
  );
  const first = fieldsOf(await jwtBearer.start(ctx, input));
  expect(first.reveal()).toMatchObject({ access_token: 'at-1', lifetimeS: 60, scopes: ['a', 'b'] });
  // None should come with a grant that is asked for anew (RFC 7521 section 4.1).
  expect(first.reveal()).not.toHaveProperty('refresh_token');
  expect((await jwtBearer.refresh?.(ctx, first))?.reveal().access_token).toBe('at-2');

  const jtis = new Set();
  for (const request of sent) {
    const { assertion = '', ...others } = formOf(request);
    expect(others).toEqual({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', scope: 'a b', client_id: 'client' });
    const { payload, protectedHeader } = await jwtVerify(assertion, publicKey, {
      issuer: 'client',
      subject: 'ada',
      audience: token_endpoint,
      currentDate: now,
    });
    expect(protectedHeader).toEqual({ alg: 'ES256', kid: 'k1', typ: 'JWT' });
    expect(payload).toMatchObject({ tenant: 'acme', exp: (payload.iat ?? 0) + 60 });
    jtis.add(payload.jti);
  }
  expect(jtis.size).toBe(2);
});

const service = {
  token_endpoint,
  inputs: {
    email: { label: 'E-mail' },
    key: { label: 'Key', secret: true, private_key: true },
    key_id: { label: 'Key ID', optional: true },
    user: { label: 'User', optional: true },
  },
  assertion: { issuer: '{email}', subject: '{user}', claims: { scope: '{scope}' }, key: '{key}', key_id: '{key_id}' },
  token: { omit: ['client_id', 'scope'] },
};

test.each([
  ['RS256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
  ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
  ['EdDSA', generateKeyPairSync('ed25519')],
] as const)('a key of the end user signs with %s, and the integration has none', async (alg, { privateKey, publicKey }) => {
  const { door, sent } = scriptedDoor(json({ access_token: 'at' }), json({ access_token: 'at' }));
  const inputs = { email: 'robot@acme.com', key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString() };
  const ctx = contextFor('jwt_bearer', service, { client: { client_id: '' }, door, inputs });
  await jwtBearer.start(ctx, input);
  const form = formOf(sent[0]);
  expect(Object.keys(form).sort()).toEqual(['assertion', 'grant_type']);
  const { payload } = await jwtVerify(form['assertion'] ?? '', publicKey, { issuer: 'robot@acme.com', audience: token_endpoint, currentDate: now });
  expect(payload).toMatchObject({ scope: 'a b' });
  expect(payload).not.toHaveProperty('sub');
  expect(decodeProtectedHeader(form['assertion'] ?? '')).toEqual({ alg, typ: 'JWT' });

  await jwtBearer.start({ ...ctx, inputs: { ...inputs, key_id: 'k7', user: 'ada@acme.com' } }, input);
  const named = formOf(sent[1])['assertion'] ?? '';
  expect(decodeProtectedHeader(named).kid).toBe('k7');
  expect(decodeJwt(named).sub).toBe('ada@acme.com');
});

test('a JWT in a header, where the request has no parameters', async () => {
  const { publicKey, client } = await registered('RS256');
  const { door, sent } = scriptedDoor(json({ token: 'ghs', expires_at: '2026-11-20T13:00:00Z' }, 201));
  const ctx = contextFor(
    'jwt_bearer',
    {
      token_endpoint: 'https://api.acme.com/installations/{installation}/tokens',
      inputs: { installation: { label: 'Installation' } },
      token: { headers: { Authorization: 'Bearer {assertion}' }, omit: ['grant_type', 'assertion', 'client_id', 'scope'] },
      response: { access_token: '/token', expires_in: '/expires_at', expires_unit: 'iso' },
    },
    { client, door, inputs: { installation: '42' } },
  );
  expect(fieldsOf(await jwtBearer.start(ctx, input)).reveal()).toMatchObject({ access_token: 'ghs', lifetimeS: 3_600 });
  expect(sent[0]).toMatchObject({ url: 'https://api.acme.com/installations/42/tokens', body: '' });
  const [scheme, assertion = ''] = (sent[0]?.headers?.['authorization'] ?? '').split(' ');
  expect(scheme).toBe('Bearer');
  await jwtVerify(assertion, publicKey, { issuer: 'client', audience: sent[0]?.url ?? '', currentDate: now });
});

test('an audience that the definition names is for the token endpoint alone', async () => {
  const { client } = await registered();
  const audienceOf = async (more: Record<string, unknown>) => {
    const { door, sent } = scriptedDoor(json({ access_token: 'at' }));
    await jwtBearer.start(contextFor('jwt_bearer', { token_endpoint, ...more }, { client, door }), input);
    return decodeJwt(formOf(sent[0])['assertion'] ?? '').aud;
  };
  expect(await audienceOf({ assertion: { audience: 'as.acme.com' } })).toBe('as.acme.com');
  expect(await audienceOf({ issuer: 'https://as.acme.com' })).toBe('https://as.acme.com');
  expect(await audienceOf({ issuer: 'https://honest.acme.org' })).toBe(token_endpoint);
});

const mine = { token_endpoint };
const hers = { ...service, token: { omit: ['client_id', 'scope'] } };
const pem = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();

test.each([
  ['a bare 401 for our key: it may be the registration', mine, {}, json({}, 401), { code: 'invalid_client', details: { nature: 'unexplained' } }],
  ['a bare 401 for her key, which came alone', hers, { email: 'e', key: pem }, json({}, 401), { code: 'invalid_grant' }],
  ['consent that was taken back', mine, {}, json({ error: 'consent_required' }, 400), { code: 'invalid_grant' }],
  [
    'invalid_grant for our key: it may be the key or a clock (RFC 7521 section 4.1.1), and ends nobody for good',
    mine,
    {},
    json({ error: 'invalid_grant' }, 400),
    { code: 'invalid_client', details: { nature: 'unexplained' } },
  ],
  [
    'what the definition calls an end is one',
    { ...mine, response: { error: '/message', error_codes: { 'Not Found': 'invalid_grant' } } },
    {},
    json({ message: 'Not Found' }, 404),
    { code: 'invalid_grant' },
  ],
  ['invalid_grant for her key', hers, { email: 'e', key: pem }, json({ error: 'invalid_grant' }, 400), { code: 'invalid_grant' }],
  [
    'her key may not: that says nothing of our registration',
    hers,
    { email: 'e', key: pem },
    json({ error: 'unauthorized_client' }, 401),
    { code: 'invalid_grant' },
  ],
  ['a client that may not', mine, {}, json({ error: 'unauthorized_client' }, 400), { code: 'invalid_client' }],
  ['the provider is away', mine, {}, { status: 503 }, { code: 'provider_unavailable' }],
])('%s', async (_, method, inputs, answer, expected) => {
  const { client } = await registered();
  const { door } = scriptedDoor(answer);
  const ctx = contextFor('jwt_bearer', method, { client, door, inputs });
  await expect(jwtBearer.start(ctx, input)).rejects.toMatchObject(expected);
});

test.each([
  ['no key', undefined],
  ['a secret as a key', { kty: 'oct', k: 'c2VjcmV0', alg: 'HS256', kid: 'k' }],
])('nothing is sent when the integration has %s', async (_, private_key_jwk) => {
  const { door, sent } = scriptedDoor();
  const ctx = contextFor('jwt_bearer', mine, { client: { client_id: 'client', ...(private_key_jwk && { private_key_jwk }) }, door });
  await expect(jwtBearer.start(ctx, input)).rejects.toMatchObject({ code: 'invalid_client' });
  expect(sent).toEqual([]);
});

test('nothing is sent when what the end user gave cannot sign', async () => {
  const { door, sent } = scriptedDoor();
  for (const key of ['no key', generateKeyPairSync('x25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()]) {
    const ctx = contextFor('jwt_bearer', service, { client: { client_id: '' }, door, inputs: { email: 'e', key } });
    await expect(jwtBearer.start(ctx, input)).rejects.toMatchObject({ code: 'invalid_grant' });
  }
  expect(sent).toEqual([]);
});
