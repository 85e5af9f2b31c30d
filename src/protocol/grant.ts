import type { Credential } from './credential.ts';
import type { Definition, Method } from './definition/schema.ts';
import type { Door } from './door.ts';

/** Our registration at the provider. */
export type ClientRegistration = {
  client_id: string;
  client_secret?: string;
  /** A private JWK with `kid` and `alg`, for private_key_jwt; its PEM form signs RSA-SHA1. */
  private_key_jwk?: Readonly<Record<string, unknown>>;
};

/** What every grant is given: the world it may see. */
export type GrantContext<M extends Method = Method> = {
  definition: Definition;
  method: M;
  client: ClientRegistration;
  /** The values that complete the definition's templates, by input name. */
  inputs: Readonly<Record<string, string>>;
  /** The scopes that the connection was made with: a reissue asks for them again; without them, for the granted ones. */
  requestedScopes?: readonly string[];
  /** The redirect URI of the integration, for definitions that name it outside of a flow (in a refresh). */
  redirectUri?: string;
  /** True lets templates expand to plain http and private hosts (sandbox and tests). */
  allowPrivateHosts: boolean;
  door: Door;
  now: () => Date;
  /** Cryptographically strong random bytes. */
  random: (bytes: number) => Buffer;
};

export type StartInput = {
  /** The exact redirect URI of this flow; empty for grants without a browser. */
  redirectUri: string;
  /** 256-bit state of this flow. */
  state: string;
  scopes: readonly string[];
  /** Which of an OAuth 1.0a provider's two pages to use. */
  endpoint: 'authorization' | 'authentication';
};

/** What a flow has to remember between start and finish; the broker seals it. */
export type Pending = {
  redirectUri: string;
  scopes: readonly string[];
  /** PKCE verifier (RFC 7636 section 4.1). */
  codeVerifier?: string;
  /** OAuth 1.0a temporary credentials (RFC 5849 section 2.1). */
  requestToken?: string;
  requestTokenSecret?: string;
  /** Out of band: where the end user goes, for when the page has to be shown again. */
  authorizeUrl?: string;
};

export type Started =
  | { kind: 'redirect'; redirect: string; pending: Pending }
  /** The provider does not send the browser back; the end user returns by herself, with or without a verifier. */
  | { kind: 'out_of_band'; redirect: string; verifier: 'required' | 'absent'; pending: Pending }
  | { kind: 'credential'; credential: Credential };

/** What came back, already checked: single strings only. */
export type CallbackAnswer = {
  /** The authorization code; empty for OAuth 1.0a. */
  code: string;
  /** OAuth 1.0a. */
  oauthToken?: string;
  oauthVerifier?: string;
  /** The state that came back, and what the callback says was granted. */
  state?: string;
  scope?: string;
  /** The callback parameters that the definition says to keep. */
  keep: Readonly<Record<string, string>>;
};

/** A request to the provider's API, before the credential is added. */
export type ApiRequest = {
  method: string;
  url: string;
  /** Body parameters of a form-encoded request: OAuth 1.0a signs them (RFC 5849 section 3.4.1.3). */
  form?: readonly (readonly [string, string])[];
};

export type PresentedRequest = { url: string; headers: Record<string, string> };

/**
 * A way to obtain and use a credential. A method that is absent says: this grant cannot do that.
 * All of them throw GrantryError: `invalid_grant` (definitive), `invalid_client` (the operator's fault),
 * `provider_unavailable`, `provider_unreachable`, `no_answer` (transient), `provider_error`, `bad_provider_answer`.
 */
export type Grant<M extends Method = Method> = {
  start(ctx: GrantContext<M>, input: StartInput): Promise<Started>;
  finish?(ctx: GrantContext<M>, pending: Pending, callback: CallbackAnswer): Promise<Credential>;
  /** Returns the next credential; one without `refresh_token` keeps the old one (RFC 6749 section 6). */
  refresh?(ctx: GrantContext<M>, credential: Credential): Promise<Credential>;
  /** Ends the authorization at the provider (RFC 7009, or the definition's way). */
  revoke?(ctx: GrantContext<M>, credential: Credential): Promise<void>;
  /** Adds the credential to a request: header, query parameter, or OAuth 1.0a signature. */
  present(ctx: GrantContext<M>, credential: Credential, request: ApiRequest): PresentedRequest;
};
