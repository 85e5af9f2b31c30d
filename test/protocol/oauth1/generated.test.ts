import fc from 'fast-check';
import { expect, it } from 'vitest';
import { encodeForm } from '../../../src/protocol/form.ts';
import { baseStringOf, type Signing, signRequest } from '../../../src/protocol/oauth1/signer.ts';
import { baseString, isSigned, parseAuthorization } from '../../independent/rfc5849.ts';

const piece = fc.constantFrom(
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
  '%c3%a4',
  '%E2%82%AC',
  '%',
  '%4',
  '%zz',
  '%FF',
  '%EF%BB%BF',
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
  '|',
  '{',
  ' ',
  'ü',
  '€',
  '😀',
  '=',
  '__proto__',
  'constructor',
  'oauth_x',
);
const text = fc.array(piece, { maxLength: 5 }).map((parts) => parts.join(''));
const query = fc
  .array(
    fc.oneof(
      text,
      fc.tuple(text, text).map(([name, value]) => `${name}=${value}`),
      fc.constant(''),
    ),
    { maxLength: 6 },
  )
  .map((segments) => segments.join('&'));
const path = fc
  .array(
    text.map((segment) => segment.replaceAll('?', '')),
    { maxLength: 3 },
  )
  .map((segments) => segments.map((segment) => `/${segment}`).join(''));
const host = fc.constantFrom('example.com', 'EXAMPLE.com', 'a-b.example.co.uk', '127.0.0.1', '[::1]', 'bücher.example');
const port = fc.constantFrom('', ':80', ':443', ':8080', ':1');
const url = fc
  .tuple(fc.constantFrom('http', 'https', 'HTTPS'), host, port, path, fc.option(query), fc.option(text))
  .map(
    ([scheme, name, at, where, asked, fragment]) =>
      `${scheme}://${name}${at}${where}${asked === null ? '' : `?${asked}`}${fragment === null ? '' : `#${fragment}`}`,
  );
const wild = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  text,
  fc.constantFrom('\ud800', 'x\udfff', '\0', '\r\n', ''),
);
const form = fc.option(fc.array(fc.tuple(wild, wild), { maxLength: 6 }), { nil: undefined });
const method = fc.constantFrom('GET', 'post', 'Put', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'M-SEARCH');
const signature = fc.constantFrom('HMAC-SHA1' as const, 'HMAC-SHA256' as const, 'PLAINTEXT' as const);
const realm = fc.option(fc.string({ unit: 'grapheme-ascii', maxLength: 10 }), { nil: undefined });

it('two thousand generated requests verify at a server that shares no code', () => {
  let signed = 0;
  fc.assert(
    fc.property(
      fc.record({ method, url, form, signature, key: wild, secret: wild, token: fc.option(fc.tuple(wild, wild)), verifier: fc.option(wild), realm }),
      (given) => {
        const signing: Signing = {
          consumerKey: given.key,
          key: { method: given.signature, secret: given.secret },
          token: given.token === null ? undefined : { key: given.token[0], secret: given.token[1] },
          extra: given.verifier === null ? {} : { oauth_verifier: given.verifier },
          realm: given.realm,
          nonce: 'abcdef',
          timestampS: 1_700_000_000,
        };
        const sent = signRequest({ method: given.method, url: given.url, form: given.form }, signing);
        const body = given.form && { contentType: 'application/x-www-form-urlencoded; charset=UTF-8', body: encodeForm(given.form) };
        const arrived = { method: given.method, uri: sent.url, authorization: sent.authorization, ...body };

        const protocol = Object.fromEntries([...parseAuthorization(sent.authorization)].filter(([name]) => name !== 'realm'));
        expect(baseString(arrived)).toBe(baseStringOf({ method: given.method, url: given.url, form: given.form }, signing, protocol));
        const secrets = { client: given.secret, token: given.token?.[1] ?? '' };
        expect(isSigned(arrived, secrets)).toBe(true);
        expect(isSigned(arrived, { ...secrets, client: `${secrets.client}x` })).toBe(false);
        if (given.signature !== 'PLAINTEXT')
          expect(isSigned({ ...arrived, uri: `${sent.url}${sent.url.includes('?') ? '&' : '?'}more=1` }, secrets)).toBe(false);
        expect(sent.authorization).toMatch(/^OAuth [\x20-\x7e]+$/);
        signed++;
      },
    ),
    { seed: 20_261_120, numRuns: 2_000 },
  );
  expect(signed).toBe(2_000);
}, 60_000);
