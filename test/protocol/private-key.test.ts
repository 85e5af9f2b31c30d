import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { algorithmOf, readPrivateKey } from '../../src/protocol/private-key.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey;
const pem = (key: typeof rsa, type: 'pkcs8' | 'pkcs1' | 'sec1' = 'pkcs8') => key.export({ format: 'pem', type }).toString();

test.each([
  ['PKCS #8', pem(rsa)],
  ['PKCS #1, as GitHub gives it out', pem(rsa, 'pkcs1')],
  ['with the line ends of Windows', pem(rsa).replaceAll('\n', '\r\n')],
  ['without its line ends, as a field of one line leaves it', pem(rsa).replaceAll('\n', ' ')],
  ['with line ends as a JSON file writes them', pem(rsa).replaceAll('\n', '\\n')],
  ['with space around', `\n  ${pem(rsa)}\n\n`],
])('an RSA key, %s', (_, text) => {
  const key = readPrivateKey(text);
  expect(key?.export({ format: 'jwk' })).toEqual(rsa.export({ format: 'jwk' }));
  expect(key && algorithmOf(key)).toBe('RS256');
});

test.each([
  ['P-256', 'ES256'],
  ['P-384', 'ES384'],
  ['P-521', 'ES512'],
])('a key of %s signs with %s', (curve, alg) => {
  const key = ec(curve);
  for (const text of [pem(key), pem(key, 'sec1')]) {
    const read = readPrivateKey(text);
    expect(read && algorithmOf(read)).toBe(alg);
  }
});

test('Ed25519 signs; X25519, an unusual curve and a short RSA key do not', () => {
  const of = (key: typeof rsa) => {
    const read = readPrivateKey(pem(key));
    return read && algorithmOf(read);
  };
  expect(of(generateKeyPairSync('ed25519').privateKey)).toBe('EdDSA');
  expect(of(generateKeyPairSync('x25519').privateKey)).toBeUndefined();
  expect(of(ec('secp256k1'))).toBeUndefined();
  expect(of(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey)).toBeUndefined();
});

test.each([
  ['nothing', ''],
  ['a word', 'key'],
  ['a public key', generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'pem', type: 'spki' }).toString()],
  ['one that is encrypted', rsa.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' }).toString()],
  ['an end that does not fit', pem(rsa).replace('END PRIVATE', 'END RSA PRIVATE')],
  ['half of one', pem(rsa).slice(0, 400)],
  ['other bytes', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----'],
])('is none: %s', (_, text) => {
  expect(readPrivateKey(text)).toBeUndefined();
});
