import { createHmac, timingSafeEqual, verify } from 'node:crypto';
import { boundedMap } from './memory.ts';

/**
 * The server's side of OAuth 1.0a signatures, from RFC 5849 section 3 alone.
 * It shares nothing with the broker's own signing, so that one mistake cannot hide in both.
 */

export type SignedRequest = {
  method: string;
  /** The Host header, with its port if there is one. */
  host: string;
  /** The request target: path and query as they came over the wire. */
  target: string;
  authorization: string;
  contentType: string;
  body: string;
};

export type Verified = { kind: 'verified'; params: ReadonlyMap<string, string> };
/** The problem's name is that of the OAuth Problem Reporting extension. */
export type Refused = { kind: 'refused'; status: 400 | 401; problem: string };

/** Percent-encoding of RFC 5849 section 3.6, over the UTF-8 bytes. */
function encode(text: string): string {
  let encoded = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    const unreserved =
      (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a) || [0x2d, 0x2e, 0x5f, 0x7e].includes(byte);
    encoded += unreserved ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

type Pair = [name: string, value: string];

function decodeForm(text: string): Pair[] {
  const decode = (part: string) => decodeURIComponent(part.split('+').join(' '));
  return text
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const at = part.indexOf('=');
      return at === -1 ? [decode(part), ''] : [decode(part.slice(0, at)), decode(part.slice(at + 1))];
    });
}

/** Section 3.5.1: `OAuth a="b", c="d"`. Undefined when the header is not well formed. */
function decodeHeader(header: string): Pair[] | undefined {
  const match = /^OAuth\s+(.*)$/is.exec(header);
  if (match === null) return undefined;
  const pairs: Pair[] = [];
  for (const part of (match[1] ?? '').split(',')) {
    const [, name, value] = /^\s*([^\s="]+)="([^"]*)"\s*$/.exec(part) ?? [];
    if (name === undefined || value === undefined) return undefined;
    pairs.push([decodeURIComponent(name), decodeURIComponent(value)]);
  }
  return pairs;
}

/** Section 3.4.1.2: scheme and host in lower case, the default port left out, no query. */
function baseUri({ host, target }: SignedRequest): string {
  const path = target.split('?')[0] ?? '/';
  return `http://${host.toLowerCase().replace(/:80$/, '')}${path === '' ? '/' : path}`;
}

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** Section 3.4.1. */
function baseString(request: SignedRequest, pairs: readonly Pair[]): string {
  const encoded = pairs.map(([name, value]): Pair => [encode(name), encode(value)]);
  encoded.sort((a, b) => byBytes(a[0], b[0]) || byBytes(a[1], b[1]));
  const normalized = encoded.map(([name, value]) => `${name}=${value}`).join('&');
  return `${request.method.toUpperCase()}&${encode(baseUri(request))}&${encode(normalized)}`;
}

function equal(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

export type VerifierOptions = {
  consumer: { key: string; secret: string };
  /** The secret of a token that may sign here; undefined refuses the token. Asked with '' when there is none. */
  secretOf: (token: string) => string | undefined;
  /** What this server's clock shows, in whole seconds. */
  clockS: () => number;
  /** PEM of the consumer's public key, for RSA-SHA1. */
  rsaPublicKey: () => string | undefined;
};

const acceptedAgeS = 300;
const required = ['oauth_consumer_key', 'oauth_signature_method', 'oauth_timestamp', 'oauth_nonce', 'oauth_signature'];

/** A verifier with its own memory of nonces (section 3.3). */
export function createVerifier({ consumer, clockS, rsaPublicKey }: Omit<VerifierOptions, 'secretOf'>) {
  const nonces = boundedMap<string, true>(50_000);

  function isSigned(method: string, base: string, signature: string, tokenSecret: string): boolean {
    const key = `${encode(consumer.secret)}&${encode(tokenSecret)}`;
    switch (method) {
      case 'HMAC-SHA1':
        return equal(signature, createHmac('sha1', key).update(base).digest('base64'));
      case 'HMAC-SHA256':
        return equal(signature, createHmac('sha256', key).update(base).digest('base64'));
      case 'RSA-SHA1': {
        const publicKey = rsaPublicKey();
        return publicKey !== undefined && verify('sha1', Buffer.from(base), publicKey, Buffer.from(signature, 'base64'));
      }
      default:
        return false;
    }
  }

  return function check(request: SignedRequest, secretOf: VerifierOptions['secretOf']): Verified | Refused {
    const refuse = (status: 400 | 401, problem: string): Refused => ({ kind: 'refused', status, problem });
    let fromHeader: Pair[] | undefined;
    let all: Pair[];
    try {
      fromHeader = decodeHeader(request.authorization);
      const isForm = /^application\/x-www-form-urlencoded(?:;|$)/i.test(request.contentType);
      const query = request.target.includes('?') ? request.target.slice(request.target.indexOf('?') + 1) : '';
      const outside = [...decodeForm(query), ...(isForm ? decodeForm(request.body) : [])];
      // Section 3.5: the protocol parameters come in one place only; here that is the header.
      if (outside.some(([name]) => name.startsWith('oauth_'))) return refuse(400, 'parameter_rejected');
      all = [...outside, ...(fromHeader ?? [])];
    } catch {
      return refuse(400, 'parameter_rejected');
    }
    if (fromHeader === undefined) return refuse(401, 'parameter_absent');

    const params = new Map(fromHeader);
    if (params.size !== fromHeader.length) return refuse(400, 'parameter_rejected');
    if (required.some((name) => !params.get(name))) return refuse(400, 'parameter_absent');
    if ((params.get('oauth_version') ?? '1.0') !== '1.0') return refuse(400, 'version_rejected');
    if (params.get('oauth_consumer_key') !== consumer.key) return refuse(401, 'consumer_key_unknown');

    const timestamp = params.get('oauth_timestamp') ?? '';
    if (!/^[1-9]\d{0,11}$/.test(timestamp) || Math.abs(Number(timestamp) - clockS()) > acceptedAgeS) return refuse(401, 'timestamp_refused');

    const token = params.get('oauth_token') ?? '';
    const tokenSecret = secretOf(token);
    if (tokenSecret === undefined) return refuse(401, 'token_rejected');

    const signed = all.filter(([name]) => name !== 'oauth_signature' && name !== 'realm');
    const method = params.get('oauth_signature_method') ?? '';
    if (!isSigned(method, baseString(request, signed), params.get('oauth_signature') ?? '', tokenSecret)) return refuse(401, 'signature_invalid');

    const nonce = JSON.stringify([timestamp, token, params.get('oauth_nonce')]);
    if (nonces.has(nonce)) return refuse(401, 'nonce_used');
    nonces.set(nonce, true);
    return { kind: 'verified', params };
  };
}
