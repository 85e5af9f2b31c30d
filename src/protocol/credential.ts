import { Sealed } from './sealed.ts';

/** What a provider gave. It prints, logs and serialises as `[sealed]`; `reveal()` is the one way to its fields. */

export type CredentialFields = {
  kind: 'oauth2' | 'oauth1' | 'api_key' | 'basic';
  /** OAuth 2.0 access token, OAuth 1.0a oauth_token, or the API key; the user name for `basic`. */
  access_token: string;
  /** `bearer`, `oauth1`, `api_key` or `basic`; what a provider calls it otherwise, in lower case. */
  token_type: string;
  refresh_token?: string;
  /** OAuth 1.0a token secret (RFC 5849 section 2.3), or the password for `basic`. */
  secret?: string;
  /** As granted; the requested ones when the provider does not say (RFC 6749 section 5.1). */
  scopes: readonly string[];
  /** Whole seconds that the access token lives, counted from the moment the request was sent; null: no end is known. */
  lifetimeS: number | null;
  /** The same for the refresh token. */
  refreshLifetimeS: number | null;
  /** `sub` of the ID token that the end user's authorization brought, where the definition reads one: a refresh has to be for the same (OpenID Connect Core section 12.2). */
  subject?: string;
  /** The account that a claim of the answer's ID token names. It is stored beside the credential, when the end user has authorized. */
  account?: string;
  /** What the definition says to keep from callback and answer (realmId, instance_url, ...). Never secret. */
  extras: Readonly<Record<string, string>>;
};

export class Credential extends Sealed<CredentialFields> {
  constructor(fields: CredentialFields) {
    super(Object.freeze({ ...fields }));
  }
}
