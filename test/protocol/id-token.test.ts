import { expect, test } from 'vitest';
import { claimedAccount, readIdToken } from '../../src/protocol/id-token.ts';

const now = new Date('2026-11-20T12:00:00Z');
const nowS = now.getTime() / 1000;
const rules = { clientId: 'client', issuer: 'https://login.acme.com', now };
const sound = { iss: 'https://login.acme.com', aud: 'client', exp: nowS + 600, sub: 'u1' };
const encoded = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const jwt = (claims: unknown, header: unknown = { alg: 'RS256' }) => `${encoded(header)}.${encoded(claims)}.c2ln`;

test('the claims of a token that is for us', () => {
  expect(readIdToken(jwt({ ...sound, a: { b: 1 } }), rules)).toEqual({ subject: 'u1', claims: { ...sound, a: { b: 1 } } });
  expect(readIdToken(jwt({ ...sound, aud: ['other', 'client'], azp: 'client' }), rules).subject).toBe('u1');
  expect(readIdToken(jwt({ ...sound, iss: 'anybody' }), { ...rules, issuer: undefined }).subject).toBe('u1');
  expect(readIdToken(jwt({ ...sound, exp: nowS - 59 }), rules).subject).toBe('u1');
  expect(
    readIdToken(jwt('{"aud":"client","iss":"https://login.acme.com","exp":9999999999,"sub":"u1","id":12345678901234567890}'), rules).claims,
  ).toMatchObject({
    id: '12345678901234567890',
  });
});

const long = { ...sound, fill: 'x'.repeat(32_768) };
test.each<[string, unknown, RegExp]>([
  ['nothing', undefined, /holds no ID token/],
  ['null', null, /holds no ID token/],
  ['an object', sound, /no text/],
  ['too much', jwt(long), /too long/],
  ['no JWT', 'abc', /no signed JWT/],
  ['two parts', jwt(sound).split('.').slice(0, 2).join('.'), /no signed JWT/],
  ['an empty signature', jwt(sound).replace(/[^.]+$/, ''), /no signed JWT/],
  ['an encrypted one', `${jwt(sound)}.a.b`, /no signed JWT/],
  ['other letters', `${jwt(sound)}=`, /no signed JWT/],
  ['no JSON', jwt('{'), /no signed JWT/],
  ['a list', jwt([sound]), /no signed JWT/],
  ['broken UTF-8', `${encoded({ alg: 'RS256' })}.${Buffer.from([0x7b, 0xff, 0x7d]).toString('base64url')}.a`, /no signed JWT/],
  ['a header that is none', jwt(sound, 'x'), /no signed JWT/],
  ['no algorithm', jwt(sound, {}), /not signed/],
  ['the algorithm none', jwt(sound, { alg: 'None' }), /not signed/],
  ['another issuer', jwt({ ...sound, iss: 'https://login.acme.com/' }), /another issuer/],
  ['no issuer', jwt({ ...sound, iss: undefined }), /another issuer/],
  ['another client', jwt({ ...sound, aud: 'client2' }), /another client/],
  ['other clients', jwt({ ...sound, aud: ['other'] }), /another client/],
  ['an audience that holds ours as a part', jwt({ ...sound, aud: { client: 'client' } }), /another client/],
  ['no audience', jwt({ ...sound, aud: undefined }), /another client/],
  ['another client that had it made', jwt({ ...sound, aud: ['client', 'other'], azp: 'other' }), /another client/],
  ['an end that has passed', jwt({ ...sound, exp: nowS - 60 }), /has ended/],
  ['no end', jwt({ ...sound, exp: undefined }), /has ended/],
  ['an end as text', jwt({ ...sound, exp: String(nowS + 600) }), /has ended/],
  ['nobody', jwt({ ...sound, sub: '' }), /names nobody/],
  ['a number', jwt({ ...sound, sub: 7 }), /names nobody/],
])('%s is no ID token for us, and what it holds is not repeated', (_, token, message) => {
  const refused = expect.objectContaining({ code: 'bad_provider_answer', message: expect.stringMatching(message) });
  expect(() => readIdToken(token, rules)).toThrow(refused);
});

test('the account is one line of text, or a number', () => {
  expect(claimedAccount({ sub: 'u1' }, '/sub')).toBe('u1');
  expect(claimedAccount({ id: 7 }, '/id')).toBe('7');
  expect(claimedAccount({ 'http://acme.com/ctx': 'x' }, '/http:~1~1acme.com~1ctx')).toBe('x');
  for (const sub of [undefined, null, '', true, {}, ['u1'], 'a\u0000b', '\ud800', 'x'.repeat(301)])
    expect(() => claimedAccount({ sub }, '/sub')).toThrow(
      expect.objectContaining({ code: 'bad_provider_answer', message: expect.stringContaining('/sub') }),
    );
  expect(() => claimedAccount({}, '/constructor/name')).toThrow();
});
