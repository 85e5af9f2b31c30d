import { describe, expect, test } from 'vitest';
import { authorizationCodeSchema } from '../../src/protocol/definition/schema.ts';
import { GrantryError } from '../../src/protocol/errors.ts';
import { parseTokenAnswer } from '../../src/protocol/token-answer.ts';

const sentAt = new Date('2026-11-20T12:00:00Z');
const endpoints = { grant: 'authorization_code', authorization_endpoint: 'https://as.acme.com/a', token_endpoint: 'https://as.acme.com/t' } as const;

type Answer = { status?: number; headers?: Record<string, string>; body: unknown; raw?: boolean };

function parse({ status = 200, headers = {}, body, raw = false }: Answer, response: Record<string, unknown> = {}, requested = ['read', 'write']) {
  const map = authorizationCodeSchema.parse({ ...endpoints, response }).response;
  const text = raw ? String(body) : JSON.stringify(body);
  return parseTokenAnswer({ status, headers, body: text }, { response: map, separator: ' ', requested, sentAt, refused: 'invalid_client' });
}

function refusal(answer: Answer, response: Record<string, unknown> = {}): GrantryError {
  try {
    parse(answer, response);
  } catch (error) {
    if (error instanceof GrantryError) return error;
    throw error;
  }
  throw new Error('It was taken.');
}

const ok = { access_token: 'at', token_type: 'Bearer' };
const withToken = (access_token: unknown): Answer => ({ body: { ...ok, access_token } });
const plus = (members: Record<string, unknown>): Answer => ({ body: { ...ok, ...members } });
const raw = (body: string, status = 200): Answer => ({ body, raw: true, status });

describe('hostile answers give no credential, and nothing of them is in the error', () => {
  const table: [string, Answer, string][] = [
    ['empty', raw(''), 'bad_provider_answer'],
    ['204', raw('', 204), 'bad_provider_answer'],
    ['null', raw('null'), 'bad_provider_answer'],
    ['a number', raw('5'), 'bad_provider_answer'],
    ['a text', raw('"marker"'), 'bad_provider_answer'],
    ['an array', raw('[{"access_token":"marker"}]'), 'bad_provider_answer'],
    ['HTML', raw('<html>marker</html>'), 'bad_provider_answer'],
    ['XML', raw('<access_token>marker</access_token>'), 'bad_provider_answer'],
    ['JSONP', raw('cb({"access_token":"marker"})'), 'bad_provider_answer'],
    ['a form where JSON is expected', raw('access_token=marker&token_type=bearer'), 'bad_provider_answer'],
    ['JSON cut off', raw('{"access_token":"marker"'), 'bad_provider_answer'],
    ['deep nesting', raw(`${'['.repeat(30_000)}${']'.repeat(30_000)}`), 'bad_provider_answer'],
    ['__proto__', raw('{"__proto__":{"access_token":"marker","token_type":"bearer"}}'), 'bad_provider_answer'],
    ['UTF-16', raw('\u0000{\u0000}'), 'bad_provider_answer'],
    ['no token', { body: { token_type: 'bearer', marker: 1 } }, 'bad_provider_answer'],
    ['an empty token', withToken(''), 'bad_provider_answer'],
    ['a token that is an object', withToken({ marker: 1 }), 'bad_provider_answer'],
    ['a token that is an array', withToken(['marker']), 'bad_provider_answer'],
    ['a token that is a number', withToken(7), 'bad_provider_answer'],
    ['a token that is true', withToken(true), 'bad_provider_answer'],
    ['a token of 50,000 characters', withToken('m'.repeat(50_000)), 'bad_provider_answer'],
    ['a token with CRLF', withToken('marker\r\nx: y'), 'bad_provider_answer'],
    ['a token with NUL', withToken('marker\0'), 'bad_provider_answer'],
    ['a token with a space', withToken('mar ker'), 'bad_provider_answer'],
    ['a token beyond ASCII', withToken('markér'), 'bad_provider_answer'],
    ['a refresh token that is an object', plus({ refresh_token: { marker: 1 } }), 'bad_provider_answer'],
    ['a refresh token that is a number', plus({ refresh_token: 5 }), 'bad_provider_answer'],
    ['a refresh token with CRLF', plus({ refresh_token: 'marker\r\n' }), 'bad_provider_answer'],
    ['token_type mac', plus({ token_type: 'mac' }), 'bad_provider_answer'],
    ['token_type N_A', plus({ token_type: 'N_A' }), 'bad_provider_answer'],
    ['token_type 5', plus({ token_type: 5 }), 'bad_provider_answer'],
    ['expires_in 3600abc', plus({ expires_in: '3600abc' }), 'bad_provider_answer'],
    ['expires_in true', plus({ expires_in: true }), 'bad_provider_answer'],
    ['expires_in {}', plus({ expires_in: {} }), 'bad_provider_answer'],
    ['expires_in beyond a double', raw('{"access_token":"at","expires_in":1e999}'), 'bad_provider_answer'],
    ['expires_in NaN', plus({ expires_in: 'NaN' }), 'bad_provider_answer'],
    ['an ISO date where seconds are expected', plus({ expires_in: '2026-11-20T13:00:00Z' }), 'bad_provider_answer'],
    ['a scope that is an object', plus({ scope: { marker: 1 } }), 'bad_provider_answer'],
    ['a scope that is a number', plus({ scope: 5 }), 'bad_provider_answer'],
    ['scopes that are not texts', plus({ scope: ['a', 5] }), 'bad_provider_answer'],
    ['a scope of 301 characters', plus({ scope: 'm'.repeat(301) }), 'bad_provider_answer'],
    ['1,001 scopes', plus({ scope: Array.from({ length: 1_001 }, (_, i) => `s${i}`) }), 'bad_provider_answer'],
    ['a scope with a control character', plus({ scope: ['a\r\nb'] }), 'bad_provider_answer'],
    ['an error with 200', plus({ error: 'marker', error_description: 'marker' }), 'provider_error'],
    ['an error object with 200', plus({ error: { message: 'marker' } }), 'provider_error'],
    ['a token with 400', { ...plus({}), status: 400 }, 'provider_error'],
    ['302 with a token', { ...plus({}), status: 302, headers: { location: 'https://evil.com/marker' } }, 'bad_provider_answer'],
    ['304', raw('', 304), 'bad_provider_answer'],
    ['204', raw('', 204), 'bad_provider_answer'],
    ['206 with a token', { ...plus({}), status: 206 }, 'bad_provider_answer'],
    ['500 with a token', { ...plus({}), status: 500 }, 'provider_unavailable'],
    ['403 with HTML', raw('<b>marker</b>', 403), 'provider_error'],
    ['401 with HTML', raw('<b>marker</b>', 401), 'invalid_client'],
  ];
  test.each(table)('%s', (_, answer, code) => {
    const error = refusal(answer);
    expect(error.code).toBe(code);
    expect(JSON.stringify([error.message, error.details, String(error.cause)])).not.toMatch(/mark/);
  });

  test('a required token type that is absent', () => {
    expect(refusal({ body: { access_token: 'at' } }, { token_type_required: true }).code).toBe('bad_provider_answer');
    expect(refusal({ body: { access_token: 'at', token_type: null } }, { token_type_required: true }).code).toBe('bad_provider_answer');
  });

  test('no prototype was touched', () => {
    parse({ body: '{"access_token":"at","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}', raw: true });
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('answers that are taken', () => {
  test('RFC 6749 section 5.1', () => {
    expect(parse({ body: { ...ok, expires_in: 3600, refresh_token: 'rt', scope: 'read', example: 'x' } })).toEqual({
      kind: 'oauth2',
      access_token: 'at',
      token_type: 'bearer',
      refresh_token: 'rt',
      scopes: ['read'],
      lifetimeS: 3600,
      refreshLifetimeS: null,
      extras: {},
    });
  });

  test.each(['Bearer', 'bearer', 'BEARER', undefined, null])('token_type %s', (token_type) => {
    expect(parse(plus({ token_type })).token_type).toBe('bearer');
  });

  test.each([undefined, null, ''])('refresh_token %o is none', (refresh_token) => {
    expect(parse(plus({ refresh_token }))).not.toHaveProperty('refresh_token');
  });

  test('what its own definition calls a token type', () => {
    expect(parse(plus({ token_type: 'User' }), { token_types: ['bot', 'user'] }).token_type).toBe('user');
  });

  test('nested fields, an error pointer elsewhere, and what is to be kept', () => {
    const response = {
      access_token: '/data/0/a~1b',
      refresh_token: '/data/0/rt',
      refresh_token_expires_in: '/data/0/rt_ends',
      error: '/code',
      success: { pointer: '/msg', equals: 'success' },
      keep: { site: '/site', id: '/id', live: '/live', object: '/data', long: '/long', line: '/line', none: '/none' },
    };
    const body = {
      code: 0,
      msg: 'success',
      data: [{ 'a/b': 'at', rt: 'rt', rt_ends: 100 }],
      site: 'https://x.acme.com',
      id: 7,
      live: false,
      long: 'x'.repeat(2_001),
      line: 'a\r\nb',
      error: 'not looked at',
    };
    expect(parse({ body }, response)).toMatchObject({
      access_token: 'at',
      refresh_token: 'rt',
      refreshLifetimeS: 100,
      extras: { site: 'https://x.acme.com', id: '7', live: 'false' },
    });
    expect(Object.keys(parse({ body }, response).extras)).toEqual(['site', 'id', 'live']);
    expect(refusal({ body: { ...body, msg: 'no' } }, response).code).toBe('provider_error');
    expect(refusal({ body: { ...body, code: 41 } }, { ...response, error_codes: { 41: 'invalid_grant' } }).code).toBe('invalid_grant');
  });

  test('a form, where the definition says so', () => {
    expect(parse(raw('access_token=a%2Bt&expires_in=60&scope=a+b'), { format: 'form' })).toMatchObject({
      access_token: 'a+t',
      lifetimeS: 60,
      scopes: ['a', 'b'],
    });
    expect(refusal(raw('{"access_token":"marker"}'), { format: 'form' }).code).toBe('bad_provider_answer');
    expect(refusal(raw('error=invalid_grant', 400), { format: 'form' }).code).toBe('invalid_grant');
    expect(refusal(raw('__proto__=x&constructor=y'), { format: 'form' }).code).toBe('bad_provider_answer');
  });

  test('JSON whatever its content type, with a byte order mark, the last of duplicates', () => {
    expect(
      parse({ body: '\uFEFF{"access_token":"one","access_token":"two"}', raw: true, headers: { 'content-type': 'text/html' } }).access_token,
    ).toBe('two');
  });

  test.each([null, '', false, 0, {}, []])('error %o is none', (error) => {
    expect(parse(plus({ error })).access_token).toBe('at');
  });

  test.each<[string, unknown, Record<string, unknown>, string[]]>([
    ['absent: as requested', undefined, {}, ['read', 'write']],
    ['null: as requested', null, {}, ['read', 'write']],
    ['empty: none', '', {}, []],
    ['fewer', 'read', {}, ['read']],
    ['more, in another order, twice', 'write  read admin read', {}, ['write', 'read', 'admin']],
    ['a list with commas', 'read,write', { scope_separator: ',' }, ['read', 'write']],
    ['an array', ['read', 'x y'], {}, ['read', 'x y']],
  ])('scope %s', (_, scope, response, expected) => {
    expect(parse(plus({ scope }), response).scopes).toEqual(expected);
  });

  const ten = 3_650 * 86_400;
  test.each<[unknown, string, number | null]>([
    [3600, 's', 3600],
    ['3600', 's', 3600],
    [1.5, 's', 1],
    [0, 's', 0],
    [-1, 's', 0],
    ['-1', 's', 0],
    [null, 's', null],
    [undefined, 's', null],
    [2 ** 31, 's', ten],
    [2 ** 53, 's', ten],
    [1e20, 's', ten],
    [90_500, 'ms', 90],
    [sentAt.getTime() / 1000 + 60, 'epoch_s', 60],
    [`${sentAt.getTime() / 1000 + 60}`, 'epoch_s', 60],
    [sentAt.getTime() + 60_000, 'epoch_ms', 60],
    [sentAt.getTime() - 60_000, 'epoch_ms', 0],
    ['2026-11-20T12:01:00Z', 'iso', 60],
    ['2026-11-20T14:01:00.5+02:00', 'iso', 60],
    ['2026-11-20 12:01:00', 'iso', 60],
  ])('expires %o in %s is %o s', (expires_in, expires_unit, lifetimeS) => {
    expect(parse(plus({ expires_in }), { expires_unit }).lifetimeS).toBe(lifetimeS);
  });

  test.each([60, 'tomorrow', '2026-13-40T99:00:00Z', '2026'])('%o is no instant', (expires_in) => {
    expect(refusal(plus({ expires_in }), { expires_unit: 'iso' }).code).toBe('bad_provider_answer');
  });

  test('the lifetime of the definition stands in for none, and only for none', () => {
    expect(parse(plus({}), { lifetime: 'P1DT2H3M4S' }).lifetimeS).toBe(93_784);
    expect(parse(plus({ expires_in: 5 }), { lifetime: 'PT1H' }).lifetimeS).toBe(5);
  });

  test.each([0, 'x', {}])('a refresh token that ends after %o has no known end', (ends) => {
    expect(parse(plus({ refresh_token: 'rt', ends }), { refresh_token_expires_in: '/ends' }).refreshLifetimeS).toBeNull();
  });
});

describe('failures', () => {
  test.each<[number, unknown, string]>([
    [400, 'invalid_grant', 'invalid_grant'],
    [200, 'invalid_grant', 'invalid_grant'],
    [400, 'invalid_client', 'invalid_client'],
    [403, 'unauthorized_client', 'invalid_client'],
    [401, 'invalid_grant', 'invalid_grant'],
    [401, 'invalid_token', 'invalid_grant'],
    [400, 'interaction_required', 'invalid_grant'],
    [400, 'login_required', 'invalid_grant'],
    [400, 'consent_required', 'invalid_grant'],
    [401, 'whatever', 'invalid_client'],
    [401, undefined, 'invalid_client'],
    [400, 'temporarily_unavailable', 'provider_unavailable'],
    [400, 'server_error', 'provider_unavailable'],
    [400, 'slow_down', 'provider_unavailable'],
    [400, 'invalid_scope', 'provider_error'],
    [400, 'constructor', 'provider_error'],
    [404, undefined, 'provider_error'],
    [200, 'invalid request', 'provider_error'],
    [408, undefined, 'provider_unavailable'],
    [425, undefined, 'provider_unavailable'],
    [429, 'invalid_grant', 'provider_unavailable'],
    [500, 'invalid_grant', 'provider_unavailable'],
    [503, undefined, 'provider_unavailable'],
  ])('%i with error %s is %s', (status, error, code) => {
    expect(refusal({ status, body: error === undefined ? {} : { error, error_description: 'marker' } }).code).toBe(code);
  });

  test('Retry-After is passed on, and only where waiting helps', () => {
    expect(refusal({ status: 429, headers: { 'retry-after': '7' }, body: {} }).details.retryAfterS).toBe(7);
    expect(refusal({ status: 503, headers: { 'retry-after': 'Fri, 20 Nov 2026 12:00:09 GMT' }, body: {} }).details.retryAfterS).toBe(9);
    expect(refusal({ status: 400, headers: { 'retry-after': '7' }, body: {} }).details).not.toHaveProperty('retryAfterS');
  });

  test("the provider's own error values mean what the definition says, whatever the status", () => {
    const response = { error_codes: { bad_refresh: 'invalid_grant', busy: 'provider_unavailable' } };
    expect(refusal({ body: { error: 'bad_refresh' } }, response).code).toBe('invalid_grant');
    expect(refusal({ status: 401, body: { error: 'busy' } }, response).code).toBe('provider_unavailable');
    expect(refusal({ body: { error: 'toString' } }, response).code).toBe('provider_error');
  });
});
