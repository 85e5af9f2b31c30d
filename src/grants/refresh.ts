import { Credential, type CredentialFields } from '../protocol/credential.ts';
import type { Method } from '../protocol/definition/schema.ts';
import { GrantryError } from '../protocol/errors.ts';
import type { GrantContext } from '../protocol/grant.ts';
import { extraValues } from '../protocol/present.ts';
import { refreshHow } from '../protocol/refreshable.ts';
import { endpointUrl } from './endpoint.ts';
import { requestToken, type TokenMethod } from './token-endpoint.ts';

/**
 * The next credential, complete: what the answer leaves out (refresh token, scopes, extras) stays as it was (RFC 6749 section 6).
 * `refreshLifetimeS` null beside an unchanged refresh token means that the known end of that token still holds.
 * Throws `invalid_grant` when there is no refresh token or its ID token names another end user, `unsupported` when the method renews nothing, else as `requestToken`.
 *
 * @param reissue asks for a new token in the grant's own way, for scopes; absent where the end user is needed for that
 */
export async function refreshCredential(
  ctx: GrantContext<TokenMethod>,
  credential: Credential,
  reissue?: (scopes: readonly string[]) => Promise<CredentialFields>,
): Promise<Credential> {
  const old = credential.reveal();
  const { account: _, ...next } = await renew(ctx, old, reissue);
  // OpenID Connect Core section 12.2: an ID token at a refresh names the same end user.
  if (old.subject !== undefined && next.subject !== undefined && next.subject !== old.subject)
    throw new GrantryError('invalid_grant', { detail: 'The provider renewed the token for another account than the one that is connected.' });
  return new Credential({
    ...next,
    ...(old.subject !== undefined && { subject: old.subject }),
    ...(next.refresh_token === undefined && old.refresh_token !== undefined ? { refresh_token: old.refresh_token } : {}),
    extras: { ...old.extras, ...next.extras },
  });
}

/** Where a refresh is sent. Throws `unsupported` when the method has no token endpoint, else as `endpointUrl`. */
export function refreshUrl(ctx: GrantContext<Method>): string {
  const { method } = ctx;
  if (!('token_endpoint' in method)) throw new GrantryError('unsupported', { detail: 'This grant cannot be refreshed.' });
  return endpointUrl(ctx, method.refresh.endpoint ?? method.token_endpoint);
}

/** The answer to a reissue without its refresh token, unless the method uses it: none should come (RFC 6749 section 4.4.3). */
export function withoutIdleRefreshToken(method: TokenMethod, fields: CredentialFields): CredentialFields {
  if (refreshHow(method) === 'refresh_token') return fields;
  const { refresh_token: _, ...rest } = fields;
  return rest;
}

async function renew(
  ctx: GrantContext<TokenMethod>,
  old: CredentialFields,
  reissue: ((scopes: readonly string[]) => Promise<CredentialFields>) | undefined,
): Promise<CredentialFields> {
  const { method } = ctx;
  const { refresh_token, access_token } = old;
  const call = {
    to: method.refresh,
    params: method.refresh.params,
    values: {
      ...extraValues(old.extras),
      access_token,
      ...(refresh_token === undefined ? {} : { refresh_token }),
      scope: old.scopes.join(method.scopes.separator),
    },
    requested: old.scopes,
    idToken: 'welcome',
  } as const;
  const how = refreshHow(method);
  switch (how) {
    case 'refresh_token':
      if (refresh_token === undefined) throw new GrantryError('invalid_grant', { detail: 'The provider gave no refresh token.' });
      return requestToken(ctx, { ...call, standard: { grant_type: 'refresh_token', refresh_token } });
    case 'exchange_current':
      return requestToken(ctx, { ...call, standard: {} });
    case 'reissue':
      if (reissue !== undefined) return reissue(ctx.requestedScopes ?? old.scopes);
      break;
    case 'none':
      break;
  }
  throw new GrantryError('unsupported', { detail: 'This method has no way to renew a token without its end user.' });
}
