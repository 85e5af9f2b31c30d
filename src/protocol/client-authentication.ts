import type { ClientAuthenticationMethod, Method } from './definition/schema.ts';
import { GrantryError } from './errors.ts';
import { encodeForm } from './form.ts';
import type { ClientRegistration } from './grant.ts';
import { signatureNeeds } from './signers.ts';
import { templateNames } from './template.ts';

/** What one authentication method adds to a request: never more than one of them (RFC 6749 section 2.3). */
export type ClientAuthentication = {
  readonly headers: Readonly<Record<string, string>>;
  readonly params: Readonly<Record<string, string>>;
};

/**
 * How the client authenticates at the token and revocation endpoints (RFC 6749 section 2.3, RFC 7523 section 2.2).
 * Throws `invalid_client` when the registration has no secret and the method wants one.
 *
 * @param assertion the signed JWT, for private_key_jwt
 */
export function clientAuthentication(method: ClientAuthenticationMethod, client: ClientRegistration, assertion?: string): ClientAuthentication {
  const { client_id } = client;
  switch (method) {
    case 'client_secret_basic':
      return { headers: { authorization: basic(formEncode(client_id), formEncode(secretOf(client))) }, params: {} };
    case 'basic_raw':
      return { headers: { authorization: basic(client_id, secretOf(client)) }, params: {} };
    case 'client_id_basic':
      return { headers: { authorization: basic(formEncode(client_id), '') }, params: {} };
    case 'client_secret_post':
      return { headers: {}, params: { client_id, client_secret: secretOf(client) } };
    case 'private_key_jwt':
      if (assertion === undefined) throw new GrantryError('invalid_client', { detail: 'The integration has no private key.' });
      return {
        headers: {},
        params: { client_id, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: assertion },
      };
    case 'none':
      return { headers: {}, params: client_id === '' ? {} : { client_id } };
  }
}

/** A signed JWT in the place of the secret: nothing else tells it from client_secret_post. */
export function assertionAsSecret({ client_id }: ClientRegistration, assertion: string): ClientAuthentication {
  return { headers: {}, params: { client_id, client_secret: assertion } };
}

/** `{client_secret}` for the headers that name it. Throws `invalid_client` when one does and the registration has none. */
export function secretValue(headers: Readonly<Record<string, string>>, client: ClientRegistration): Record<string, string> {
  return namesSecret(headers) ? { client_secret: secretOf(client) } : {};
}

const namesSecret = (headers: Readonly<Record<string, string>>): boolean =>
  Object.values(headers).some((template) => templateNames(template).includes('client_secret'));

/** What a method needs of our registration, over all of its requests. */
export function clientNeeds(method: Method): { secret: boolean; key: boolean } {
  switch (method.grant) {
    case 'api_key':
    case 'basic':
      return { secret: false, key: false };
    case 'oauth1':
      return { secret: method.signature_method !== 'RSA-SHA1', key: method.signature_method === 'RSA-SHA1' };
    default: {
      const { token_endpoint_auth_method: first, refresh, token, revocation, application_token } = method;
      const used = [first, refresh.token_endpoint_auth_method];
      const signedWith = token.sign === undefined ? undefined : signatureNeeds(token.sign);
      const secret = used.some((each) => each === 'client_secret_basic' || each === 'basic_raw' || each === 'client_secret_post');
      return {
        secret:
          secret ||
          application_token !== undefined ||
          signedWith === 'secret' ||
          namesSecret(token.headers) ||
          namesSecret(revocation.headers) ||
          (method.revocation_endpoint !== undefined && revocation.authentication === 'client_secret_basic'),
        key: used.includes('private_key_jwt') || signedWith === 'key' || (method.grant === 'jwt_bearer' && method.assertion.key === undefined),
      };
    }
  }
}

/** The value of an Authorization header (RFC 7617), of UTF-8 text taken as it is. */
export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}`;
}

/** RFC 6749 section 2.3.1 and appendix B: the identifier and the secret are form-encoded before they become Basic. */
function formEncode(value: string): string {
  return encodeForm([[value, '']]).slice(0, -1);
}

function secretOf({ client_secret }: ClientRegistration): string {
  if (client_secret === undefined) throw new GrantryError('invalid_client', { detail: 'The integration has no client secret.' });
  return client_secret;
}
