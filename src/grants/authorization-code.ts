import { authorizationUrl } from '../protocol/authorization-url.ts';
import { Credential, type CredentialFields } from '../protocol/credential.ts';
import type { AuthorizationCodeMethod } from '../protocol/definition/schema.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import type { Grant, GrantContext } from '../protocol/grant.ts';
import { codeChallenge, codeVerifier, verifierBytes } from '../protocol/pkce.ts';
import { extraValues, presentRequest } from '../protocol/present.ts';
import { joinScopes, readScopes } from '../protocol/scopes.ts';
import { templateValues } from '../protocol/template-values.ts';
import { extrasOf } from '../protocol/token-answer.ts';
import { endpointUrl } from './endpoint.ts';
import { authorizationParameters, redeemCode } from './passport-strategy.ts';
import { sentRedirectUri } from './redirect-uri.ts';
import { refreshCredential } from './refresh.ts';
import { revokeCredential } from './revocation.ts';
import { nonceOf, requestToken } from './token-endpoint.ts';

/** The authorization code grant (RFC 6749 section 4.1) with PKCE (RFC 7636); passport-oauth2 drives it. */
export const authorizationCode: Grant<AuthorizationCodeMethod> = {
  /** Where to send the browser. Throws `invalid_request` (scopes, template values), `invalid_client`, `address_refused`. */
  async start(ctx, { redirectUri, state, scopes }) {
    const { method, random } = ctx;
    const scope = joinScopes(scopes, method.scopes);
    const challenge = method.code_challenge_method;
    const verifier = challenge === 'none' ? undefined : codeVerifier(random(verifierBytes));
    // Where the callback names the host, there is no token endpoint yet.
    const isKnown = Object.keys(method.callback.inputs).length === 0;
    const flow = flowOf(ctx, redirectUri, isKnown ? method.token_endpoint : method.authorization_endpoint);
    const params = {
      ...(verifier === undefined || challenge === 'none'
        ? {}
        : { code_challenge: codeChallenge(verifier, challenge, method.code_challenge_encoding), code_challenge_method: challenge }),
      ...(method.callback.response_mode === 'form_post' ? { response_mode: 'form_post' } : {}),
    };
    const redirect_uri = sentRedirectUri(ctx, redirectUri);
    const standard = new Map(await authorizationParameters({ ...flow, state, scope, params })).set('redirect_uri', redirect_uri);
    const values = { ...templateValues(ctx), scope: scope ?? '', redirect_uri, nonce: nonceOf(ctx, method.authorization.params) };
    return {
      kind: 'redirect',
      redirect: authorizationUrl(endpointUrl(ctx, method.authorization_endpoint), standard, { method, values }),
      pending: { redirectUri, scopes, ...(verifier === undefined ? {} : { codeVerifier: verifier }) },
    };
  },

  /**
   * Redeems a code, once, whatever comes of it (RFC 6749 section 4.1.2), and exchanges the token at once where the definition says `second_exchange`. Throws `exchange_unknown` when the request may have arrived and no
   * answer came, else as `requestToken`. Who the credential belongs to stands in the ID token of the first answer.
   */
  async finish(ctx, pending, { code, state = '', scope, keep }) {
    const { method } = ctx;
    const kept = extrasOf(Object.entries(keep));
    const redirect_uri = sentRedirectUri(ctx, pending.redirectUri);
    const values = { ...extraValues(kept), scope: pending.scopes.join(method.scopes.separator), redirect_uri, state };
    const granted = readScopes(scope, { separator: method.response.scope_separator ?? method.scopes.separator, requested: pending.scopes });
    if (granted === undefined) throw new GrantryError('invalid_callback');
    try {
      const fields = await redeemCode({
        ...flowOf(ctx, pending.redirectUri, method.token_endpoint),
        code,
        codeVerifier: pending.codeVerifier,
        redeem: (checked, params) =>
          requestToken(ctx, {
            standard: { ...params, redirect_uri, code: checked },
            params: method.token.params,
            values,
            requested: granted,
            idToken: 'required',
          }),
      });
      const last = method.second_exchange === undefined ? fields : await exchanged(ctx, fields, { values, to: method.second_exchange });
      const { subject, account } = fields;
      const identity = { ...(subject !== undefined && { subject }), ...(account !== undefined && { account }) };
      return new Credential({ ...last, ...identity, extras: { ...kept, ...fields.extras, ...last.extras } });
    } catch (cause) {
      throw isGrantryError(cause, 'no_answer') ? new GrantryError('exchange_unknown', { cause }) : cause;
    }
  },

  refresh: (ctx, credential) => refreshCredential(ctx, credential),
  revoke: (ctx, credential) => revokeCredential(ctx, credential),
  present: (ctx, credential, request) => presentRequest(ctx, credential.reveal(), request),
};

/**
 * The second request, with the first token. The client was accepted a moment ago, so whatever refuses it now is no reason to send the
 * code again with another secret.
 */
async function exchanged(
  ctx: GrantContext<AuthorizationCodeMethod>,
  { access_token, refresh_token, scopes, extras }: CredentialFields,
  { values, to }: { values: Readonly<Record<string, string>>; to: NonNullable<AuthorizationCodeMethod['second_exchange']> },
): Promise<CredentialFields> {
  const first = { ...extraValues(extras), access_token, ...(refresh_token === undefined ? {} : { refresh_token }) };
  try {
    return await requestToken(ctx, { to, standard: {}, params: to.params, values: { ...values, ...first }, requested: scopes });
  } catch (cause) {
    throw isGrantryError(cause, 'invalid_client') ? new GrantryError('provider_error', { cause }) : cause;
  }
}

/** The strategy sees the authorization endpoint without its own query: that one is merged byte for byte afterwards. */
function flowOf(ctx: GrantContext<AuthorizationCodeMethod>, redirectUri: string, tokenEndpoint: string) {
  const [authorizationEndpoint = ''] = endpointUrl(ctx, ctx.method.authorization_endpoint).split('?');
  return { authorizationEndpoint, tokenEndpoint: endpointUrl(ctx, tokenEndpoint), clientId: ctx.client.client_id, redirectUri };
}
