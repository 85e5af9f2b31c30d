import { type ClientAuthentication, clientAuthentication, secretValue } from '../protocol/client-authentication.ts';
import type { Credential, CredentialFields } from '../protocol/credential.ts';
import type { Door } from '../protocol/door.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import type { GrantContext } from '../protocol/grant.ts';
import { expandHeaders, nameParameters } from '../protocol/parameters.ts';
import { pointerValue } from '../protocol/pointer.ts';
import { extraValues, presentRequest } from '../protocol/present.ts';
import { templateNames } from '../protocol/template.ts';
import { templateValues } from '../protocol/template-values.ts';
import { parseDocument } from '../protocol/token-answer.ts';
import { tokenFailure } from '../protocol/token-error.ts';
import { tokenRequest } from '../protocol/token-request.ts';
import { optionalEndpointUrl } from './endpoint.ts';
import { authenticateClient, type TokenMethod } from './token-endpoint.ts';

/** Error values that say what we wanted to hear: the token is already worth nothing. */
const gone = new Set(['invalid_token', 'invalid_grant', 'token_revoked', 'token_expired']);

/**
 * Ends an authorization at the provider (RFC 7009 section 2.1, or the definition's way): the refresh token where there is one, and then the
 * access token, which a provider should end with it and need not. A token that the provider no longer knows is a success. The second
 * request is made whatever came of the first, and what comes of it changes nothing: the grant stands or falls with the refresh token.
 * Throws `unsupported` when the provider has no such endpoint, `provider_unavailable`, `invalid_client`, `provider_error`, and the door's.
 */
export async function revokeCredential(ctx: GrantContext<TokenMethod>, credential: Credential): Promise<void> {
  const fields = credential.reveal();
  const [first, further] = standardParameters(ctx.method, fields);
  const outcome = await revoke(ctx, fields, first).catch((error: unknown) => ({ error }));
  if (outcome !== undefined && (further === undefined || !isGrantryError(outcome.error) || outcome.error.retryable)) throw outcome.error;
  if (further === undefined) return;
  await revoke({ ...ctx, door: aside(ctx.door) }, fields, further).catch((error: unknown) => {
    if (!isGrantryError(error)) throw error;
  });
  if (outcome !== undefined) throw outcome.error;
}

/** Nothing depends on what comes back. */
const aside =
  (door: Door): Door =>
  (request) =>
    door({ ...request, answerBody: 'ignored' });

type Parameters = Readonly<Record<string, string>>;

/** What each request says by the RFC. A definition that says its own way has one request, and so has an endpoint that is told no parameters. */
function standardParameters({ revocation }: TokenMethod, { refresh_token, access_token }: CredentialFields): readonly [Parameters, Parameters?] {
  if (revocation.params !== undefined) return [{}];
  const access = { token: access_token, token_type_hint: 'access_token' };
  if (refresh_token === undefined) return [access];
  const refresh = { token: refresh_token, token_type_hint: 'refresh_token' };
  return revocation.format === 'none' ? [refresh] : [refresh, access];
}

async function revoke(ctx: GrantContext<TokenMethod>, fields: CredentialFields, standard: Parameters): Promise<void> {
  const { method, door, now } = ctx;
  const { revocation } = method;
  const values = {
    ...templateValues(ctx),
    ...extraValues(fields.extras),
    access_token: fields.access_token,
    ...(fields.refresh_token === undefined ? {} : { refresh_token: fields.refresh_token }),
  };
  const url = optionalEndpointUrl(ctx, method.revocation_endpoint, values);
  if (url === undefined) throw new GrantryError('unsupported', { detail: 'This provider has no way to revoke a token.' });
  checkAuthority(method.revocation_endpoint ?? '');
  const authentication = await authenticate(ctx, fields, url);
  const params = nameParameters(
    { ...standard, ...authentication.params },
    { rename: revocation.rename, omit: [], params: revocation.params ?? {}, values },
  );
  const headers = { ...expandHeaders(revocation.headers, { ...values, ...secretValue(revocation.headers, ctx.client) }), ...authentication.headers };
  const request =
    revocation.format === 'none'
      ? { method: revocation.method, url: authentication.url, headers: { accept: 'application/json', ...headers } }
      : tokenRequest({ method: revocation.method, endpoint: authentication.url, format: revocation.format, params, headers });

  const answer = await door(request);
  const document = parseDocument(answer.body, method.response);
  const refused = revocation.authentication === 'access_token' ? 'invalid_grant' : 'invalid_client';
  const failure = tokenFailure(answer, document, { response: method.response, refused, now: now() });
  if (failure !== undefined && !isGone(answer.status, document, { response: method.response, failure })) throw failure;
}

async function authenticate(ctx: GrantContext<TokenMethod>, fields: CredentialFields, url: string): Promise<ClientAuthentication & { url: string }> {
  const { authentication } = ctx.method.revocation;
  switch (authentication) {
    case 'client_secret_basic':
      return { ...clientAuthentication(authentication, ctx.client), url };
    case 'client':
      return { ...(await authenticateClient(ctx, { url })), url };
    case 'access_token':
      return { ...presentRequest(ctx, fields, { method: ctx.method.revocation.method, url }), params: {} };
    case 'none':
      return { headers: {}, params: {}, url };
  }
}

/** A kept value may have come from a callback that anybody can write: it never chooses the host that gets our secrets. */
export function checkAuthority(template: string): void {
  const authority = /^[a-z]+:\/\/[^/?#]*|^\{[^{}]*\}/i.exec(template)?.[0] ?? '';
  if (templateNames(authority).some((name) => name.startsWith('extras.') || name.endsWith('_token'))) {
    throw new GrantryError('address_refused', { detail: 'The host of the revocation endpoint must not come from the credential.' });
  }
}

function isGone(status: number, document: unknown, { response, failure }: { response: TokenMethod['response']; failure: GrantryError }): boolean {
  return (
    failure.code === 'invalid_grant' ||
    (failure.code === 'provider_error' && (status === 404 || status === 410 || gone.has(String(pointerValue(document, response.error)))))
  );
}
