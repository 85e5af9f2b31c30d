import type { Fault } from './fault.ts';

/** What a test may change at the authorization server while it runs. */
export type AuthorizationServerSwitches = {
  /** Whole seconds that the next access tokens live. */
  accessTokenTtlS: number;
  /** Whole seconds that the next refresh tokens live. */
  refreshTokenTtlS: number;
  /** single_use: each refresh gives a new refresh token, and using an old one ends the whole grant. */
  rotation: 'single_use' | 'none';
  /** With a user name the consent page is skipped and this user approves. */
  autoApprove: { user: string } | null;
  /** The only secret of the client that is accepted; null: the one that it was registered with. */
  clientSecret: string | null;
  /** Scopes that the user does not grant although they were asked for. */
  withheldScopes: readonly string[];
  /** What goes wrong at the token endpoint. */
  fault: Fault;
  /** What goes wrong at the revocation endpoint. */
  revocationFault: Fault;
};

export type AuthorizationServerCounters = {
  /** Requests to the authorization endpoint, without the way back from the consent page. */
  authorize: number;
  /** Requests to the token endpoint by grant_type, whatever came of them. */
  token: Record<string, number>;
  /** Refreshes that issued tokens. */
  refresh_ok: number;
  /** Used refresh tokens that came again; each ended its grant. */
  refresh_reuse: number;
  /** Requests to the revocation endpoint that were processed. */
  revocations: number;
  /** Requests to the introspection endpoint. */
  introspections: number;
  /** Requests to the API with a living token. */
  api_ok: number;
};

export const scopesOffered = ['openid', 'offline_access', 'profile', 'email', 'read', 'write'] as const;

export function initialSwitches(): AuthorizationServerSwitches {
  return {
    accessTokenTtlS: 60,
    refreshTokenTtlS: 14 * 86_400,
    rotation: 'single_use',
    autoApprove: null,
    clientSecret: null,
    withheldScopes: [],
    fault: { kind: 'none' },
    revocationFault: { kind: 'none' },
  };
}

export function initialCounters(): AuthorizationServerCounters {
  return { authorize: 0, token: {}, refresh_ok: 0, refresh_reuse: 0, revocations: 0, introspections: 0, api_ok: 0 };
}
