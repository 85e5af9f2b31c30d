import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createVerifier, type SignedRequest } from '../../src/sandbox/oauth1-verifier.ts';

/** RFC 5849 sections 3.1 and 3.4.1.1: the request, and the base string as the RFC prints it. */
const rfcBaseString =
  'POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26' +
  'oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26' +
  'oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7';
const key = 'j49sk3j29djd&dh893hdasih9';
const sha1 = (base: string) => createHmac('sha1', key).update(base).digest('base64');

const header = (changes: Record<string, string> = {}, raw = '') => {
  const params = {
    realm: 'Example',
    oauth_consumer_key: '9djdj82h48djs9d2',
    oauth_token: 'kkk9d7dh3k39sjv7',
    oauth_signature_method: 'HMAC-SHA1',
    oauth_timestamp: '137131201',
    oauth_nonce: '7d8f3e4a',
    oauth_signature: sha1(rfcBaseString),
    ...changes,
  };
  return `OAuth ${Object.entries(params)
    .map(([name, value]) => `${name}="${encodeURIComponent(value)}"`)
    .join(',\r\n  ')}${raw}`.replaceAll('\r\n', '');
};

const request = (changes: Partial<SignedRequest> = {}): SignedRequest => ({
  method: 'POST',
  host: 'EXAMPLE.COM:80',
  target: '/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b',
  authorization: header(),
  contentType: 'application/x-www-form-urlencoded',
  body: 'c2&a3=2+q',
  ...changes,
});

function verifier(clock = 137131201, rsa?: string) {
  const check = createVerifier({ consumer: { key: '9djdj82h48djs9d2', secret: 'j49sk3j29djd' }, clockS: () => clock, rsaPublicKey: () => rsa });
  return (signed: SignedRequest) => {
    const result = check(signed, (token) => (token === 'kkk9d7dh3k39sjv7' ? 'dh893hdasih9' : undefined));
    return result.kind === 'verified' ? 'verified' : result.problem;
  };
}

it("builds the base string of the RFC's own example", () => {
  expect(verifier()(request())).toBe('verified');
});

it('verifies HMAC-SHA256 and RSA-SHA1', () => {
  const base = (method: string) => rfcBaseString.replace('HMAC-SHA1', method);
  const hmac = createHmac('sha256', key).update(base('HMAC-SHA256')).digest('base64');
  expect(verifier()(request({ authorization: header({ oauth_signature_method: 'HMAC-SHA256', oauth_signature: hmac }) }))).toBe('verified');

  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const rsa = sign('sha1', Buffer.from(base('RSA-SHA1')), privateKey).toString('base64');
  const signed = request({ authorization: header({ oauth_signature_method: 'RSA-SHA1', oauth_signature: rsa }) });
  expect(verifier(137131201, publicKey.export({ type: 'spki', format: 'pem' }).toString())(signed)).toBe('verified');
  expect(verifier()(signed)).toBe('signature_invalid');
});

describe('refuses', () => {
  it.each([
    ['another method', { method: 'GET' }, 'signature_invalid'],
    ['another host', { host: 'example.org' }, 'signature_invalid'],
    ['another port', { host: 'example.com:8080' }, 'signature_invalid'],
    ['another path', { target: '/Request?b5=%3D%253D&a3=a&c%40=&a2=r%20b' }, 'signature_invalid'],
    ['another query', { target: '/request?b5=%3D%253D&a3=b&c%40=&a2=r%20b' }, 'signature_invalid'],
    ['another body', { body: 'c2=x&a3=2+q' }, 'signature_invalid'],
    ['an empty signature', { authorization: header({ oauth_signature: '' }) }, 'parameter_absent'],
    ['an unknown method', { authorization: header({ oauth_signature_method: 'HMAC-MD5' }) }, 'signature_invalid'],
    ['another consumer', { authorization: header({ oauth_consumer_key: 'other' }) }, 'consumer_key_unknown'],
    ['another token', { authorization: header({ oauth_token: 'other' }) }, 'token_rejected'],
    ['another version', { authorization: header({ oauth_version: '2.0' }) }, 'version_rejected'],
    ['a parameter twice', { authorization: header({}, ', oauth_nonce="7d8f3e4a"') }, 'parameter_rejected'],
    ['a protocol parameter in the query', { target: '/request?oauth_token=kkk9d7dh3k39sjv7' }, 'parameter_rejected'],
    ['a protocol parameter in the body', { body: 'oauth_verifier=1' }, 'parameter_rejected'],
    ['bad encoding', { authorization: header({}, ', oauth_x="%zz"') }, 'parameter_rejected'],
    ['no header', { authorization: '' }, 'parameter_absent'],
    ['a Bearer header', { authorization: 'Bearer x' }, 'parameter_absent'],
  ])('%s', (_, changes, problem) => {
    expect(verifier()(request(changes))).toBe(problem);
  });

  it('a nonce that was used, with the same timestamp and token', () => {
    const check = verifier();
    expect(check(request())).toBe('verified');
    expect(check(request())).toBe('nonce_used');
  });

  it('a timestamp more than 300 s away', () => {
    expect(verifier(137131201 + 300)(request())).toBe('verified');
    expect(verifier(137131201 + 301)(request())).toBe('timestamp_refused');
    expect(verifier(137131201 - 301)(request())).toBe('timestamp_refused');
  });
});
