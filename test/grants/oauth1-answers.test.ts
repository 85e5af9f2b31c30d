import { beforeEach, describe, expect, it } from 'vitest';
import { oauth1 } from '../../src/grants/oauth1.ts';
import type { Door } from '../../src/protocol/door.ts';
import { GrantryError } from '../../src/protocol/errors.ts';
import type { Pending } from '../../src/protocol/grant.ts';
import { approved, begin, type Context, code, context, provider, renewProvider } from './oauth1-flow.ts';
import { consumer } from './oauth1-server.ts';

beforeEach(renewProvider);

const good = 'oauth_token=t&oauth_token_secret=s&oauth_callback_confirmed=true';
const hostile: [name: string, reply: { status?: number; body: string; headers?: Record<string, string> }][] = [
  ['null', { body: 'null' }],
  ['a number', { body: '5' }],
  ['a JSON text', { body: `"${good}"` }],
  ['an array', { body: '[{"oauth_token":"t","oauth_token_secret":"s"}]' }],
  ['nothing', { body: '' }],
  ['HTML', { body: `<html>\n<p>${good}</p></html>` }],
  ['a page behind the form', { body: `${good}\n<html>` }],
  ['broken JSON', { body: '{"oauth_token":"t","oauth_token_secret":"s"' }],
  ['deep JSON', { body: '{"a":'.repeat(10_000) }],
  ['no secret', { body: 'oauth_token=t&oauth_callback_confirmed=true' }],
  ['no token', { body: 'oauth_token_secret=s&oauth_callback_confirmed=true' }],
  ['empty ones', { body: 'oauth_token=&oauth_token_secret=&oauth_callback_confirmed=true' }],
  ['an object for a token', { body: '{"oauth_token":{},"oauth_token_secret":"s","oauth_callback_confirmed":"true"}' }],
  ['a number for a token', { body: '{"oauth_token":5,"oauth_token_secret":"s","oauth_callback_confirmed":"true"}' }],
  ['a token from a prototype', { body: '{"__proto__":{"oauth_token":"t","oauth_token_secret":"s","oauth_callback_confirmed":"true"}}' }],
  ['a huge token', { body: `oauth_token=${'t'.repeat(60_000)}&oauth_token_secret=s&oauth_callback_confirmed=true` }],
  ['CRLF in the token', { body: good.replace('=t&', '=t%0D%0AX:1&') }],
  ['CRLF in the secret', { body: good.replace('=s&', '=s%0D%0A&') }],
  ['a space in the token', { body: good.replace('=t&', '=t+t&') }],
  ['NUL in the token', { body: good.replace('=t&', '=t%00&') }],
  ['beyond ASCII in the token', { body: good.replace('=t&', '=%C3%BC&') }],
  ['not UTF-8', { body: good.replace('=t&', '=%FF&') }],
  ['302 with a token', { status: 302, body: good, headers: { location: 'http://127.0.0.1:1/' } }],
  ['304 with a token', { status: 304, body: '' }],
  ['204', { status: 204, body: '' }],
  ['206 with a token', { status: 206, body: good }],
  ['500 with a token', { status: 500, body: good }],
  ['400 with a token', { status: 400, body: good }],
  ['a problem with 200', { body: `oauth_problem=permission_denied&${good}` }],
];

describe('a hostile answer is never a credential', () => {
  it.each(hostile)('%s', async (_, reply) => {
    provider.behave.answer = () => ({ status: 200, ...reply });
    const refused = code('bad_provider_answer', 'provider_error', 'provider_unavailable');
    await expect(begin(context({ callback: { confirmed: 'absent' } }))).rejects.toEqual(refused);
    const pending: Pending = { redirectUri: '', scopes: [], requestToken: 'rt', requestTokenSecret: 'rs' };
    const failure: unknown = await oauth1
      .finish(context(), pending, { code: '', oauthToken: 'rt', oauthVerifier: 'v', keep: {} })
      .catch((error: unknown) => error);
    expect(failure).toEqual(refused);
    expect((failure as GrantryError).message).not.toContain('oauth_token');
    expect(provider.seen).toHaveLength(2);
  });

  it('and the well-formed twin is accepted, so that the list above is refused for its faults', async () => {
    provider.behave.answer = () => ({ status: 200, body: good });
    expect((await begin(context())).pending.requestToken).toBe('t');
  });
});

describe('a refusal', () => {
  const pending: Pending = { redirectUri: '', scopes: [], requestToken: 'rt', requestTokenSecret: 'rs' };
  const finishing = (ctx: Context) => oauth1.finish(ctx, pending, { code: '', oauthToken: 'rt', oauthVerifier: 'v', keep: {} });

  it.each<[number, string, Record<string, string>, string, string]>([
    [401, '', {}, 'invalid_client', 'provider_error'],
    [401, '{"errors":[{"code":32}]}', {}, 'invalid_client', 'provider_error'],
    [401, 'oauth_problem=consumer_key_unknown', {}, 'invalid_client', 'invalid_client'],
    [403, 'oauth_problem=consumer_key_rejected&oauth_problem_advice=ask+us', {}, 'invalid_client', 'invalid_client'],
    [400, 'x=1&oauth_problem=signature_invalid', {}, 'invalid_client', 'provider_error'],
    [401, '', { 'www-authenticate': 'OAuth realm="x", oauth_problem="consumer_key_unknown"' }, 'invalid_client', 'invalid_client'],
    [401, 'oauth_problem=nonce_used', {}, 'provider_error', 'provider_error'],
    [401, '', { 'www-authenticate': 'OAuth oauth_problem=token_rejected' }, 'provider_error', 'provider_error'],
    [403, '', {}, 'provider_error', 'provider_error'],
    [403, '<error code="415">Callback URL not approved</error>', {}, 'provider_error', 'provider_error'],
    [400, '', {}, 'provider_error', 'provider_error'],
    [404, '', {}, 'provider_error', 'provider_error'],
    [408, '', {}, 'provider_unavailable', 'provider_unavailable'],
    [425, '', {}, 'provider_unavailable', 'provider_unavailable'],
    [429, '', {}, 'provider_unavailable', 'provider_unavailable'],
    [500, 'oauth_problem=consumer_key_unknown', {}, 'provider_unavailable', 'provider_unavailable'],
    [503, '', {}, 'provider_unavailable', 'provider_unavailable'],
  ])('%d %j %j: %s at the first request, %s at the second', async (status, body, headers, first, second) => {
    provider.behave.answer = () => ({ status, body, headers });
    await expect(begin(context())).rejects.toEqual(code(first));
    await expect(finishing(context())).rejects.toEqual(code(second));
    expect(provider.seen).toHaveLength(2);
  });

  it.each([
    ['17', 17],
    [new Date(Date.UTC(2026, 0, 1, 0, 2, 0)).toUTCString(), 120],
    ['later', undefined],
  ])('hands on Retry-After: %s', async (value, retryAfterS) => {
    provider.behave.answer = () => ({ status: 429, headers: { 'retry-after': value } });
    const failure: unknown = await finishing(context({}, { now: () => new Date(Date.UTC(2026, 0, 1)) })).catch((error: unknown) => error);
    expect((failure as GrantryError).details.retryAfterS).toBe(retryAfterS);
  });

  it.each(['provider_unreachable', 'no_answer', 'address_refused', 'bad_provider_answer'] as const)(
    'the door says %s, and so do we',
    async (said) => {
      const closed: Door = async () => {
        throw new GrantryError(said);
      };
      await expect(begin(context({}, { door: closed }))).rejects.toEqual(code(said));
      await expect(finishing(context({}, { door: closed }))).rejects.toEqual(code(said));
    },
  );

  it('is not handed on in its own words', async () => {
    provider.behave.answer = () => ({ status: 400, body: `secret=${consumer.secret}` });
    const failure: unknown = await begin(context()).catch((error: unknown) => error);
    expect(`${failure} ${JSON.stringify(failure)}`).not.toContain(consumer.secret);
  });
});

describe('a clock that is wrong', () => {
  it.each([4_000_000, -4_000_000])('by %d ms is corrected from the Date of the refusal, once per request', async (clockMs) => {
    provider.behave.clockMs = clockMs;
    const ctx = context();
    const { pending } = await begin(ctx);
    expect((await oauth1.finish(ctx, pending, approved(pending))).reveal().access_token).toMatch(/^at/);
    expect(provider.seen.map(({ path }) => path)).toEqual(['/request_token', '/request_token', '/access_token', '/access_token']);
    const nonces = provider.seen.map(({ oauth }) => oauth.get('oauth_nonce'));
    expect(new Set(nonces).size).toBe(4);
  });

  it('is corrected when the provider says timestamp_refused, however small the difference', async () => {
    provider.behave.answer = () => (provider.seen.length === 1 ? { status: 400, body: 'oauth_problem=timestamp_refused' } : undefined);
    expect((await begin(context())).kind).toBe('redirect');
    expect(provider.seen).toHaveLength(2);
  });

  it('is corrected once only', async () => {
    provider.behave.clockMs = 4_000_000;
    provider.behave.answer = () => ({ status: 401, body: 'oauth_problem=timestamp_refused' });
    await expect(begin(context())).rejects.toEqual(code('provider_error'));
    expect(provider.seen).toHaveLength(2);
  });

  it.each([
    [403, 4_000_000, ''],
    [500, 4_000_000, ''],
    [401, 30_000, ''],
    [400, 0, 'oauth_problem=nonce_used'],
  ])('is not suspected on %d with %d ms between the clocks and %j', async (status, clockMs, body) => {
    provider.behave.clockMs = clockMs;
    provider.behave.answer = () => ({ status, body });
    await expect(begin(context())).rejects.toBeInstanceOf(GrantryError);
    expect(provider.seen).toHaveLength(1);
  });

  it('of a provider in 1970 still gives a positive timestamp', async () => {
    provider.behave.answer = () => ({ status: 401, headers: { date: 'Thu, 01 Jan 1970 00:00:00 GMT' } });
    await expect(begin(context())).rejects.toEqual(code('invalid_client'));
    expect(Number(provider.seen[1]?.oauth.get('oauth_timestamp'))).toBeGreaterThan(0);
  });
});
