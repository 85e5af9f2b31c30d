import { Credential, type CredentialFields } from '../protocol/credential.ts';
import type { ClientCredentialsMethod } from '../protocol/definition/schema.ts';
import type { Grant, GrantContext } from '../protocol/grant.ts';
import { presentRequest } from '../protocol/present.ts';
import { joinScopes } from '../protocol/scopes.ts';
import { refreshCredential, withoutIdleRefreshToken } from './refresh.ts';
import { revokeCredential } from './revocation.ts';
import { requestToken } from './token-endpoint.ts';

/** The client credentials grant (RFC 6749 section 4.4): our own registration is what authorizes, and a new token is simply asked for. */
export const clientCredentials: Grant<ClientCredentialsMethod> = {
  async start(ctx, { scopes }) {
    return { kind: 'credential', credential: new Credential(await issue(ctx, scopes)) };
  },
  refresh: (ctx, credential) => refreshCredential(ctx, credential, (scopes) => issue(ctx, scopes)),
  revoke: (ctx, credential) => revokeCredential(ctx, credential),
  present: (ctx, credential, request) => presentRequest(ctx, credential.reveal(), request),
};

async function issue(ctx: GrantContext<ClientCredentialsMethod>, scopes: readonly string[]): Promise<CredentialFields> {
  const { method } = ctx;
  const scope = joinScopes(scopes, method.scopes);
  const standard = { grant_type: 'client_credentials', scope };
  const fields = await requestToken(ctx, { standard, params: method.token.params, values: { scope: scope ?? '' }, requested: scopes });
  return withoutIdleRefreshToken(method, fields);
}
