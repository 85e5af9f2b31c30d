import { expect, test } from 'vitest';
import { authorizationCode } from '../../src/grants/authorization-code.ts';
import { Credential } from '../../src/protocol/credential.ts';
import { GrantryError } from '../../src/protocol/errors.ts';
import { contextFor, json, scriptedDoor } from './context.ts';

/** Providers whose token requests have to hold a token of the application, which is asked for first. */

const method = {
  authorization_endpoint: 'https://as.acme.com/a',
  token_endpoint: 'https://as.acme.com/t',
  token_endpoint_auth_method: 'none',
  application_token: {
    endpoint: 'https://as.acme.com/app',
    format: 'json',
    rename: { client_id: 'app_id', client_secret: 'app_secret' },
    response: {
      access_token: '/app_access_token',
      error: '/code',
      error_codes: { '10014': 'invalid_client' },
      success: { pointer: '/code', equals: 0 },
    },
  },
  token: { format: 'json', headers: { Authorization: 'Bearer {application_token}' }, omit: ['client_id'] },
  refresh: { params: { app: '{application_token}' } },
};
const good = json({ code: 0, app_access_token: 'app-token' });
const held = new Credential({
  kind: 'oauth2',
  access_token: 'at',
  refresh_token: 'rt',
  token_type: 'bearer',
  scopes: [],
  lifetimeS: 1,
  refreshLifetimeS: null,
  extras: {},
});

function play(...answers: Parameters<typeof scriptedDoor>) {
  const { door, sent } = scriptedDoor(...answers);
  const ctx = contextFor('authorization_code', method, { door });
  const pending = { redirectUri: 'https://broker.example/cb', scopes: [], codeVerifier: 'v'.repeat(43) };
  return {
    sent,
    finish: () => authorizationCode.finish?.(ctx, pending, { code: 'the-code', keep: {} }),
    refresh: () => authorizationCode.refresh?.(ctx, held),
  };
}

test('is asked for before each request to the token endpoint, and never kept', async () => {
  const { sent, finish, refresh } = play(
    good,
    json({ access_token: 'at', refresh_token: 'rt' }),
    json({ code: 0, app_access_token: 'app-2' }),
    json({ access_token: 'at-2' }),
  );
  const credential = await finish();
  expect(JSON.stringify(credential?.reveal())).not.toContain('app-token');
  expect(sent[0]).toMatchObject({ method: 'POST', url: 'https://as.acme.com/app' });
  expect(JSON.parse(sent[0]?.body ?? '')).toEqual({ app_id: 'client', app_secret: 'secret' });
  expect(sent[1]?.headers?.['authorization']).toBe('Bearer app-token');
  expect(JSON.parse(sent[1]?.body ?? '')).not.toHaveProperty('client_secret');
  await refresh();
  expect(sent[3]?.headers?.['authorization']).toBe('Bearer app-2');
  expect(JSON.parse(sent[3]?.body ?? '')).toEqual({ grant_type: 'refresh_token', refresh_token: 'rt', app: 'app-2' });
});

test.each([
  ['no answer: the code has not been sent, so nobody has to wonder', new GrantryError('no_answer'), 'provider_unavailable'],
  ['a refusal that the definition knows is about us', json({ code: 10014 }), 'invalid_client'],
  ['a refusal that it does not know', json({ code: 99 }), 'provider_error'],
  ['a 401 is about us', json({}, 401), 'invalid_client'],
  ['invalid_grant is about us as well', json({ code: 'invalid_grant' }, 400), 'invalid_client'],
  ['it is away', { status: 503 }, 'provider_unavailable'],
  ['no token', json({ code: 0 }), 'provider_unavailable'],
  ['no JSON', { body: '<html>' }, 'provider_unavailable'],
  ['a redirect', { status: 302 }, 'provider_unavailable'],
  ['what the door makes of garbage', new GrantryError('bad_provider_answer'), 'provider_unavailable'],
  ['a token with a line end', json({ code: 0, app_access_token: 'a\r\nX: 1' }), 'provider_unavailable'],
])('when it does not come, nothing else is sent: %s', async (_, answer, code) => {
  for (const step of ['finish', 'refresh'] as const) {
    const played = play(answer);
    await expect(played[step]()).rejects.toMatchObject({ code });
    expect(played.sent).toHaveLength(1);
  }
});

test('nothing is sent without a secret', async () => {
  const { door, sent } = scriptedDoor();
  const ctx = contextFor('authorization_code', method, { door, client: { client_id: 'client' } });
  await expect(authorizationCode.refresh?.(ctx, held)).rejects.toMatchObject({ code: 'invalid_client' });
  expect(sent).toEqual([]);
});
