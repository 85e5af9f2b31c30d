import { expect, test } from 'vitest';
import { authorizationCode } from '../../src/grants/authorization-code.ts';
import { GrantryError } from '../../src/protocol/errors.ts';
import { contextFor, formOf, json, scriptedDoor } from './context.ts';

const method = {
  authorization_endpoint: 'https://as.acme.com/a',
  token_endpoint: 'https://as.acme.com/t',
  token_endpoint_auth_method: 'client_secret_post',
  second_exchange: {
    endpoint: 'https://graph.acme.com/long',
    method: 'GET',
    format: 'query',
    params: { grant_type: 'exchange', token: '{access_token}', user: '{extras.user}' },
  },
  response: { keep: { user: '/user_id' } },
};
const short = json({ access_token: 'short', user_id: 'u1', scope: 'a b', expires_in: 60 });

async function finish(answers: Parameters<typeof scriptedDoor>) {
  const { door, sent } = scriptedDoor(...answers);
  const ctx = contextFor('authorization_code', method, { door });
  const pending = { redirectUri: 'https://broker.example/cb', scopes: ['a', 'b', 'c'], codeVerifier: 'v'.repeat(43) };
  const credential = authorizationCode.finish?.(ctx, pending, { code: 'the-code', keep: {} });
  return { credential, sent };
}

test('the first token is exchanged at once, and the second answer is the credential', async () => {
  const { credential, sent } = await finish([short, json({ access_token: 'long', expires_in: 5_184_000 })]);
  expect((await credential)?.reveal()).toMatchObject({
    access_token: 'long',
    lifetimeS: 5_184_000,
    scopes: ['a', 'b'],
    extras: { user: 'u1' },
  });
  expect(formOf(sent[0])['code']).toBe('the-code');
  expect(sent[1]).toMatchObject({ method: 'GET' });
  expect(Object.fromEntries(new URL(sent[1]?.url ?? '').searchParams)).toEqual({
    grant_type: 'exchange',
    token: 'short',
    user: 'u1',
    client_id: 'client',
    client_secret: 'secret',
  });
});

test.each([
  ['no answer: nobody knows what came of it', new GrantryError('no_answer'), 'exchange_unknown'],
  ['the client is refused: the code is not sent again with another secret', json({ error: 'invalid_client' }, 401), 'provider_error'],
  ['the provider is away', { status: 503 }, 'provider_unavailable'],
  ['no second token', json({ user_id: 'u1' }), 'bad_provider_answer'],
])('the second request fails, %s', async (_, answer, code) => {
  const { credential, sent } = await finish([short, answer]);
  await expect(credential).rejects.toMatchObject({ code });
  expect(sent).toHaveLength(2);
});

test('nothing is exchanged when the first request fails', async () => {
  const { credential, sent } = await finish([json({ error: 'invalid_grant' }, 400)]);
  await expect(credential).rejects.toMatchObject({ code: 'invalid_grant' });
  expect(sent).toHaveLength(1);
});
