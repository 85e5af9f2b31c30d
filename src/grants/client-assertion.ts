import { GrantryError } from '../protocol/errors.ts';
import type { ClientRegistration } from '../protocol/grant.ts';
import { type Assertion, registeredKey, signedJwt } from './signed-jwt.ts';

/**
 * The signed JWT of private_key_jwt (RFC 7523 sections 2.2 and 3). Throws `invalid_client` when the registration's key cannot sign.
 *
 * @param issuer `iss`, where it is not the client id, which is `sub` in any case
 */
export async function clientAssertion(
  client: ClientRegistration,
  { issuer = client.client_id, ...rest }: Omit<Assertion, 'issuer' | 'subject'> & { issuer?: string },
): Promise<string> {
  const key = await registeredKey(client);
  try {
    return await signedJwt(key, { ...rest, issuer, subject: client.client_id });
  } catch (cause) {
    throw new GrantryError('invalid_client', { detail: "The integration's private key cannot sign.", cause });
  }
}
