import { Credential, type CredentialFields } from '../protocol/credential.ts';
import type { CredentialExchangeMethod } from '../protocol/definition/schema.ts';
import type { Grant, GrantContext } from '../protocol/grant.ts';
import { presentRequest } from '../protocol/present.ts';
import { joinScopes } from '../protocol/scopes.ts';
import { refreshCredential, withoutIdleRefreshToken } from './refresh.ts';
import { revokeCredential } from './revocation.ts';
import { requestToken } from './token-endpoint.ts';

/** The end user hands over a credential of the provider, as inputs, and the provider gives a token for it. No grant_type of its own. */
export const credentialExchange: Grant<CredentialExchangeMethod> = {
  async start(ctx, { scopes }) {
    return { kind: 'credential', credential: new Credential(await exchange(ctx, scopes)) };
  },
  refresh: (ctx, credential) => refreshCredential(ctx, credential, (scopes) => exchange(ctx, scopes)),
  revoke: (ctx, credential) => revokeCredential(ctx, credential),
  present: (ctx, credential, request) => presentRequest(ctx, credential.reveal(), request),
};

async function exchange(ctx: GrantContext<CredentialExchangeMethod>, scopes: readonly string[]): Promise<CredentialFields> {
  const { method } = ctx;
  const scope = joinScopes(scopes, method.scopes);
  const fields = await requestToken(ctx, { standard: { scope }, params: method.token.params, values: { scope: scope ?? '' }, requested: scopes });
  return withoutIdleRefreshToken(method, fields);
}
