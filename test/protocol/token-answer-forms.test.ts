import { describe, expect, test } from 'vitest';
import { authorizationCodeSchema } from '../../src/protocol/definition/schema.ts';
import { parseTokenAnswer } from '../../src/protocol/token-answer.ts';

/** Forms of answers that some providers have: a prefix, a list, numbers that JavaScript rounds, fields that say something else. */

const sentAt = new Date('2026-11-20T12:00:00Z');
const endpoints = { grant: 'authorization_code', authorization_endpoint: 'https://as.acme.com/a', token_endpoint: 'https://as.acme.com/t' } as const;

function parse(body: string, response: Record<string, unknown>, held?: string) {
  const map = authorizationCodeSchema.parse({ ...endpoints, response }).response;
  return parseTokenAnswer(
    { status: 200, headers: {}, body },
    { response: map, separator: ' ', requested: ['read'], sentAt, refused: 'invalid_client', held },
  );
}

test('a prefix is cut off where there is one', () => {
  for (const before of ['&&&START&&&', '']) expect(parse(`${before}{"access_token":"at"}`, { prefix: '&&&START&&&' }).access_token).toBe('at');
});

test('the fields may stand inside a list, or on top', () => {
  const response = { within: '/data/0', keep: { user: '/user_id' } };
  for (const body of ['{"data":[{"access_token":"at","user_id":"7"}]}', '{"access_token":"at","user_id":"7"}'])
    expect(parse(body, response)).toMatchObject({ access_token: 'at', extras: { user: '7' } });
  expect(() => parse('{"error":"invalid_grant"}', response)).toThrow('invalid_grant');
});

describe('long numbers', () => {
  test.each<[string, string]>([
    ['17841405793187218', '17841405793187218'],
    ['-90071992547409931234', '-90071992547409931234'],
    ['"a \\" 17841405793187218"', 'a " 17841405793187218'],
    ['"\\\\"', '\\'],
    ['9007199254740991', '9007199254740991'],
    ['0.12345678901234567890', String(Number('0.12345678901234567890'))],
    ['12345678901234567890.5', String(Number('12345678901234567890.5'))],
    ['12345678901234567e2', String(Number('12345678901234567e2'))],
  ])('%s', (written, kept) => {
    expect(parse(`{"access_token":"at","id":${written},"n":12345678901234567890}`, { keep: { id: '/id', n: '/n' } }).extras).toEqual({
      id: kept,
      n: '12345678901234567890',
    });
  });

  test.each(['access_token', 'refresh_token', 'scope', 'token_type'])('are no %s', (name) => {
    const others = name === 'access_token' ? '' : '"access_token":"at",';
    expect(() => parse(`{${others}"${name}":12345678901234567890}`, { token_types: ['bearer', '12345678901234567890'] })).toThrow(/^The answer/);
  });
});

test('what is switched off is not read', () => {
  const body = JSON.stringify({ access_token: 'at', refresh_token: 'rt', expires_in: 0, scope: 'user@acme.com', token_type: 'mac', error: 'no' });
  const off = { refresh_token: 'none', expires_in: 'none', scope: 'none', token_type: 'none', error: 'none' };
  const read = parse(body, off);
  expect(read).toMatchObject({ scopes: ['read'], lifetimeS: null, token_type: 'bearer' });
  expect(read.refresh_token).toBeUndefined();
});

describe('the end of the refresh token', () => {
  const end = (members: Record<string, unknown>, response: Record<string, unknown>) =>
    parse(JSON.stringify({ access_token: 'at', refresh_token: 'rt', ...members }), { refresh_token_expires_in: '/end', ...response })
      .refreshLifetimeS;
  test.each<[string, Record<string, unknown>, Record<string, unknown>, number | null]>([
    ['an instant in seconds', { end: sentAt.getTime() / 1_000 + 60 }, { refresh_token_expires_unit: 'epoch_s' }, 60],
    ['an instant as text', { end: '2026-11-20T12:01:00Z' }, { refresh_token_expires_unit: 'iso' }, 60],
    ['seconds as text', { end: '60' }, {}, 60],
    ['the definition, when the answer is silent', {}, { refresh_token_lifetime: 'P7D' }, 604_800],
    ['the answer before the definition', { end: 60 }, { refresh_token_lifetime: 'P7D' }, 60],
    ['not of a refresh token that did not come', { refresh_token: undefined }, { refresh_token_lifetime: 'P7D' }, null],
    ['nobody', {}, {}, null],
  ])('%s', (_, members, response, seconds) => {
    expect(end(members, response)).toBe(seconds);
  });
});

test('a refresh token that comes back lives no longer than before', () => {
  const response = { refresh_token_lifetime: 'P7D' };
  const body = '{"access_token":"at","refresh_token":"rt"}';
  expect(parse(body, response, 'rt').refreshLifetimeS).toBeNull();
  expect(parse(body, response, 'old').refreshLifetimeS).toBe(604_800);
});
