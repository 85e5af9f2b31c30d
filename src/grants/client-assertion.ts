import { importJWK, type JWK, SignJWT } from 'jose';
import { GrantryError } from '../protocol/errors.ts';
import type { ClientRegistration } from '../protocol/grant.ts';

const algorithms = new Set(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']);

/** Seconds that an assertion is valid. */
const lifetimeS = 60;

/**
 * The signed JWT of private_key_jwt (RFC 7523 sections 2.2 and 3): asymmetric, one minute, one use, and one audience as a single
 * string, so that it is of no use at another server. Throws `invalid_client` when the registration's key cannot sign.
 *
 * @param issuer `iss`, where it is not the client id
 * @param audience the issuer, or the exact URL that the assertion is sent to
 * @param claims further ones, which never replace those of the RFC
 * @param jti at least 128 random bits
 */
export async function clientAssertion(
  { client_id, private_key_jwk }: ClientRegistration,
  {
    issuer = client_id,
    audience,
    claims = {},
    now,
    jti,
  }: { issuer?: string; audience: string; claims?: Readonly<Record<string, string>>; now: Date; jti: Uint8Array },
): Promise<string> {
  const { alg, kid } = private_key_jwk ?? {};
  if (private_key_jwk === undefined || typeof alg !== 'string' || !algorithms.has(alg) || typeof kid !== 'string' || kid === '') {
    throw new GrantryError('invalid_client', { detail: 'The integration needs a private JWK with kid and an asymmetric alg.' });
  }
  const issuedAt = Math.floor(now.getTime() / 1000);
  try {
    return await new SignJWT({ ...claims })
      .setProtectedHeader({ alg, kid, typ: 'JWT' })
      .setIssuer(issuer)
      .setSubject(client_id)
      .setAudience(audience)
      .setJti(Buffer.from(jti).toString('base64url'))
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + lifetimeS)
      .sign(await importJWK({ ...private_key_jwk } as JWK, alg));
  } catch (cause) {
    throw new GrantryError('invalid_client', { detail: "The integration's private key cannot sign.", cause });
  }
}
