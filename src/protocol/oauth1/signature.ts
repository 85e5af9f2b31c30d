import { createHmac, createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { GrantryError } from '../errors.ts';

/** What a signature is made with (RFC 5849 section 3.4). */
export type SigningKey = { method: 'HMAC-SHA1' | 'HMAC-SHA256' | 'PLAINTEXT'; secret: string } | { method: 'RSA-SHA1'; privateKey: KeyObject };

/**
 * The value of `oauth_signature`, not yet percent-encoded. `sharedKey` is enc(client secret)&enc(token secret); RSA-SHA1 does
 * not use it (section 3.4.3), PLAINTEXT is nothing else (section 3.4.4).
 */
export function signatureOf(baseString: string, sharedKey: string, key: SigningKey): string {
  switch (key.method) {
    case 'HMAC-SHA1':
      return createHmac('sha1', sharedKey).update(baseString).digest('base64');
    case 'HMAC-SHA256':
      return createHmac('sha256', sharedKey).update(baseString).digest('base64');
    case 'RSA-SHA1':
      return sign('sha1', Buffer.from(baseString), key.privateKey).toString('base64');
    case 'PLAINTEXT':
      return sharedKey;
  }
}

/** Reads an RSA private key from a JWK or a PEM text. Throws `invalid_client` when it is none; never says what it held. */
export function rsaPrivateKey(source: Readonly<Record<string, unknown>> | string): KeyObject {
  const key = readKey(source);
  if (key?.asymmetricKeyType !== 'rsa') throw new GrantryError('invalid_client', { detail: 'RSA-SHA1 needs an RSA private key, as JWK or PEM.' });
  return key;
}

function readKey(source: Readonly<Record<string, unknown>> | string): KeyObject | undefined {
  try {
    return typeof source === 'string' ? createPrivateKey(source) : createPrivateKey({ key: { ...source }, format: 'jwk' });
  } catch {
    return undefined;
  }
}
