import { type ClientAuthentication, clientAuthentication } from '../protocol/client-authentication.ts';
import type { CredentialFields } from '../protocol/credential.ts';
import type { AuthorizationCodeMethod, ClientCredentialsMethod, CredentialExchangeMethod, TokenResponseMap } from '../protocol/definition/schema.ts';
import type { GrantContext } from '../protocol/grant.ts';
import { expandHeaders, nameParameters } from '../protocol/parameters.ts';
import { templateValues } from '../protocol/template-values.ts';
import { parseTokenAnswer } from '../protocol/token-answer.ts';
import { tokenRequest } from '../protocol/token-request.ts';
import { clientAssertion } from './client-assertion.ts';
import { endpointUrl, optionalEndpointUrl } from './endpoint.ts';

/** The methods that have a token endpoint. */
export type TokenMethod = AuthorizationCodeMethod | ClientCredentialsMethod | CredentialExchangeMethod;

export type TokenCall = {
  /** Address, method, format and the answer's fields, where they are not those of the first request. */
  readonly to?: Pick<TokenMethod['refresh'], 'endpoint' | 'method' | 'format' | 'response'>;
  /** The parameters under their standard names; client authentication is added. */
  readonly standard: Readonly<Record<string, string | undefined>>;
  /** The definition's own parameters: templates. */
  readonly params: Readonly<Record<string, string>>;
  /** What these templates may use besides inputs and client_id. The address never sees them: some come from the callback. */
  readonly values: Readonly<Record<string, string>>;
  /** Granted when the answer names no scopes. */
  readonly requested: readonly string[];
};

/** Whom a 401 refuses that does not say why: what the request proves, the end user's own credential, our registration, or both. */
const refusedBy401 = { credential_exchange: 'invalid_grant', client_credentials: 'invalid_client', authorization_code: 'either' } as const;

/**
 * One request to the token endpoint and what its answer holds; lifetimes count from the moment before it is sent.
 * Throws what `parseTokenAnswer` and the door throw, `invalid_client` when the registration is not enough, `invalid_request`.
 */
export async function requestToken(
  ctx: GrantContext<TokenMethod>,
  { to, standard, params, values, requested }: TokenCall,
): Promise<CredentialFields> {
  const { method, door, now } = ctx;
  const endpoint = endpointUrl(ctx, to?.endpoint ?? method.token_endpoint);
  const authentication = await authenticateClient(ctx, endpoint);
  const naming = { rename: { scope: method.scopes.param, ...method.token.rename }, omit: method.token.omit };
  const all = { redirect_uri: ctx.redirectUri ?? '', ...templateValues(ctx), ...values };
  const request = tokenRequest({
    method: to?.method ?? method.token.method,
    endpoint,
    format: to?.format ?? method.token.format,
    params: nameParameters({ ...standard, ...authentication.params }, { ...naming, params, values: all }),
    headers: { ...expandHeaders(method.token.headers, all), ...authentication.headers },
  });
  const sentAt = now();
  const answer = await door(request);
  const refused = refusedBy401[method.grant];
  const response = mergePointers(method.response, to?.response ?? {});
  return parseTokenAnswer(answer, { response, separator: method.scopes.separator, requested, sentAt, refused });
}

function mergePointers(response: TokenResponseMap, own: TokenMethod['refresh']['response']): TokenResponseMap {
  return Object.assign({ ...response }, Object.fromEntries(Object.entries(own).filter(([, pointer]) => pointer !== undefined)));
}

/** The method's client authentication for one request to `url`; an assertion names the issuer, or exactly that URL, as its audience. */
export async function authenticateClient(ctx: GrantContext<TokenMethod>, url: string): Promise<ClientAuthentication> {
  const { method, client, now, random } = ctx;
  if (method.token_endpoint_auth_method !== 'private_key_jwt') return clientAuthentication(method.token_endpoint_auth_method, client);
  const audience = optionalEndpointUrl(ctx, method.grant === 'credential_exchange' ? undefined : method.issuer) ?? url;
  return clientAuthentication('private_key_jwt', client, await clientAssertion(client, { audience, now: now(), jti: random(16) }));
}
