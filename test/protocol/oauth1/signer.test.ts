import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { baseStringOf, freshNonce, type SignableRequest, type Signing, signRequest } from '../../../src/protocol/oauth1/signer.ts';
import { baseString, isSigned, parseAuthorization } from '../../independent/rfc5849.ts';

const signing: Signing = { consumerKey: 'key', key: { method: 'HMAC-SHA1', secret: 'secret' }, nonce: 'abc', timestampS: 1_700_000_000 };
const form = (pairs: readonly (readonly [string, string])[]) => new URLSearchParams(pairs.map(([name, value]) => [name, value])).toString();

/** The same request as a server receives it. */
function received(request: SignableRequest, { url, authorization }: { url: string; authorization?: string }) {
  const body = request.form && { contentType: 'application/x-www-form-urlencoded', body: form(request.form) };
  return { method: request.method, uri: url, authorization, ...body };
}

type Case = { name: string; method?: string; url: string; form?: [string, string][]; uri?: string; parameters: string };

// Each with the base string URI and the normalised parameters that RFC 5849 sections 3.4.1.2 and 3.4.1.3 ask for.
const here = 'https://api.example.com/r';
const cases: Case[] = [
  { name: 'one name in query and body', url: `${here}?a3=a`, form: [['a3', '2 q']], parameters: 'a3=2%20q&a3=a' },
  { name: 'an encoded name is decoded once and encoded once', url: `${here}?c%40=`, parameters: 'c%40=' },
  { name: 'an encoded value is decoded once and encoded once', url: `${here}?b5=%3D%253D`, parameters: 'b5=%3D%253D' },
  { name: 'scheme and host in upper case', url: 'HTTPS://API.Example.COM/r', parameters: '' },
  { name: 'the default port of https', url: 'https://api.example.com:443/r', parameters: '' },
  { name: 'the default port of http', url: 'http://api.example.com:80/r', uri: 'http://api.example.com/r', parameters: '' },
  { name: 'the default port of the other scheme', url: 'https://api.example.com:80/r', uri: 'https://api.example.com:80/r', parameters: '' },
  { name: 'another port', url: 'https://api.example.com:8443/r', uri: 'https://api.example.com:8443/r', parameters: '' },
  { name: 'an empty path', url: 'https://api.example.com', uri: 'https://api.example.com/', parameters: '' },
  { name: 'an empty path before a query', url: 'https://api.example.com?a=1', uri: 'https://api.example.com/', parameters: 'a=1' },
  { name: 'an IPv6 host', url: 'http://[::1]:8080/r', uri: 'http://[::1]:8080/r', parameters: '' },
  { name: 'a fragment', url: `${here}?a=1#b=2?c=3`, parameters: 'a=1' },
  {
    name: 'a path with encoded characters stays as it is',
    url: 'https://api.example.com/a%20b%2fc/%7Ed',
    uri: 'https://api.example.com/a%20b%2fc/%7Ed',
    parameters: '',
  },
  { name: 'a path in upper case stays so', url: 'https://api.example.com/ReSource', uri: 'https://api.example.com/ReSource', parameters: '' },
  { name: 'a value with = in it', url: `${here}?a=b=c==`, parameters: 'a=b%3Dc%3D%3D' },
  { name: 'a plus in a query is a space', url: `${here}?a+b=c+d`, parameters: 'a%20b=c%20d' },
  { name: 'an encoded plus is a plus', url: `${here}?a=%2B`, parameters: 'a=%2B' },
  { name: 'a plus in a form value is a plus', url: here, form: [['a', '1+1 2']], parameters: 'a=1%2B1%202' },
  { name: 'a second question mark', url: `${here}?a=1?b=2&c=3`, parameters: 'a=1%3Fb%3D2&c=3' },
  { name: 'a name twice, once empty', url: `${here}?a=&a=1`, parameters: 'a=&a=1' },
  { name: 'the same pair twice', url: `${here}?a=1&a=1`, form: [['a', '1']], parameters: 'a=1&a=1&a=1' },
  { name: 'empty segments', url: `${here}?&&a=1&&&b=2&`, parameters: 'a=1&b=2' },
  { name: 'a name without =', url: `${here}?a&b=`, parameters: 'a=&b=' },
  { name: 'a value without a name', url: `${here}?=1`, parameters: '=1' },
  { name: 'an empty query', url: `${here}?`, parameters: '' },
  {
    name: 'names of object members',
    url: `${here}?__proto__=1&constructor=2&toString=3`,
    form: [
      ['__proto__', '4'],
      ['hasOwnProperty', '5'],
    ],
    parameters: '__proto__=1&__proto__=4&constructor=2&hasOwnProperty=5&toString=3',
  },
  { name: 'a percent sign that encodes nothing', url: `${here}?a=100%&b=%zz`, parameters: 'a=100%25&b=%25zz' },
  { name: 'a lone surrogate', url: here, form: [['a', '\ud800b']], parameters: 'a=%EF%BF%BDb' },
  { name: 'beyond ASCII', url: `${here}?n=%E3%81%82`, form: [['ü', '€ 😀']], parameters: '%C3%BC=%E2%82%AC%20%F0%9F%98%80&n=%E3%81%82' },
  {
    name: "the reserved characters that encodeURIComponent leaves alone: !*'()",
    url: here,
    form: [["!*'()", "!*'()"]],
    parameters: '%21%2A%27%28%29=%21%2A%27%28%29',
  },
  { name: 'the unreserved characters', url: here, form: [['aZ09-._~', 'aZ09-._~']], parameters: 'aZ09-._~=aZ09-._~' },
  { name: 'names are compared before values, as bytes', url: `${here}?a=2&a-b=1&a.=0&a=10&A=9`, parameters: 'A=9&a=10&a=2&a-b=1&a.=0' },
  { name: 'pairs are sorted after encoding', url: `${here}?a%7E=1&aa=2&a%C3%A4=3&a%20=4`, parameters: 'a%20=4&a%C3%A4=3&aa=2&a~=1' },
  { name: 'a parameter called realm', url: `${here}?realm=x`, parameters: 'realm=x' },
  { name: 'a method in lower case', method: 'post', url: here, parameters: '' },
  { name: 'NUL and line ends in values', url: `${here}?a=%00%0D%0A`, form: [['b', '\0\r\n']], parameters: 'a=%00%0D%0A&b=%00%0D%0A' },
];

describe('the base string', () => {
  it.each(cases)('$name', (hard) => {
    const request: SignableRequest = { method: hard.method ?? 'GET', url: hard.url, form: hard.form && Object.freeze(hard.form) };
    const mine = baseStringOf(request, signing, {});
    expect(mine.split('&').map(decodeURIComponent)).toEqual([request.method.toUpperCase(), hard.uri ?? here, hard.parameters]);
    expect(baseString(received(request, { url: hard.url }))).toBe(mine);
    expect(baseString(received(request, { url: signRequest(request, signing).url }))).toBe(mine);
  });

  it.each(cases)('$name: the request that is sent verifies', (hard) => {
    const request: SignableRequest = { method: hard.method ?? 'GET', url: hard.url, form: hard.form };
    const sent = signRequest(request, signing);
    expect(isSigned(received(request, sent), { client: 'secret', token: '' })).toBe(true);
    expect(isSigned(received({ ...request, method: 'DELETE' }, sent), { client: 'secret', token: '' })).toBe(false);
  });

  it('leaves oauth_signature out, wherever it stands', () => {
    const request = { method: 'GET', url: `${here}?oauth_signature=x&oauth_body_hash=y` };
    expect(baseStringOf(request, signing, { oauth_signature: 'z', oauth_nonce: 'n' })).toBe(
      'GET&https%3A%2F%2Fapi.example.com%2Fr&oauth_body_hash%3Dy%26oauth_nonce%3Dn',
    );
  });
});

describe('signRequest', () => {
  it('returns the normalised URL, which is the one that was signed', () => {
    const url = "HTTPS://Api.EXAMPLE.com:443/a/../b c/ü?x=ü y&q='#f";
    expect(signRequest({ method: 'GET', url }, signing).url).toBe('https://api.example.com/b%20c/%C3%BC?x=%C3%BC%20y&q=%27');
  });

  it.each(['&', '%', '+', ' ', 'a&b%c+d e', '%26', '="/', 'ü€', ''])('takes %j in both secrets', (secret) => {
    const token = { key: `t${secret}`, secret };
    const request = { method: 'POST', url: `${here}?a=1`, form: [['b', '2']] as [string, string][] };
    const sent = signRequest(request, { ...signing, consumerKey: `k${secret}`, key: { method: 'HMAC-SHA256', secret }, token });
    expect(isSigned(received(request, sent), { client: secret, token: secret })).toBe(true);
    expect(isSigned(received(request, sent), { client: secret, token: `${secret}x` })).toBe(false);
    expect(parseAuthorization(sent.authorization).get('oauth_token')).toBe(token.key);
  });

  it('puts its parameters in the header and nowhere else', () => {
    const { url, authorization } = signRequest(
      { method: 'GET', url: `${here}?a=1` },
      { ...signing, token: { key: 't', secret: 's' }, extra: { oauth_verifier: 'v w' } },
    );
    expect(url).toBe(`${here}?a=1`);
    expect(Object.fromEntries(parseAuthorization(authorization))).toMatchObject({
      oauth_consumer_key: 'key',
      oauth_nonce: 'abc',
      oauth_signature_method: 'HMAC-SHA1',
      oauth_timestamp: '1700000000',
      oauth_token: 't',
      oauth_verifier: 'v w',
      oauth_version: '1.0',
    });
    expect(parseAuthorization(authorization).size).toBe(8);
  });

  it.each(['oauth_consumer_key', 'oauth_nonce', 'oauth_timestamp', 'oauth_signature', 'oauth_signature_method', 'oauth_version', 'oauth%5Fnonce'])(
    'refuses a request that already holds %s',
    (name) => {
      expect(() => signRequest({ method: 'GET', url: `${here}?${name}=x` }, signing)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
      expect(() => signRequest({ method: 'POST', url: here, form: [[decodeURIComponent(name), 'x']] }, signing)).toThrow(
        expect.objectContaining({ code: 'invalid_request' }),
      );
    },
  );

  it.each([
    '',
    'relative',
    '/r',
    'ftp://a.example/',
    'https://user@a.example/',
    'https://:pw@a.example/',
    'https://a.example/\r\nX: y',
    'https://a.example/\t',
    'https:\\\\a.example',
    'javascript:alert(1)',
    'https://',
  ])('refuses the URL %j', (url) => {
    expect(() => signRequest({ method: 'GET', url }, signing)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });

  it.each(['', 'GET /', 'GE\nT', 'É', 'x'.repeat(41)])('refuses the method %j', (method) => {
    expect(() => signRequest({ method, url: here }, signing)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses %d as a timestamp', (timestampS) => {
    expect(() => signRequest({ method: 'GET', url: here }, { ...signing, timestampS })).toThrow(expect.objectContaining({ code: 'internal_error' }));
  });

  it('sends the nonce that it is given', () => {
    expect(parseAuthorization(signRequest({ method: 'GET', url: here }, { ...signing, nonce: 'given' }).authorization).get('oauth_nonce')).toBe(
      'given',
    );
  });
});

describe('freshNonce', () => {
  it('gives 128 bits, none of them twice in 100,000', () => {
    const nonces = new Set(Array.from({ length: 100_000 }, () => freshNonce(randomBytes)));
    expect(nonces.size).toBe(100_000);
    for (const nonce of nonces) if (!/^[0-9a-f]{32}$/.test(nonce)) throw new Error(nonce);
  });

  it('takes its randomness from what it is given', () => {
    expect(freshNonce((bytes) => Buffer.alloc(bytes, 0xab))).toBe('ab'.repeat(16));
  });
});

describe('the realm', () => {
  const realmOf = (realm: string) => signRequest({ method: 'GET', url: here }, { ...signing, realm }).authorization;

  it.each(['Photos', '', 'a", oauth_token="evil', '\\', '\\"', 'a\\", oauth_token=\\"evil', '$&$`$1', 'a, b="c"'])(
    '%j stays inside its quotes',
    (realm) => {
      const parsed = parseAuthorization(realmOf(realm));
      expect(parsed.get('realm')).toBe(realm);
      expect(parsed.has('oauth_token')).toBe(false);
      expect(isSigned({ method: 'GET', uri: here, authorization: realmOf(realm) }, { client: 'secret', token: '' })).toBe(true);
    },
  );

  it.each(['a\r\nX-Evil: 1', 'a\nb', '\0', '\t', '\x7f', 'ü', '\ud800'])('%j is refused', (realm) => {
    expect(() => realmOf(realm)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });
});
