import { expect, test } from 'vitest';
import { authorizationCode } from '../../src/grants/authorization-code.ts';
import { Credential } from '../../src/protocol/credential.ts';
import { GrantryError } from '../../src/protocol/errors.ts';
import { contextFor, formOf, json, scriptedDoor } from './context.ts';

const base = {
  authorization_endpoint: 'https://as.acme.com/a',
  token_endpoint: 'https://as.acme.com/t',
  revocation_endpoint: 'https://as.acme.com/revoke',
};
const fields = {
  kind: 'oauth2',
  access_token: 'at',
  token_type: 'bearer',
  scopes: [],
  lifetimeS: null,
  refreshLifetimeS: null,
  extras: { user: 'u/1' },
} as const;

type Answer = Exclude<Parameters<typeof scriptedDoor>[number], Error>;

/** `answer`: to every request, or to each in turn. */
async function revoke(
  method: Record<string, unknown>,
  answer: Answer | readonly Answer[],
  { refreshToken = true, ...settings }: { refreshToken?: boolean } & Parameters<typeof contextFor>[2] = {},
) {
  const { door, sent } = scriptedDoor(...[answer, answer].flat());
  const ctx = contextFor('authorization_code', { ...base, ...method }, { door, ...settings });
  await authorizationCode.revoke?.(ctx, new Credential({ ...fields, ...(refreshToken ? { refresh_token: 'rt' } : {}) }));
  return sent;
}

const ok = { status: 200, body: '' };

test('RFC 7009 section 2.1: the refresh token, with the client authenticated as at the token endpoint', async () => {
  const [sent] = await revoke({}, ok);
  expect(sent).toMatchObject({ method: 'POST', url: base.revocation_endpoint, headers: { authorization: 'Basic Y2xpZW50OnNlY3JldA==' } });
  expect(formOf(sent)).toEqual({ token: 'rt', token_type_hint: 'refresh_token' });
});

test('then the access token: a provider should end it with the refresh token, and need not', async () => {
  const sent = await revoke({}, ok);
  expect(sent.map((each) => formOf(each))).toEqual([
    { token: 'rt', token_type_hint: 'refresh_token' },
    { token: 'at', token_type_hint: 'access_token' },
  ]);
});

test('what comes of the access token changes nothing', async () => {
  const unsupported = { status: 400, body: '{"error":"unsupported_token_type"}' };
  expect(await revoke({}, [ok, unsupported])).toHaveLength(2);
  expect(await revoke({}, [ok, { status: 503, body: '' }])).toHaveLength(2);
  const refused = { status: 400, body: '{"error":"invalid_request"}' };
  // A provider that no longer knows the refresh token, and says so in words of its own, may have kept the access token.
  const { door, sent } = scriptedDoor(refused, ok);
  const ctx = contextFor('authorization_code', base, { door });
  await expect(authorizationCode.revoke?.(ctx, new Credential({ ...fields, refresh_token: 'rt' }))).rejects.toMatchObject({ code: 'provider_error' });
  expect(sent).toHaveLength(2);
  // While it cannot answer at all, both are told later.
  await expect(revoke({}, [{ status: 503, body: '' }])).rejects.toMatchObject({ code: 'provider_unavailable' });
});

test('an endpoint that is told no parameters, or has parameters of its own, is called once', async () => {
  expect(await revoke({ revocation: { method: 'DELETE', format: 'none', authentication: 'access_token' } }, ok)).toHaveLength(1);
  expect(await revoke({ revocation: { params: { token: '{refresh_token}' } } }, ok)).toHaveLength(1);
});

test('the access token where there is no refresh token', async () => {
  const [sent] = await revoke({ token_endpoint_auth_method: 'client_secret_post' }, ok, { refreshToken: false });
  expect(formOf(sent)).toEqual({ token: 'at', token_type_hint: 'access_token', client_id: 'client', client_secret: 'secret' });
  expect(sent?.headers).not.toHaveProperty('authorization');
});

test("the definition's way: method, address, body and authentication", async () => {
  const [remove] = await revoke(
    {
      revocation_endpoint: 'https://api.acme.com/applications/{client_id}/{extras.user}/token',
      token_endpoint_auth_method: 'client_secret_post',
      revocation: {
        method: 'DELETE',
        format: 'json',
        params: { access_token: '{access_token}' },
        authentication: 'client_secret_basic',
        headers: { 'X-Version': '1' },
      },
      response: { keep: { user: '/user' } },
    },
    { status: 204 },
  );
  expect(remove).toMatchObject({ method: 'DELETE', url: 'https://api.acme.com/applications/client/u%2F1/token', body: '{"access_token":"at"}' });
  expect(remove?.headers).toMatchObject({ authorization: 'Basic Y2xpZW50OnNlY3JldA==', 'x-version': '1' });

  const [bearer] = await revoke({ revocation: { format: 'none', authentication: 'access_token' } }, ok);
  expect(bearer).toEqual({ method: 'POST', url: base.revocation_endpoint, headers: { accept: 'application/json', Authorization: 'Bearer at' } });

  const inPath = { base_url: 'https://as.acme.com', token: { in: 'path', prefix: 'bot' } };
  const [placed] = await revoke({ api: inPath, revocation: { format: 'none', authentication: 'access_token' } }, ok);
  expect(placed).toEqual({ method: 'POST', url: 'https://as.acme.com/botat/revoke', headers: { accept: 'application/json' } });

  const [bare] = await revoke({ revocation: { authentication: 'none', format: 'query', method: 'GET', params: { token: '{access_token}' } } }, ok);
  expect(bare).toEqual({ method: 'GET', url: `${base.revocation_endpoint}?token=at`, headers: { accept: 'application/json' } });
});

test.each([[json({ error: 'invalid_token' }, 400)], [json({ error: 'invalid_grant' }, 400)], [json({}, 404)], [{ status: 410 }]])(
  '%o: it was gone already',
  async (answer) => {
    await expect(revoke({}, answer)).resolves.toHaveLength(2);
  },
);

test.each([
  [json({}, 503), 'provider_unavailable'],
  [json({}, 429), 'provider_unavailable'],
  [json({ error: 'invalid_client' }, 401), 'invalid_client'],
  [json({}, 401), 'invalid_client'],
  [json({ error: 'unsupported_token_type' }, 400), 'provider_error'],
  [json({ error: 'what' }), 'provider_error'],
  [{ status: 302 }, 'bad_provider_answer'],
  [new GrantryError('no_answer'), 'no_answer'],
])('%o is %s', async (answer, code) => {
  await expect(revoke({}, answer)).rejects.toMatchObject({ name: 'GrantryError', code });
});

test('a 401 speaks of the token where the token is what authenticates', async () => {
  await expect(revoke({ revocation: { authentication: 'access_token' } }, json({}, 401))).resolves.toHaveLength(2);
});

test('a provider without such an endpoint, or one whose optional address nobody gave, cannot revoke', async () => {
  await expect(revoke({ revocation_endpoint: undefined }, ok)).rejects.toMatchObject({ code: 'unsupported' });
  const optional = { revocation_endpoint: '{where}', inputs: { where: { label: 'Where', url: true, optional: true } } };
  await expect(revoke(optional, ok)).rejects.toMatchObject({ code: 'unsupported' });
});

test.each(['{extras.user}/revoke', 'https://{extras.user}.acme.com/revoke', 'https://{access_token}.acme.com/'])(
  '%s: what was kept never chooses who gets the secret',
  async (endpoint) => {
    await expect(revoke({ revocation_endpoint: endpoint }, ok)).rejects.toMatchObject({ name: 'GrantryError' });
    const { door, sent } = scriptedDoor(ok);
    const ctx = contextFor('authorization_code', { ...base, revocation_endpoint: endpoint }, { door });
    const credential = new Credential({ ...fields, extras: { user: endpoint.startsWith('{') ? 'https://evil.com' : 'evil' } });
    await expect(authorizationCode.revoke?.(ctx, credential)).rejects.toMatchObject({ code: 'address_refused' });
    expect(sent).toHaveLength(0);
  },
);

test('the secret in a header under a scheme of its own', async () => {
  const revocation = {
    format: 'json',
    params: { client_id: '{client_id}', access_token: '{access_token}' },
    headers: { Authorization: 'Client {client_secret}' },
    authentication: 'none',
  };
  const [sent] = await revoke({ revocation }, ok);
  expect(sent).toMatchObject({ headers: { authorization: 'Client secret' }, body: '{"client_id":"client","access_token":"at"}' });
});

test('a header that needs the secret of a registration without one', async () => {
  const revocation = { headers: { 'X-Key': '{client_secret}' }, authentication: 'none' };
  await expect(revoke({ revocation }, ok, { client: { client_id: 'client' } })).rejects.toMatchObject({ code: 'invalid_client' });
});

test('client credentials under names of its own, in a JSON body', async () => {
  const revocation = { format: 'json', params: { accessToken: '{access_token}' }, rename: { client_id: 'clientId', client_secret: 'clientSecret' } };
  const [sent] = await revoke({ token_endpoint_auth_method: 'client_secret_post', revocation }, ok);
  expect(JSON.parse(sent?.body ?? '')).toEqual({ accessToken: 'at', clientId: 'client', clientSecret: 'secret' });
});
