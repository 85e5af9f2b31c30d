import { expect, test } from 'vitest';
import { authorizationCode } from '../../src/grants/authorization-code.ts';
import { Credential, type CredentialFields } from '../../src/protocol/credential.ts';
import { contextFor, json, now, scriptedDoor } from './context.ts';

/** What stands only in the ID token of an answer. */

const method = {
  issuer: 'https://{tenant}.acme.com',
  authorization_endpoint: 'https://{tenant}.acme.com/a',
  token_endpoint: 'https://{tenant}.acme.com/t',
  callback: { keep: ['realm'] },
  response: { keep: { plan: '/plan' }, id_token: { account: '/org/id', keep: { api_url: '/api_url' } } },
};
const settings = { declared: { tenant: { label: 'Tenant' } }, inputs: { tenant: 'north' } };
const claims = {
  iss: 'https://north.acme.com',
  aud: 'client',
  exp: now.getTime() / 1000 + 600,
  sub: 'u1',
  org: { id: 7 },
  api_url: 'https://api.acme.com',
};
const idToken = (more: Record<string, unknown> = {}) =>
  [{ alg: 'RS256' }, { ...claims, ...more }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
    .concat('.c2ln');
const pending = { redirectUri: 'https://broker.example/cb', scopes: ['openid'], codeVerifier: 'v'.repeat(43) };

async function finish(answers: readonly Record<string, unknown>[], more: Record<string, unknown> = {}) {
  const { door } = scriptedDoor(...answers.map((answer) => json(answer)));
  const ctx = contextFor('authorization_code', { ...method, ...more }, { ...settings, door });
  const keep = { realm: 'from the callback', id_token: idToken({ sub: 'of the callback' }) };
  return (await authorizationCode.finish?.(ctx, pending, { code: 'c', keep }))?.reveal();
}

test('the account, who it is about, and extras, beside what the answer itself has', async () => {
  expect(await finish([{ access_token: 'at', plan: 'pro', id_token: idToken() }])).toMatchObject({
    access_token: 'at',
    account: '7',
    subject: 'u1',
    extras: { plan: 'pro', api_url: 'https://api.acme.com', realm: 'from the callback' },
  });
});

test.each<[string, Record<string, unknown>]>([
  ['none, whatever the callback has', {}],
  ['one for another client', { id_token: idToken({ aud: 'other' }) }],
  ['one of another tenant', { id_token: idToken({ iss: 'https://south.acme.com' }) }],
  ['one that has ended', { id_token: idToken({ exp: now.getTime() / 1000 - 3_600 }) }],
  ['one without the account', { id_token: idToken({ org: {} }) }],
])('%s: the exchange fails', async (_, more) => {
  await expect(finish([{ access_token: 'at', ...more }])).rejects.toMatchObject({ code: 'bad_provider_answer' });
});

test('a claim to keep that is not there is missing, as of an answer', async () => {
  expect((await finish([{ access_token: 'at', id_token: idToken({ api_url: undefined }) }]))?.extras).toEqual(
    expect.not.objectContaining({ api_url: expect.anything() }),
  );
});

test('a definition that reads none does not look at it', async () => {
  const fields = await finish([{ access_token: 'at', id_token: 'anything' }], { response: {} });
  expect([fields?.account, fields?.subject]).toEqual([undefined, undefined]);
});

test('of a first token that is exchanged, the first answer says who', async () => {
  const second_exchange = { endpoint: 'https://graph.acme.com/long', params: { token: '{access_token}' } };
  const fields = await finish([{ access_token: 'short', id_token: idToken() }, { access_token: 'long' }], { second_exchange });
  expect(fields).toMatchObject({ access_token: 'long', account: '7', subject: 'u1', extras: { api_url: 'https://api.acme.com' } });
});

const old: CredentialFields = {
  kind: 'oauth2',
  access_token: 'at-0',
  refresh_token: 'rt',
  token_type: 'bearer',
  scopes: ['openid'],
  lifetimeS: 60,
  refreshLifetimeS: null,
  subject: 'u1',
  extras: { api_url: 'https://old.acme.com' },
};

async function refresh(answer: Record<string, unknown>, fields: CredentialFields = old) {
  const { door } = scriptedDoor(json({ access_token: 'at-1', ...answer }));
  const ctx = contextFor('authorization_code', method, { ...settings, door });
  return (await authorizationCode.refresh?.(ctx, new Credential(fields)))?.reveal();
}

test('a refresh brings new extras, and never an account', async () => {
  const fields = await refresh({ id_token: idToken({ org: { id: 8 } }) });
  expect(fields).toMatchObject({ access_token: 'at-1', subject: 'u1', extras: { api_url: 'https://api.acme.com' } });
  expect(fields).not.toHaveProperty('account');
});

test.each<[string, Record<string, unknown>]>([
  ['no ID token', {}],
  ['one that has ended', { id_token: idToken({ exp: 1, sub: 'u2' }) }],
  ['one for another client', { id_token: idToken({ aud: 'other', sub: 'u2' }) }],
  ['one without the account', { id_token: idToken({ org: {} }) }],
  ['nonsense', { id_token: 7 }],
])('a refresh with %s: all stays as it was', async (_, answer) => {
  expect(await refresh(answer)).toMatchObject({ access_token: 'at-1', subject: 'u1', extras: { api_url: 'https://old.acme.com' } });
});

test('a refresh that renews somebody else’s token is none', async () => {
  await expect(refresh({ id_token: idToken({ sub: 'u2' }) })).rejects.toMatchObject({ code: 'invalid_grant' });
});

test('a credential of before, of which nobody knows whom it is about, learns it', async () => {
  const { subject: _, ...before } = old;
  expect(await refresh({ id_token: idToken({ sub: 'u2' }) }, before)).toMatchObject({ access_token: 'at-1', subject: 'u2' });
  expect(await refresh({}, before)).not.toHaveProperty('subject');
});
