import { generateKeyPairSync } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { oauth1 } from '../../src/grants/oauth1.ts';
import { Credential, type CredentialFields } from '../../src/protocol/credential.ts';
import type { Door } from '../../src/protocol/door.ts';
import type { CallbackAnswer, Pending } from '../../src/protocol/grant.ts';
import { parseAuthorization } from '../independent/rfc5849.ts';
import { approved, begin, code, context, provider, renewProvider } from './oauth1-flow.ts';
import { consumer, door } from './oauth1-server.ts';

beforeEach(renewProvider);

describe('the whole flow', () => {
  it.each(['HMAC-SHA1', 'HMAC-SHA256', 'PLAINTEXT'])('%s: three legs, then a signed request with a form', async (signature_method) => {
    const ctx = context({
      signature_method,
      realm: 'Photos "x"',
      response: { lifetime: 'PT1H', keep: { user: '/user_id', screen: '/screen_name', gone: '/nothing', odd: '/__proto__' } },
    });
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

    const form: [string, string][] = [
      ['status', 'Hello + ü'],
      ['a', '1'],
    ];
    const presented = oauth1.present(ctx, credential, { method: 'POST', url: `${provider.origin}/api?a=2&b=c+d#x`, form });
    const sent = await door({
      method: 'POST',
      url: presented.url,
      headers: { ...presented.headers, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(form).toString(),
    });
    expect(sent).toMatchObject({ status: 200, body: 'resource' });
    expect(provider.seen).toHaveLength(3);
  });

  it('RSA-SHA1, with the private key as JWK, and as PEM in the place of the secret', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    provider.behave.publicKey = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const jwk = { ...privateKey.export({ format: 'jwk' }), kid: '1', alg: 'RS256' };
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    for (const client of [
      { client_id: consumer.key, private_key_jwk: jwk },
      { client_id: consumer.key, client_secret: pem },
    ]) {
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
    provider.behave.answer = () => ({
      status: 200,
      body: '\uFEFF{"oauth_token":"old","oauth_token":"t","oauth_token_secret":"s","oauth_callback_confirmed":true,"user":{"id":7}}',
    });
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

  it('cannot refresh', () => {
    expect(Object.keys(oauth1).sort()).toEqual(['finish', 'present', 'revoke', 'start']);
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
    expect([...searchParams].sort()).toEqual([
      ['all', 'read,write'],
      ['name', 'App Ä b & c+k&'],
      ['oauth_token', pending.requestToken],
      ['perms', 'read,write'],
      ['tenant', '1'],
      ['x', '  '],
    ]);
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
    const credential = new Credential({
      kind: 'oauth1',
      access_token: 't',
      token_type: 'oauth1',
      secret: 's',
      scopes: [],
      lifetimeS: null,
      refreshLifetimeS: null,
      extras: {},
    });
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
    await expect(
      oauth1.finish(oob, { ...flow, requestToken: 'a', requestTokenSecret: 'b' }, { code: '', oauthToken: 'other', oauthVerifier: 'v', keep: {} }),
    ).rejects.toEqual(code('invalid_callback'));
    expect(provider.seen).toHaveLength(0);
  });
});

describe('present', () => {
  const credential = new Credential({
    kind: 'oauth1',
    access_token: 't k',
    token_type: 'oauth1',
    secret: 's',
    scopes: [],
    lifetimeS: null,
    refreshLifetimeS: null,
    extras: {},
  });

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
    expect(() => oauth1.present(context(), credential, { method: 'GET', url: 'https://api.example.com/?oauth_token=x' })).toThrow(
      code('invalid_request'),
    );
    expect(() => oauth1.present(context(), credential, { method: 'POST', url: 'https://api.example.com/', form: [['oauth_token', 'x']] })).toThrow(
      code('invalid_request'),
    );
  });

  it('takes the realm from the inputs, and refuses one that would break the header', () => {
    const ctx = context({ realm: '{account}', inputs: { account: { label: 'Account' } } }, { inputs: { account: '12"3' } });
    expect(
      parseAuthorization(oauth1.present(ctx, credential, { method: 'GET', url: 'https://api.example.com/' }).headers['Authorization'] ?? '').get(
        'realm',
      ),
    ).toBe('12"3');
    expect(() => oauth1.present({ ...ctx, inputs: { account: 'a\r\nb' } }, credential, { method: 'GET', url: 'https://api.example.com/' })).toThrow(
      code('invalid_request'),
    );
  });
});
