import { createHash } from 'node:crypto';

/** Random bytes in a verifier: 32 make the 43 characters that RFC 7636 section 4.1 recommends. */
export const verifierBytes = 32;

/** The PKCE code verifier (RFC 7636 section 4.1) made of `verifierBytes` strong random bytes. */
export function codeVerifier(random: Uint8Array): string {
  return Buffer.from(random).toString('base64url');
}

/** The code challenge of a verifier (RFC 7636 section 4.2), or as a provider writes the hash otherwise. */
export function codeChallenge(verifier: string, method: 'S256' | 'plain', encoding: 'base64url' | 'hex' | 'base64url_hex' = 'base64url'): string {
  if (method === 'plain') return verifier;
  const hash = createHash('sha256').update(verifier, 'ascii');
  return encoding === 'base64url_hex' ? Buffer.from(hash.digest('hex'), 'ascii').toString('base64url') : hash.digest(encoding);
}
