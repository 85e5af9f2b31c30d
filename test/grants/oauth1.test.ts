import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { oauth1 } from '../../src/grants/oauth1.ts';
import { Credential, type CredentialFields } from '../../src/protocol/credential.ts';
import { definitionSchema, oauth1Schema } from '../../src/protocol/definition/schema.ts';
import type { Door } from '../../src/protocol/door.ts';
import { GrantryError } from '../../src/protocol/errors.ts';
import type { CallbackAnswer, GrantContext, Pending, Started, StartInput } from '../../src/protocol/grant.ts';
import { parseAuthorization } from '../independent/rfc5849.ts';
import { consumer, door, type Provider, startProvider } from './oauth1-server.ts';

let provider: Provider;
beforeAll(async () => {
  provider = await startProvider();
});
beforeEach(() => {
  provider.seen.length = 0;
  provider.behave = Object.assign(provider.behave, { answer: undefined, clockMs: 0, confirmed: 'true', publicKey: undefined });
});
afterAll(() => provider.close());

type Context = GrantContext<ReturnType<typeof oauth1Schema.parse>>;

function context(method: Record<string, unknown> = {}, rest: Partial<Context> = {}): Context {
  const parsed = oauth1Schema.parse({
    grant: 'oauth1',
    request_token_endpoint: `${provider.origin}/request_token`,
    authorization_endpoint: `${provider.origin}/authorize`,
    access_token_endpoint: `${provider.origin}/access_token`,
    ...method,
  });
  return {
    definition: definitionSchema.parse({ id: 'sample', name: 'Sample', methods: { web: parsed } }),
    method: parsed,
    client: { client_id: consumer.key, client_secret: consumer.secret },
    inputs: {},
    allowPrivateHosts: true,
    door,
    now: () => new Date(),
    random: randomBytes,
    ...rest,
  };
}

const input: StartInput = { redirectUri: 'https://broker.example/oauth/callback', state: 's+/ä', scopes: [], endpoint: 'authorization' };

async function begin(ctx: Context, given: Partial<StartInput> = {}): Promise<Exclude<Started, { kind: 'credential' }>> {
  const started = await oauth1.start(ctx, { ...input, ...given });
  if (started.kind === 'credential') throw new Error('no redirect');
  return started;
}

/** The end user says yes, and the browser comes back. */
function approved(pending: Pending): CallbackAnswer {
  const oauthToken = pending.requestToken ?? '';
  return { code: '', oauthToken, oauthVerifier: provider.approve(oauthToken), keep: {} };
}

const code = (...codes: string[]) => expect.objectContaining({ name: 'GrantryError', code: codes.length === 1 ? codes[0] : expect.toSatisfy((value: string) => codes.includes(value)) });

describe('the whole flow', () => {
  it.each(['HMAC-SHA1', 'HMAC-SHA256', 'PLAINTEXT'])('%s: three legs, then a signed request with a form', async (signature_method) => {
    const ctx = context({ signature_method, realm: 'Photos "x"', response: { lifetime: 'PT1H', keep: { user: '/user_id', screen: '/screen_name', gone: '/nothing', odd: '/__proto__' } } });
    const { kind, redirect, pending } = await begin(ctx, { scopes: ['read'] });
    expect(kind).toBe('redirect');
    expect(redirect).toBe(`${provider.origin}/authorize?scope=read&oauth_token=${pending.requestToken}`);
    expect(provider.seen[0]?.oauth.get('oauth_callback')).toBe('https://broker.example/oauth/callback?state=s%2B%2F%C3%A4');
    expect(provider.seen[0]?.oauth.get('realm')).toBe('Photos "x"');

    const credential = await oauth1.finish(ctx, pending, { ...approved(pending), keep: { realmId: '7', user: 'from the callback' } });
    const fields = credential.reveal();
    expect(fields).toEqual<CredentialFields>({
      kind: 'oauth1',
      access_token: expect.stringMatching(/^at\d+$/),
      token_type: 'oauth1',
      secret: expect.stringMatching(/^as%\d+$/),
      scopes: ['read'],
      lifetimeS: 3600,
      refreshLifetimeS: null,
      extras: { realmId: '7', user: '42', screen: 'a b' },
    });

    const form: [string, string][] = [['status', 'Hello + ü'], ['a', '1']];
    const presented = oauth1.present(ctx, credential, { method: 'POST', url: `${provider.origin}/api?a=2&b=c+d#x`, form });
    const sent = await door({ method: 'POST', url: presented.url, headers: { ...presented.headers, 'content-type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams(form).toString() });
    expect(sent).toMatchObject({ status: 200, body: 'resource' });
    expect(provider.seen).toHaveLength(3);
  });

  it('RSA-SHA1, with the private key as JWK, and as PEM in the place of the secret', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    provider.behave.publicKey = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const jwk = { ...privateKey.export({ format: 'jwk' }), kid: '1', alg: 'RS256' };
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    for (const client of [{ client_id: consumer.key, private_key_jwk: jwk }, { client_id: consumer.key, client_secret: pem }]) {
      const ctx = context({ signature_method: 'RSA-SHA1' }, { client });
      const { pending } = await begin(ctx);
      expect((await oauth1.finish(ctx, pending, approved(pending))).reveal().access_token).toMatch(/^at/);
    }
  });

  it('out of band, with a verifier that the end user types', async () => {
    const ctx = context({ callback: { mode: 'oob' } });
    const started = await begin(ctx);
    expect(started).toMatchObject({ kind: 'out_of_band', verifier: 'required' });
    expect(provider.seen[0]?.oauth.get('oauth_callback')).toBe('oob');
    const { oauthVerifier } = approved(started.pending);
    const credential = await oauth1.finish(ctx, started.pending, { code: '', oauthVerifier: ` ${oauthVerifier}\n`, keep: {} });
    expect(credential.reveal().access_token).toMatch(/^at/);
  });

  it('out of band without any verifier', async () => {
    provider.behave.confirmed = undefined;
    const ctx = context({ callback: { mode: 'oob', verifier: 'absent', confirmed: 'absent' } });
    const started = await begin(ctx);
    expect(started).toMatchObject({ kind: 'out_of_band', verifier: 'absent' });
    const credential = await oauth1.finish(ctx, started.pending, { code: '', oauthVerifier: 'ignored', keep: {} });
    expect(credential.reveal().lifetimeS).toBeNull();
    expect(provider.seen[1]?.oauth.has('oauth_verifier')).toBe(false);
  });

  it('tolerates JSON, a byte order mark, extra members and duplicates', async () => {
    provider.behave.answer = () => ({ status: 200, body: '\uFEFF{"oauth_token":"old","oauth_token":"t","oauth_token_secret":"s","oauth_callback_confirmed":true,"user":{"id":7}}' });
    const ctx = context({ response: { keep: { id: '/user/id', user: '/user' } } });
    const { pending } = await begin(ctx);
    expect(pending).toMatchObject({ requestToken: 't', requestTokenSecret: 's' });
    const credential = await oauth1.finish(ctx, pending, { code: '', oauthToken: 't', oauthVerifier: 'v', keep: {} });
    expect(credential.reveal().extras).toEqual({ id: '7' });
  });

  it('never prints what it obtained', async () => {
    const ctx = context();
    const { pending } = await begin(ctx);
    expect(JSON.stringify(await oauth1.finish(ctx, pending, approved(pending)))).toBe('"[sealed]"');
  });

  it('cannot refresh or revoke', () => {
    expect(Object.keys(oauth1).sort()).toEqual(['finish', 'present', 'start']);
  });
});

describe('start', () => {
  it('keeps the query of the page, never sends a parameter twice, and lets nothing replace the request token', async () => {
    const ctx = context(
      {
        authorization_endpoint: `${provider.origin}/authorize?tenant=1&oauth_token=evil&perms=none&x=%20+`,
        inputs: { app: { label: 'App' } },
        scopes: { separator: ',', param: 'perms' },
        authorization: { params: { name: 'App {app} & {client_id}', oauth_token: 'evil', all: '{scope}' }, fragment: 'go' },
        request_token: { params: { access_type: '{app}+{scope}' } },
      },
      { inputs: { app: 'Ä b' } },
    );
    const { redirect, pending } = await begin(ctx, { scopes: ['read', 'write'] });
    expect(redirect).toContain('?tenant=1&x=%20+&');
    const { searchParams, hash } = new URL(redirect);
    expect([...searchParams].sort()).toEqual([['all', 'read,write'], ['name', 'App Ä b & c+k&'], ['oauth_token', pending.requestToken], ['perms', 'read,write'], ['tenant', '1'], ['x', '  ']]);
    expect(hash).toBe('#go');
    expect([...(provider.seen[0]?.form ?? [])]).toEqual([['access_type', 'Ä b+read,write']]);
    expect(provider.seen[0]?.contentType).toBe('application/x-www-form-urlencoded');
  });

  it('renames and omits', async () => {
    const ctx = context({ authorization: { rename: { oauth_token: 'token' }, omit: ['scope'] } });
    const { redirect, pending } = await begin(ctx, { scopes: ['read'] });
    expect(redirect).toBe(`${provider.origin}/authorize?token=${pending.requestToken}`);
  });

  it('sends the bare redirect URI when the provider does not echo a state', async () => {
    await begin(context({ callback: { state: 'not_echoed' } }), { redirectUri: 'https://broker.example/oauth/callback/c1' });
    expect(provider.seen[0]?.oauth.get('oauth_callback')).toBe('https://broker.example/oauth/callback/c1');
  });

  it('uses the authentication page when the link asks for it', async () => {
    const { redirect } = await begin(context({ authentication_endpoint: `${provider.origin}/authenticate` }), { endpoint: 'authentication' });
    expect(new URL(redirect).pathname).toBe('/authenticate');
  });

  it('says so, before anything is sent, when there is no authentication page', async () => {
    await expect(begin(context(), { endpoint: 'authentication' })).rejects.toEqual(code('unsupported'));
    expect(provider.seen).toHaveLength(0);
  });

  it('expands the endpoints from the inputs, and refuses a value that is no host label', async () => {
    const method = {
      inputs: { site: { label: 'Site' } },
      request_token_endpoint: 'https://{site}.example.com/r',
      authorization_endpoint: 'https://{site}.example.com/a',
      access_token_endpoint: 'https://{site}.example.com/t',
    };
    const urls: string[] = [];
    const recorder: Door = async ({ url }) => {
      urls.push(url);
      return { status: 200, headers: {}, body: 'oauth_token=t&oauth_token_secret=s&oauth_callback_confirmed=true' };
    };
    const ctx = context(method, { inputs: { site: 'acme' }, door: recorder, allowPrivateHosts: false });
    expect((await begin(ctx)).redirect).toBe('https://acme.example.com/a?oauth_token=t');
    await expect(begin({ ...ctx, inputs: { site: 'evil.test/x?' } })).rejects.toEqual(code('invalid_request'));
    expect(urls).toEqual(['https://acme.example.com/r']);
  });

  it.each([undefined, 'false', 'TRUE', '1', ''])('aborts when oauth_callback_confirmed is %j', async (confirmed) => {
    provider.behave.confirmed = confirmed;
    await expect(begin(context())).rejects.toEqual(code('bad_provider_answer'));
    expect((await begin(context({ callback: { confirmed: 'absent' } }))).kind).toBe('redirect');
  });

  it('PLAINTEXT does not leave over http', async () => {
    let sent = 0;
    const counting: Door = async () => {
      sent++;
      return { status: 200, headers: {}, body: 'oauth_token=t&oauth_token_secret=s&oauth_callback_confirmed=true' };
    };
    const ctx = context({ signature_method: 'PLAINTEXT' }, { allowPrivateHosts: false, door: counting });
    await expect(begin(ctx)).rejects.toEqual(code('address_refused'));
    expect(sent).toBe(0);
    const credential = new Credential({ kind: 'oauth1', access_token: 't', token_type: 'oauth1', secret: 's', scopes: [], lifetimeS: null, refreshLifetimeS: null, extras: {} });
    expect(() => oauth1.present(ctx, credential, { method: 'GET', url: 'http://api.example.com/' })).toThrow(code('address_refused'));
    expect(oauth1.present(ctx, credential, { method: 'GET', url: 'https://api.example.com/' }).url).toBe('https://api.example.com/');
  });

  it.each([
    ['HMAC-SHA1', {}],
    ['PLAINTEXT', {}],
    ['RSA-SHA1', {}],
    ['RSA-SHA1', { client_secret: 'no key' }],
  ])('needs the secret that %s signs with: %j', async (signature_method, secrets) => {
    await expect(begin(context({ signature_method }, { client: { client_id: consumer.key, ...secrets } }))).rejects.toEqual(code('invalid_client'));
    expect(provider.seen).toHaveLength(0);
  });
});

describe('finish sends nothing', () => {
  it('when the request tokens of two flows are swapped', async () => {
    const ctx = context();
    const [one, two] = [await begin(ctx), await begin(ctx)];
    const [first, second] = [approved(one.pending), approved(two.pending)];
    await expect(oauth1.finish(ctx, one.pending, second)).rejects.toEqual(code('invalid_callback'));
    await expect(oauth1.finish(ctx, two.pending, first)).rejects.toEqual(code('invalid_callback'));
    expect(provider.seen.map(({ path }) => path)).toEqual(['/request_token', '/request_token']);
  });

  it.each<[string, Partial<Pending>, Partial<CallbackAnswer>]>([
    ['without a token', {}, { oauthVerifier: 'v' }],
    ['with an empty token', {}, { oauthToken: '', oauthVerifier: 'v' }],
    ['without a verifier', {}, { oauthToken: 'rt' }],
    ['with an empty verifier', {}, { oauthToken: 'rt', oauthVerifier: ' ' }],
    ['with a verifier that breaks lines', {}, { oauthToken: 'rt', oauthVerifier: 'a\r\nb' }],
    ['with a huge verifier', {}, { oauthToken: 'rt', oauthVerifier: 'v'.repeat(10_000) }],
  ])('%s', async (_, pending, callback) => {
    const ctx = context();
    const flow: Pending = { redirectUri: '', scopes: [], requestToken: 'rt', requestTokenSecret: 'rs', ...pending };
    await expect(oauth1.finish(ctx, flow, { code: '', keep: {}, ...callback })).rejects.toEqual(code('invalid_callback'));
    expect(provider.seen).toHaveLength(0);
  });

  it('for a flow that never asked for a request token', async () => {
    const flow: Pending = { redirectUri: '', scopes: [] };
    await expect(oauth1.finish(context(), flow, { code: '', oauthVerifier: 'v', keep: {} })).rejects.toEqual(code('invalid_callback'));
    const oob = context({ callback: { mode: 'oob' } });
    await expect(oauth1.finish(oob, flow, { code: '', oauthVerifier: 'v', keep: {} })).rejects.toEqual(code('invalid_callback'));
    await expect(oauth1.finish(oob, { ...flow, requestToken: 'a', requestTokenSecret: 'b' }, { code: '', oauthToken: 'other', oauthVerifier: 'v', keep: {} })).rejects.toEqual(code('invalid_callback'));
    expect(provider.seen).toHaveLength(0);
  });
});

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
    const failure: unknown = await oauth1.finish(context(), pending, { code: '', oauthToken: 'rt', oauthVerifier: 'v', keep: {} }).catch((error: unknown) => error);
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

  it.each(['provider_unreachable', 'no_answer', 'address_refused', 'bad_provider_answer'] as const)('the door says %s, and so do we', async (said) => {
    const closed: Door = async () => {
      throw new GrantryError(said);
    };
    await expect(begin(context({}, { door: closed }))).rejects.toEqual(code(said));
    await expect(finishing(context({}, { door: closed }))).rejects.toEqual(code(said));
  });

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

describe('present', () => {
  const credential = new Credential({ kind: 'oauth1', access_token: 't k', token_type: 'oauth1', secret: 's', scopes: [], lifetimeS: null, refreshLifetimeS: null, extras: {} });

  it('returns the normalised URL and one header, with a fresh nonce each time', () => {
    const ctx = context();
    const seen = new Set<string | undefined>();
    for (let n = 0; n < 500; n++) {
      const { url, headers } = oauth1.present(ctx, credential, { method: 'GET', url: 'HTTPS://API.example.com:443?a=ü' });
      expect(url).toBe('https://api.example.com/?a=%C3%BC');
      expect(Object.keys(headers)).toEqual(['Authorization']);
      seen.add(parseAuthorization(headers['Authorization'] ?? '').get('oauth_nonce'));
    }
    expect(seen.size).toBe(500);
  });

  it('never shows a secret', () => {
    const { url, headers } = oauth1.present(context(), credential, { method: 'GET', url: 'https://api.example.com/' });
    expect(decodeURIComponent(`${url} ${headers['Authorization']}`)).not.toContain(consumer.secret);
  });

  it('refuses a request that brings its own token', () => {
    expect(() => oauth1.present(context(), credential, { method: 'GET', url: 'https://api.example.com/?oauth_token=x' })).toThrow(code('invalid_request'));
    expect(() => oauth1.present(context(), credential, { method: 'POST', url: 'https://api.example.com/', form: [['oauth_token', 'x']] })).toThrow(code('invalid_request'));
  });

  it('takes the realm from the inputs, and refuses one that would break the header', () => {
    const ctx = context({ realm: '{account}', inputs: { account: { label: 'Account' } } }, { inputs: { account: '12"3' } });
    expect(parseAuthorization(oauth1.present(ctx, credential, { method: 'GET', url: 'https://api.example.com/' }).headers['Authorization'] ?? '').get('realm')).toBe('12"3');
    expect(() => oauth1.present({ ...ctx, inputs: { account: 'a\r\nb' } }, credential, { method: 'GET', url: 'https://api.example.com/' })).toThrow(code('invalid_request'));
  });
});
