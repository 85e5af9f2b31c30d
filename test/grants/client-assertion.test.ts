import { decodeJwt, exportJWK, generateKeyPair, jwtVerify } from 'jose';
import { expect, test } from 'vitest';
import { authorizationCode } from '../../src/grants/authorization-code.ts';
import { clientAssertion } from '../../src/grants/client-assertion.ts';
import { clientCredentials } from '../../src/grants/client-credentials.ts';
import { Credential } from '../../src/protocol/credential.ts';
import { contextFor, formOf, json, now, scriptedDoor } from './context.ts';

const endpoints = {
  authorization_endpoint: 'https://as.acme.com/a',
  token_endpoint: 'https://as.acme.com/t',
  revocation_endpoint: 'https://as.acme.com/r',
};
const method = { ...endpoints, token_endpoint_auth_method: 'private_key_jwt' };
const credential = new Credential({
  kind: 'oauth2',
  access_token: 'at',
  refresh_token: 'rt',
  token_type: 'bearer',
  scopes: [],
  lifetimeS: 1,
  refreshLifetimeS: null,
  extras: {},
});

async function keyPair(alg = 'ES256') {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { publicKey, private_key_jwk: { ...(await exportJWK(privateKey)), alg, kid: 'key-1' } };
}

test.each(['ES256', 'RS256', 'PS512', 'EdDSA'])('%s: one minute, one use, one audience', async (alg) => {
  const { publicKey, private_key_jwk } = await keyPair(alg);
  const { door, sent } = scriptedDoor(json({ access_token: 'at' }), json({ access_token: 'at' }), { status: 200 }, { status: 200 });
  const client = { client_id: 'client', client_secret: 'secret', private_key_jwk };
  const ctx = contextFor('authorization_code', method, { client, door });
  await authorizationCode.refresh?.(ctx, credential);
  await authorizationCode.refresh?.({ ...ctx, method: { ...ctx.method, issuer: 'https://as.acme.com' } }, credential);
  await authorizationCode.revoke?.(ctx, credential);

  const jtis = new Set();
  for (const [index, audience] of ['https://as.acme.com/t', 'https://as.acme.com', 'https://as.acme.com/r'].entries()) {
    const form = formOf(sent[index]);
    expect(sent[index]?.headers).not.toHaveProperty('authorization');
    expect(form).not.toHaveProperty('client_secret');
    expect(form['client_assertion_type']).toBe('urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
    const { payload, protectedHeader } = await jwtVerify(form['client_assertion'] ?? '', publicKey, {
      issuer: 'client',
      subject: 'client',
      currentDate: now,
    });
    expect(payload.aud).toBe(audience);
    expect(protectedHeader).toEqual({ alg, kid: 'key-1', typ: 'JWT' });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(60);
    // Clocks differ: one that is behind does not see it come from the future.
    expect(payload.iat).toBe(now.getTime() / 1000 - 15);
    jtis.add(payload.jti);
  }
  expect(jtis.size).toBe(3);
});

test('an audience that the definition names is for its own host alone: anybody else gets one for exactly the address that is called', async () => {
  const { private_key_jwk } = await keyPair();
  const elsewhere = { revocation_endpoint: 'https://evil.acme.org/r', refresh: { endpoint: 'https://evil.acme.org/t' } };
  const audienceOf = async (more: Record<string, unknown>, step: 'refresh' | 'revoke') => {
    const { door, sent } = scriptedDoor(json({ access_token: 'at' }), json({}));
    const ctx = contextFor('authorization_code', { ...method, ...more }, { client: { client_id: 'client', private_key_jwk }, door });
    await authorizationCode[step]?.(ctx, credential);
    return decodeJwt(formOf(sent[0])['client_assertion'] ?? '').aud;
  };
  const issuer = 'https://as.acme.com/tenant';
  const client_assertion = { audience: 'https://id.acme.com' };
  expect(await audienceOf({ issuer }, 'refresh')).toBe(issuer);
  expect(await audienceOf({ issuer, ...elsewhere }, 'refresh')).toBe('https://evil.acme.org/t');
  expect(await audienceOf({ issuer, ...elsewhere }, 'revoke')).toBe('https://evil.acme.org/r');
  expect(await audienceOf({ issuer: 'https://honest.acme.org' }, 'refresh')).toBe(endpoints.token_endpoint);
  expect(await audienceOf({ client_assertion }, 'refresh')).toBe('https://id.acme.com');
  expect(await audienceOf({ client_assertion }, 'revoke')).toBe('https://id.acme.com');
  expect(await audienceOf({ client_assertion, ...elsewhere }, 'refresh')).toBe('https://evil.acme.org/t');
  expect(await audienceOf({ client_assertion, ...elsewhere }, 'revoke')).toBe('https://evil.acme.org/r');
});

test('keys that may not sign', async () => {
  const { private_key_jwk, publicKey } = await keyPair();
  const { kid: _, ...withoutKid } = private_key_jwk;
  const bad = [
    undefined,
    withoutKid,
    { ...private_key_jwk, alg: 'none' },
    { kty: 'oct', k: 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA', alg: 'HS256', kid: 'k' },
    { ...private_key_jwk, alg: 'RS256' },
    { ...(await exportJWK(publicKey)), alg: 'ES256', kid: 'k' },
  ];
  for (const jwk of bad) {
    const client = { client_id: 'client', ...(jwk === undefined ? {} : { private_key_jwk: jwk }) };
    await expect(clientAssertion(client, { audience: 'https://x', now, jti: Buffer.alloc(16) })).rejects.toMatchObject({ code: 'invalid_client' });
  }
});

test('a JWT in the place of the secret, with another issuer and audience', async () => {
  const { publicKey, private_key_jwk } = await keyPair();
  const { door, sent } = scriptedDoor(json({ access_token: 'at' }));
  const client_assertion = { param: 'client_secret', issuer: '{team}', audience: 'https://id.acme.com' };
  const ctx = contextFor(
    'authorization_code',
    { ...method, client_assertion, inputs: { team: { label: 'Team' } } },
    { client: { client_id: 'client', private_key_jwk }, inputs: { team: 'TEAM' }, door },
  );
  await authorizationCode.refresh?.(ctx, credential);
  const { client_secret = '', ...others } = formOf(sent[0]);
  expect(others).toEqual({ grant_type: 'refresh_token', refresh_token: 'rt', client_id: 'client' });
  const { payload } = await jwtVerify(client_secret, publicKey, { issuer: 'TEAM', subject: 'client', currentDate: now });
  expect(payload.aud).toBe('https://id.acme.com');
});

test('further claims, which replace none of the RFC', async () => {
  const { publicKey, private_key_jwk } = await keyPair('PS256');
  const { door, sent } = scriptedDoor(json({ access_token: 'at' }));
  const ctx = contextFor(
    'client_credentials',
    { token_endpoint: endpoints.token_endpoint, token_endpoint_auth_method: 'private_key_jwt', client_assertion: { claims: { scope: '{scope}' } } },
    { client: { client_id: 'client', private_key_jwk }, door },
  );
  await clientCredentials.start(ctx, { redirectUri: '', state: '', scopes: ['a', 'b'], endpoint: 'authorization' });
  const { payload } = await jwtVerify(formOf(sent[0])['client_assertion'] ?? '', publicKey, { issuer: 'client', currentDate: now });
  expect(payload).toMatchObject({ scope: 'a b', aud: endpoints.token_endpoint });
});
