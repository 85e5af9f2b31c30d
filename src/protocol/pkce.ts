import { createHash } from 'node:crypto';

/** Random bytes in a verifier: 32 make the 43 characters that RFC 7636 section 4.1 recommends. */
export const verifierBytes = 32;

/** The PKCE code verifier (RFC 7636 section 4.1) made of `verifierBytes` strong random bytes. */
export function codeVerifier(random: Uint8Array): string {
  return Buffer.from(random).toString('base64url');
}

/** The code challenge of a verifier (RFC 7636 section 4.2). */
export function codeChallenge(verifier: string, method: 'S256' | 'plain'): string {
  return method === 'plain' ? verifier : createHash('sha256').update(verifier, 'ascii').digest('base64url');
}
