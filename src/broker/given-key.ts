import type { Fault } from '../protocol/errors.ts';
import { jwkOf, readPrivateKey } from '../protocol/private-key.ts';

export type KeyParts = {
  private_key_jwk?: Record<string, unknown> | null | undefined;
  /** The same key as providers give it out, instead. */
  private_key_pem?: string | undefined;
  /** `kid` of a key in PEM form. */
  private_key_id?: string | undefined;
};

const privateMembers: Record<string, string> = { RSA: 'd', EC: 'd', OKP: 'd' };
function jwkFaults(jwk: Record<string, unknown>): Fault[] {
  const member = typeof jwk['kty'] === 'string' && Object.hasOwn(privateMembers, jwk['kty']) ? privateMembers[jwk['kty']] : undefined;
  if (member === undefined) return [{ pointer: '/private_key_jwk/kty', detail: 'Must be RSA, EC or OKP.' }];
  return typeof jwk[member] === 'string' ? [] : [{ pointer: '/private_key_jwk', detail: 'Must be a private key.' }];
}

const none = (pointer: string, detail: string): { faults: Fault[] } => ({ faults: [{ pointer, detail }] });

/** The private key that a body brings, as a JWK; undefined when it says nothing of one, null when there is to be none. Faults point into the body. */
export function givenKey({ private_key_jwk: jwk, private_key_pem: pem, private_key_id: kid }: KeyParts): {
  jwk?: Record<string, unknown> | null;
  faults: Fault[];
} {
  if (pem === undefined) {
    if (kid !== undefined) return none('/private_key_id', 'Belongs to private_key_pem; a JWK has its own as kid.');
    return jwk === undefined ? { faults: [] } : { jwk, faults: jwk === null ? [] : jwkFaults(jwk) };
  }
  if (jwk !== undefined) return none('/private_key_pem', 'Give private_key_jwk or private_key_pem, not both.');
  const key = readPrivateKey(pem);
  const made = key === undefined ? undefined : jwkOf(key, kid);
  return made === undefined
    ? none(
        '/private_key_pem',
        'Must be a private key in PEM form that can sign (RSA of 2048 bits at least, P-256, P-384, P-521 or Ed25519), without a passphrase.',
      )
    : { jwk: made, faults: [] };
}
