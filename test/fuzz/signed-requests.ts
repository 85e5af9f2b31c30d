import type { KeyObject } from 'node:crypto';
import type { SignableRequest, Signing } from '../../src/protocol/oauth1/signer.ts';
import { type Chance, createChance } from './chance.ts';
import { oddText } from './odd.ts';
import type { Draft } from './property.ts';

/** Requests to be signed as RFC 5849 says, of everything that URLs and forms may hold. */

const pieces = [
  ...[
    'a',
    'A',
    'z',
    '0',
    '-',
    '.',
    '_',
    '~',
    '+',
    '%20',
    '%2B',
    '%26',
    '%3D',
    '%25',
    '%2f',
    '%c3%a4',
    '%E2%82%AC',
    '%',
    '%4',
    '%zz',
    '%FF',
    '%EF%BB%BF',
    '%00',
  ],
  ...[
    '*',
    "'",
    '(',
    ')',
    '!',
    '?',
    '/',
    ':',
    '@',
    '$',
    ',',
    ';',
    '"',
    '[',
    ']',
    '|',
    '{',
    '}',
    '^',
    '`',
    '<',
    '>',
    ' ',
    'ü',
    '€',
    '😀',
    '\u0301',
    '=',
    '&&',
  ],
  ...['__proto__', 'constructor', 'oauth_x', 'realm', '..', '.', '%2e%2e', '\ud800', '\udfff'],
];
const hosts = [
  'example.com',
  'EXAMPLE.com',
  'a-b.example.co.uk',
  '127.0.0.1',
  '127.1',
  '[::1]',
  '[2001:DB8::1]',
  'bücher.example',
  'xn--bcher-kva.example',
  'a.b.c.d.e',
  'ex%61mple.com',
];
const unsignable = ['', 'user@example.com', 'user:pw@example.com', 'exa mple.com', '[::1', 'a\\b', 'a\tb', 'example.com:99999'];
const methods = ['GET', 'post', 'Put', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'M-SEARCH', 'x!#$%&*+.^_`|~'];
const signatures = ['HMAC-SHA1', 'HMAC-SHA256', 'PLAINTEXT'] as const;

const some = (chance: Chance, most: number) => {
  let text = '';
  for (let left = chance.below(most + 1); left > 0; left -= 1) text += chance.pick(pieces);
  return text;
};
const wild = (chance: Chance) => (chance.is(0.7) ? some(chance, 4) : oddText(chance, { long: 0.002 }));

function urlOf(chance: Chance): string {
  const scheme = chance.pick(['http', 'https', 'HTTPS', 'hTTp']);
  const host = chance.is(0.03) ? chance.pick(unsignable) : chance.pick(hosts);
  const port = chance.pick(['', '', '', ':80', ':443', ':8080', ':1', ':080', ':']);
  const path = Array.from({ length: chance.below(4) }, () => `/${some(chance, 4).replaceAll('?', '')}`).join('');
  return `${scheme}://${host}${port}${path}`;
}

const formOf = (chance: Chance) => Array.from({ length: chance.below(5) }, (): [string, string] => [wild(chance), wild(chance)]);

/** One more part of the query, or something else about the request. */
function change(request: { url: string; form: [string, string][] | undefined }, chance: Chance): void {
  const n = chance.below(10);
  if (n < 6) {
    const query = n === 0 ? '' : n === 1 ? some(chance, 3) : `${some(chance, 3)}=${some(chance, 3)}`;
    request.url += `${request.url.includes('?') ? '&' : '?'}${query}`;
  } else if (n === 6) {
    // A parameter twice, or in both places.
    const { url, form } = request;
    const last = /[?&]([^?&#]*)$/.exec(url)?.[1] ?? 'a=1';
    if (form !== undefined && chance.is(0.5)) form.push([last.split('=')[0] ?? '', wild(chance)]);
    else request.url += `${url.includes('?') ? '&' : '?'}${last}`;
  } else if (n === 7) request.url += `#${some(chance, 3)}`;
  else if (n === 8) request.form = [...(request.form ?? []), ...formOf(chance)];
  else request.url = request.url.replace(/^(https?:\/\/[^/?#]*)/i, (_, origin) => `${origin}/${some(chance, 4)}`);
}

export type Signed = { request: SignableRequest; signing: Signing };

/** The request of a draft, and what it is signed with; one in so many with `rsaKey`, which costs more than all the rest. */
export function signedRequestOf([base, changes]: Draft, rsaKey: KeyObject): Signed {
  const chance = createChance(base);
  const request = { method: chance.pick(methods), url: urlOf(chance), form: chance.is(0.4) ? formOf(chance) : undefined };
  for (const seed of changes) change(request, createChance(seed));
  return {
    request,
    signing: {
      consumerKey: wild(chance),
      key: chance.is(0.02) ? { method: 'RSA-SHA1', privateKey: rsaKey } : { method: chance.pick(signatures), secret: wild(chance) },
      token: chance.is(0.6) ? { key: wild(chance), secret: wild(chance) } : undefined,
      extra: { ...(chance.is(0.3) && { oauth_verifier: wild(chance) }), ...(chance.is(0.2) && { oauth_callback: wild(chance) }) },
      realm: chance.is(0.2) ? chance.pick(['', 'x', 'a "b" \\c', 'a", oauth_token="evil', 'é', '\n']) : undefined,
      nonce: chance.bytes(8).toString('hex'),
      timestampS: 1 + chance.below(4_000_000_000),
    },
  };
}
