import { type CryptoKey, importJWK, type JWK, type KeyObject, SignJWT } from 'jose';
import { GrantryError } from '../protocol/errors.ts';
import type { ClientRegistration } from '../protocol/grant.ts';
import { signingAlgorithms } from '../protocol/private-key.ts';

const known: ReadonlySet<string> = new Set(signingAlgorithms);

/** An assertion is good for a minute, some of which has passed: clocks differ, and one from the future is refused. Seconds. */
const lifetimeS = 60;
const passedS = 15;

/** A key that signs, and how its signatures are told: `alg` and, where the provider knows several keys, `kid` (RFC 7515 section 4.1). */
export type SigningKey = { key: CryptoKey | KeyObject | Uint8Array; alg: string; kid?: string };

export type Assertion = {
  /** `iss`. */
  issuer: string;
  /** `sub`; left out where nobody is named. */
  subject: string | undefined;
  /** `aud`: one, as a single string, so that the assertion is of no use at another server. */
  audience: string;
  /** Further ones, which never replace those of the RFC. */
  claims?: Readonly<Record<string, string>>;
  now: Date;
  /** At least 128 random bits: `jti`. */
  jti: Uint8Array;
};

/** The registration's own key. Throws `invalid_client` when it has none, or one that cannot sign so that others can check it. */
export async function registeredKey({ private_key_jwk }: ClientRegistration): Promise<SigningKey> {
  const { alg, kid } = private_key_jwk ?? {};
  if (private_key_jwk === undefined || typeof alg !== 'string' || !known.has(alg) || typeof kid !== 'string' || kid === '') {
    throw new GrantryError('invalid_client', { detail: 'The integration needs a private JWK with kid and an asymmetric alg.' });
  }
  try {
    return { key: await importJWK({ ...private_key_jwk } as JWK, alg), alg, kid };
  } catch (cause) {
    throw new GrantryError('invalid_client', { detail: "The integration's private key cannot sign.", cause });
  }
}

/** The JWT of RFC 7523 section 3: signed, one minute, one use. Throws what jose throws when the key does not fit `alg`. */
export function signedJwt({ key, alg, kid }: SigningKey, { issuer, subject, audience, claims = {}, now, jti }: Assertion): Promise<string> {
  const issuedAt = Math.floor(now.getTime() / 1000) - passedS;
  const jwt = new SignJWT({ ...claims }).setProtectedHeader({ alg, ...(kid !== undefined && { kid }), typ: 'JWT' }).setIssuer(issuer);
  if (subject !== undefined) jwt.setSubject(subject);
  return jwt
    .setAudience(audience)
    .setJti(Buffer.from(jti).toString('base64url'))
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + lifetimeS)
    .sign(key);
}
