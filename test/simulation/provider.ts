import type { DoorRequest, DoorResponse } from '../../src/protocol/door.ts';

/**
 * A model of an authorization server: what its token endpoint does with a request at the moment it arrives. `rotating`: a refresh token
 * serves once, and one that comes again ends the whole grant. `lasting`: it serves for ever. `not_early`: as `lasting`, and a token that
 * still lives is not renewed.
 */
export type Kind = 'rotating' | 'lasting' | 'not_early';

/** How it refuses: with the code of RFC 6749 section 5.2, or with a 401 that says nothing, be it the client's secret or the end user's grant. */
export type Refusals = 'named' | 'bare';

export type Grant = {
  readonly id: string;
  readonly connection: string;
  readonly order: number;
  end: undefined | 'by_user' | 'reuse' | 'revoked_by_us';
};
type AccessToken = { readonly grant: Grant; readonly issuedMs: number; readonly endsMs: number; revokedMs: number };
type RefreshToken = { readonly grant: Grant; used: boolean };

export type Issued = { access_token: string; refresh_token: string };
/** What became of a refresh; `tokens` when it was carried out. */
export type Processed = { answer: DoorResponse; refreshToken: string; tokens?: Issued; reuse?: boolean };

export type Provider = {
  readonly host: string;
  readonly kind: Kind;
  readonly lifetimeS: number;
  secret: string;
  /** An end user authorizes: another grant for the connection. */
  authorize(connection: string): Issued;
  process(request: DoorRequest): Processed;
  grantOf(accessToken: string): Grant | undefined;
  grantOfRefresh(refreshToken: string): Grant | undefined;
  /** Until when the token is accepted; undefined: it was never issued. */
  tokenEndsMs(accessToken: string): number | undefined;
  /** The grant's end user takes it back. */
  endGrant(grant: Grant, how: 'by_user'): void;
};

const json = (status: number, body: unknown, headers: Record<string, string> = {}): DoorResponse => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
});

/** What an answer without a decision looks like. */
export const unavailable = (retryAfterS?: number): DoorResponse =>
  retryAfterS === undefined ? json(503, { error: 'temporarily_unavailable' }) : json(429, {}, { 'retry-after': String(retryAfterS) });
export const garbage: DoorResponse = { status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' };

/** Client secrets go in the body: the definition says client_secret_post. */
export function createProvider({
  host,
  kind,
  lifetimeS,
  refusals,
  nowMs,
}: Pick<Provider, 'host' | 'kind' | 'lifetimeS'> & { refusals: Refusals; nowMs: () => number }): Provider {
  const accessTokens = new Map<string, AccessToken>();
  const refreshTokens = new Map<string, RefreshToken>();
  let grants = 0;

  const refusal = (status: number, error: string): DoorResponse => (refusals === 'bare' ? json(401, {}) : json(status, { error }));

  function issue(grant: Grant, refreshToken?: string): Issued {
    const name = `${grant.id}.${accessTokens.size}`;
    const tokens = { access_token: `at.${name}`, refresh_token: refreshToken ?? `rt.${name}` };
    accessTokens.set(tokens.access_token, { grant, issuedMs: nowMs(), endsMs: nowMs() + lifetimeS * 1000, revokedMs: Infinity });
    if (refreshToken === undefined) refreshTokens.set(tokens.refresh_token, { grant, used: false });
    return tokens;
  }

  function end(grant: Grant, how: NonNullable<Grant['end']>): void {
    grant.end ??= how;
    for (const token of accessTokens.values()) if (token.grant === grant) token.revokedMs = Math.min(token.revokedMs, nowMs());
  }

  function refresh(value: string): Processed {
    const refused = { answer: refusal(400, 'invalid_grant'), refreshToken: value };
    const token = refreshTokens.get(value);
    if (token === undefined) return refused;
    if (kind === 'rotating' && token.used) {
      const reuse = token.grant.end === undefined;
      if (reuse) end(token.grant, 'reuse');
      return { ...refused, reuse };
    }
    if (token.grant.end !== undefined) return refused;
    const lives = [...accessTokens.values()].some((each) => each.grant === token.grant && each.endsMs > nowMs());
    if (kind === 'not_early' && lives) return { answer: json(400, { error: 'invalid_request' }), refreshToken: value };
    token.used = true;
    const tokens = issue(token.grant, kind === 'rotating' ? undefined : value);
    const body = { access_token: tokens.access_token, token_type: 'Bearer', expires_in: lifetimeS };
    return { answer: json(200, kind === 'rotating' ? { ...body, refresh_token: tokens.refresh_token } : body), refreshToken: value, tokens };
  }

  const provider: Provider = {
    host,
    kind,
    lifetimeS,
    secret: 'secret-0',
    authorize: (connection) => issue({ id: `${host}.g${grants}`, connection, order: grants++, end: undefined }),
    process({ url, body }) {
      const params = new URLSearchParams(body);
      const refreshToken = params.get('refresh_token') ?? '';
      if (params.get('client_secret') !== provider.secret) return { answer: refusal(401, 'invalid_client'), refreshToken };
      if (!url.endsWith('/revoke')) return refresh(refreshToken);
      const grant = refreshTokens.get(params.get('token') ?? '')?.grant;
      if (grant !== undefined) end(grant, 'revoked_by_us');
      return { answer: json(200, {}), refreshToken: '' };
    },
    grantOf: (token) => accessTokens.get(token)?.grant,
    grantOfRefresh: (token) => refreshTokens.get(token)?.grant,
    tokenEndsMs(value) {
      const token = accessTokens.get(value);
      return token && Math.min(token.endsMs, token.revokedMs);
    },
    endGrant: end,
  };
  return provider;
}
