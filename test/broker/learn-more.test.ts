import { expect, test } from 'vitest';
import { presentCredential } from '../../src/broker/account.ts';
import { learnMore } from '../../src/broker/learn-more.ts';
import { Credential } from '../../src/protocol/credential.ts';
import { GrantryError } from '../../src/protocol/errors.ts';
import { contextOf, json, scriptedDoor } from '../grants/context.ts';

/** Calls with a new credential, for what only they tell. */

const after = [
  { path: 'https://login.acme.com/accounts', keep: { account_id: '/0/id', home: '/0/href' } },
  { method: 'POST', path: '/users', json: { id: '{extras.account_id}' }, keep: { user: '/id' } },
];
const api = { base_url: 'https://api.acme.com/v1', headers: { 'X-Account': '{extras.account_id}' } };

async function learn(...answers: Parameters<typeof scriptedDoor>) {
  const { door, sent } = scriptedDoor(...answers);
  const warned: string[] = [];
  const quiet = () => {};
  const log = { debug: quiet, info: quiet, error: quiet, warn: (_: unknown, message: string) => void warned.push(message) };
  const ctx = contextOf({ grant: 'api_key', after }, { api, door });
  const fields = { kind: 'api_key' as const, access_token: 'key', token_type: 'api_key', scopes: [], lifetimeS: null, refreshLifetimeS: null };
  const credential = await learnMore({ log }, ctx, new Credential({ ...fields, extras: { from: 'answer' } }));
  return { sent, warned, extras: credential.reveal().extras, ctx, credential };
}

test('are made in their order, each knows what the ones before told, and all of it is kept', async () => {
  const { sent, extras, warned } = await learn(json([{ id: 7, href: 'https://7.acme.com' }, { id: 8 }]), json({ id: 'u1' }));
  expect(sent).toMatchObject([
    { method: 'GET', url: 'https://login.acme.com/accounts', headers: { Authorization: 'Bearer key' } },
    { method: 'POST', url: 'https://api.acme.com/v1/users', headers: { 'X-Account': '7', 'content-type': 'application/json' }, body: '{"id":"7"}' },
  ]);
  expect(sent[0]?.headers).not.toHaveProperty('X-Account');
  expect(extras).toEqual({ from: 'answer', account_id: '7', home: 'https://7.acme.com', user: 'u1' });
  expect(warned).toEqual([]);
});

test.each([
  ['is refused', json({ error: 'no' }, 403)],
  ['has no answer', new GrantryError('no_answer')],
  ['is answered with something else', { body: '<html>' }],
  ['names nothing', json([])],
])('that %s costs nothing but what it would have told', async (_, answer) => {
  const { extras, sent, ctx, credential } = await learn(answer, json({ id: 'u1' }));
  expect(extras).toEqual({ from: 'answer' });
  // The next one cannot be made without.
  expect(sent).toHaveLength(1);
  expect(presentCredential(ctx, credential, { method: 'GET', url: 'https://api.acme.com/v1/me' }).headers).toEqual({ Authorization: 'Bearer key' });
});

test('a fault of ours is not taken for one of the provider', async () => {
  await expect(learn(new TypeError('broken'))).rejects.toThrow('broken');
});
