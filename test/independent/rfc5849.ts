/**
 * RFC 5849 from the server's side, written from its text for the tests: works on the raw request as it arrives and shares nothing with
 * the code under test (no URL, no URLSearchParams, no library).
 */
import { createHmac, createVerify, timingSafeEqual } from 'node:crypto';

export type RawRequest = {
  method: string;
  /** The absolute request URI, as sent. */
  uri: string;
  authorization?: string | undefined;
  contentType?: string | undefined;
  body?: string | undefined;
};

type Parameter = [name: Buffer, value: Buffer];

const isUnreserved = (byte: number) =>
  (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || [0x2d, 0x2e, 0x5f, 0x7e].includes(byte);
const encodedBytes = Array.from({ length: 256 }, (_, byte) =>
  isUnreserved(byte) ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
);

/** Section 3.6. */
export function encode(data: Buffer | string): string {
  let out = '';
  for (const byte of typeof data === 'string' ? Buffer.from(data) : data) out += encodedBytes[byte];
  return out;
}

function hexAt(text: string, at: number): number | undefined {
  if (text[at] !== '%') return undefined;
  const digits = text.slice(at + 1, at + 3);
  return /^[0-9a-fA-F]{2}$/.test(digits) ? Number.parseInt(digits, 16) : undefined;
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** W3C form decoding of one name or value; what is not UTF-8 becomes U+FFFD. */
function decode(text: string, plusIsSpace: boolean): Buffer {
  if (/^[!-$&-*,-~]*$/.test(text)) return Buffer.from(text, 'latin1');
  const bytes: number[] = [];
  for (let at = 0; at < text.length; at++) {
    const hex = hexAt(text, at);
    if (hex !== undefined) {
      bytes.push(hex);
      at += 2;
    } else if (text[at] === '+' && plusIsSpace) bytes.push(0x20);
    else if (text.charCodeAt(at) < 0x80) bytes.push(text.charCodeAt(at));
    else bytes.push(...Buffer.from(text[at] ?? ''));
  }
  return Buffer.from(utf8.decode(Uint8Array.from(bytes)));
}

/** Section 3.4.1.3.1: the pairs of a query or a form. */
export function parseEncoded(text: string): Parameter[] {
  const found: Parameter[] = [];
  for (const part of text.split('&')) {
    if (part.length === 0) continue;
    const equals = part.indexOf('=');
    const name = equals < 0 ? part : part.slice(0, equals);
    found.push([decode(name, true), decode(equals < 0 ? '' : part.slice(equals + 1), true)]);
  }
  return found;
}

/** Section 3.5.1, by hand: OAuth name="value", ... with quoted-string escapes; refuses what does not fit and a name that comes twice. */
export function parseAuthorization(header: string): Map<string, string> {
  if (!/^oauth\s/i.test(header)) throw new Error('another scheme');
  const found = new Map<string, string>();
  let at = 5;
  const skip = () => {
    while (header[at] === ' ' || header[at] === '\t') at++;
  };
  for (;;) {
    skip();
    const equals = header.indexOf('=', at);
    const name = header.slice(at, equals);
    if (equals < 0 || name === '' || /[ "\\,]/.test(name) || header[equals + 1] !== '"') throw new Error(`malformed near ${at}`);
    at = equals + 2;
    let value = '';
    while (header[at] !== '"') {
      if (at >= header.length) throw new Error('open quote');
      if (header[at] === '\\') at++;
      value += header[at++];
    }
    at++;
    if (found.has(name)) throw new Error(`${name} twice`);
    found.set(name, name === 'realm' ? value : decode(value, false).toString());
    skip();
    if (at === header.length) return found;
    if (header[at++] !== ',') throw new Error(`no comma at ${at}`);
  }
}

/** Section 3.4.1. */
export function baseString({ method, uri, authorization, contentType, body }: RawRequest): string {
  const parts = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?/.exec(uri);
  if (parts === null) throw new Error('not an absolute URI');
  const scheme = (parts[1] ?? '').toLowerCase();
  const defaultPort = scheme === 'https' ? ':443' : ':80';
  let host = (parts[2] ?? '').toLowerCase();
  if (host.endsWith(defaultPort)) host = host.slice(0, -defaultPort.length);
  const path = parts[3] === '' ? '/' : parts[3];

  const all = parseEncoded(parts[4] ?? '');
  if (authorization !== undefined)
    for (const [name, value] of parseAuthorization(authorization)) if (name !== 'realm') all.push([Buffer.from(name), Buffer.from(value)]);
  if (contentType !== undefined && /^application\/x-www-form-urlencoded\s*(;|$)/i.test(contentType)) all.push(...parseEncoded(body ?? ''));

  const encoded = all
    .filter(([name]) => name.toString() !== 'oauth_signature')
    .map(([name, value]) => ({ name: encode(name), value: encode(value) }));
  encoded.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)) || Buffer.compare(Buffer.from(a.value), Buffer.from(b.value)));
  const normalised = encoded.map(({ name, value }) => `${name}=${value}`).join('&');
  return [method.toUpperCase(), encode(`${scheme}://${host}${path}`), encode(normalised)].join('&');
}

export type Secrets = { client: string; token: string; publicKey?: string | undefined };

/** Section 3.4.2 to 3.4.4; HMAC-SHA256 in the same way as HMAC-SHA1. True when the signature is right. */
export function isSigned(request: RawRequest, secrets: Secrets, base = () => baseString(request)): boolean {
  const given = parseAuthorization(request.authorization ?? '');
  const signature = given.get('oauth_signature') ?? '';
  const key = `${encode(secrets.client)}&${encode(secrets.token)}`;
  const same = (expected: string) => expected.length === signature.length && timingSafeEqual(Buffer.from(expected), Buffer.from(signature));
  switch (given.get('oauth_signature_method')) {
    case 'HMAC-SHA1':
      return same(createHmac('sha1', key).update(base()).digest('base64'));
    case 'HMAC-SHA256':
      return same(createHmac('sha256', key).update(base()).digest('base64'));
    case 'RSA-SHA1':
      return createVerify('RSA-SHA1')
        .update(base())
        .verify(secrets.publicKey ?? '', signature, 'base64');
    case 'PLAINTEXT':
      return same(key);
    default:
      return false;
  }
}
