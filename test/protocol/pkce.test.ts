import { expect, test } from 'vitest';
import { codeChallenge, codeVerifier } from '../../src/protocol/pkce.ts';

test('RFC 7636 appendix B', () => {
  const octets = [
    116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212, 37, 77, 105, 214, 191, 240, 91, 88, 5, 88, 83, 132, 141, 121,
  ];
  const verifier = codeVerifier(Uint8Array.from(octets));
  expect(verifier).toBe('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk');
  expect(codeChallenge(verifier, 'S256')).toBe('E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM');
  expect(codeChallenge(verifier, 'plain')).toBe(verifier);
});
