import { createHash, createPrivateKey, type KeyObject } from 'node:crypto';

/** Signature algorithms (RFC 7518 section 3.1, RFC 8037) that a provider can check without being able to sign. */
export const signingAlgorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const;

const curves: Readonly<Record<string, (typeof signingAlgorithms)[number]>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };

/** The algorithm that a key of this kind signs with where nobody says another; undefined when it cannot sign so that others can check it. */
export function algorithmOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): (typeof signingAlgorithms)[number] | undefined {
  // RFC 7518 section 3.3.
  if (type === 'rsa') return (details?.modulusLength ?? 0) >= 2048 ? 'RS256' : undefined;
  return type === 'ed25519' ? 'EdDSA' : curves[details?.namedCurve ?? ''];
}

const derTypes = { '': 'pkcs8', 'RSA ': 'pkcs1', 'EC ': 'sec1' } as const;
const pem = /^-----BEGIN (RSA |EC |)PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END (RSA |EC |)PRIVATE KEY-----$/;

/**
 * A private key in PEM form (RFC 7468: PKCS #8, PKCS #1 or SEC 1); undefined when the text is none, or is encrypted. A field of a form may have
 * taken its line ends, and a JSON file may have them as the two characters \n.
 */
export function readPrivateKey(text: string): KeyObject | undefined {
  const [, label = '', body, end] = pem.exec(text.replaceAll('\\n', '\n').trim()) ?? [];
  if (body === undefined || end !== label) return undefined;
  try {
    return createPrivateKey({ key: Buffer.from(body, 'base64'), format: 'der', type: derTypes[label as keyof typeof derTypes] }); // the expression has these three
  } catch {
    return undefined;
  }
}

/**
 * The key as a private JWK (RFC 7517) that says how it signs; undefined when it cannot sign so that others can check it.
 *
 * @param kid its thumbprint (RFC 7638) when left out
 */
export function jwkOf(key: KeyObject, kid?: string): Record<string, unknown> | undefined {
  const alg = algorithmOf(key);
  if (alg === undefined) return undefined;
  const jwk = key.export({ format: 'jwk' });
  const { crv, e, kty, n, x, y } = jwk;
  // The required members alone, in the order of their names, without spaces: those that are absent do not show in JSON.
  const thumbprint = createHash('sha256').update(JSON.stringify({ crv, e, kty, n, x, y })).digest('base64url');
  return { ...jwk, alg, kid: kid ?? thumbprint };
}
