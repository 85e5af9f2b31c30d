import { expect, test } from 'vitest';
import { createMasks } from '../../../src/protocol/trace/masks.ts';

const secret = 'Zäh/+ "geheim"=~1';
const bytes = Buffer.from(secret);

test.each([
  ['plain', secret],
  ['in other capitals', secret.toUpperCase()],
  ['percent-encoded', encodeURIComponent(secret)],
  ['percent-encoded in small letters', encodeURIComponent(secret).toLowerCase()],
  ['form-encoded', new URLSearchParams({ a: secret }).toString().slice(2)],
  ['percent-encoded twice', encodeURIComponent(encodeURIComponent(secret))],
  ['in JSON', JSON.stringify({ a: secret })],
  ['in JSON with escaped letters', JSON.stringify(secret).replace('ä', '\\u00e4').replaceAll('/', '\\/')],
  ['hex', bytes.toString('hex')],
  ['HEX', bytes.toString('hex').toUpperCase()],
  ...[0, 1, 2, 3].map((before): [string, string] => [
    `base64, ${before} bytes behind the beginning`,
    Buffer.from(`${'u'.repeat(before)}${secret}:x`).toString('base64'),
  ]),
  ['base64url', bytes.toString('base64url')],
  ['percent-encoded in base64, as RFC 6749 section 2.3.1 wants it', Buffer.from(`id:${encodeURIComponent(secret)}`).toString('base64')],
  ['base64 in percent-encoding', encodeURIComponent(bytes.toString('base64'))],
])('a secret is found %s, in the middle of a text', (_, form) => {
  const masks = createMasks();
  masks.allow(`before ${form} after`);
  expect(masks.show(`before ${form} after`)).toBe(`before ${form} after`);
  masks.learn('the secret', secret);
  expect(masks.secretIn(`before ${form} after`)).toBe('the secret');
  expect(masks.show(`before ${form} after`)).toBe(`<the secret: ${form.length + 13} characters>`);
});

test('what is not known to be public is not shown', () => {
  const masks = createMasks();
  masks.allow('read');
  expect([masks.show('read'), masks.show('read write'), masks.show('')]).toEqual(['read', '<text: 10 characters>', '']);
});

test('a short secret is looked for as a whole', () => {
  const masks = createMasks();
  masks.learn('PIN', '1234');
  expect([masks.secretIn('1234'), masks.secretIn('at 12:34 or 1234')]).toEqual(['PIN', undefined]);
});

test('a text that is too long to be looked into is not shown', () => {
  const masks = createMasks();
  const text = 'a b '.repeat(1_001);
  masks.allow(text);
  expect(masks.show(text)).toBe('<long text: 4004 characters>');
});
