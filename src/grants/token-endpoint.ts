import { assertionAsSecret, type ClientAuthentication, clientAuthentication, secretValue } from '../protocol/client-authentication.ts';
import type { CredentialFields } from '../protocol/credential.ts';
import { apiOf } from '../protocol/definition/api.ts';
import type {
  AuthorizationCodeMethod,
  ClientAuthenticationMethod,
  ClientCredentialsMethod,
  CredentialExchangeMethod,
  JwtBearerMethod,
  TokenResponseMap,
} from '../protocol/definition/schema.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import type { GrantContext } from '../protocol/grant.ts';
import { expandHeaders, expandParameters, nameParameters } from '../protocol/parameters.ts';
import { isPresentable } from '../protocol/present.ts';
import { signatureOf } from '../protocol/signers.ts';
import { expandText } from '../protocol/template.ts';
import { templateValues } from '../protocol/template-values.ts';
import { parseTokenAnswer } from '../protocol/token-answer.ts';
import { tokenRequest } from '../protocol/token-request.ts';
import { requestApplicationToken } from './application-token.ts';
import { clientAssertion } from './client-assertion.ts';
import { endpointUrl, optionalEndpointUrl } from './endpoint.ts';
import { sentRedirectUri } from './redirect-uri.ts';

/** The methods that have a token endpoint. */
export type TokenMethod = AuthorizationCodeMethod | ClientCredentialsMethod | JwtBearerMethod | CredentialExchangeMethod;

export type TokenCall = {
  /** Address, method, format and the answer's fields, where they are not those of the first request. */
  readonly to?: Partial<Pick<TokenMethod['refresh'], 'endpoint' | 'method' | 'format' | 'response' | 'token_endpoint_auth_method'>>;
  /** The parameters under their standard names; client authentication is added. */
  readonly standard: Readonly<Record<string, string | undefined>>;
  /** The definition's own parameters: templates. */
  readonly params: Readonly<Record<string, string>>;
  /** What these templates may use besides inputs and client_id. The address never sees them: some come from the callback. */
  readonly values: Readonly<Record<string, string>>;
  /** Granted when the answer names no scopes. */
  readonly requested: readonly string[];
  /** Whether the answer's ID token is read, where the definition reads one; it is not when left out. */
  readonly idToken?: 'required' | 'welcome';
};

/** Whom a 401 refuses that does not say why: what the request proves, the end user's own credential, our registration, or both. */
const refusedBy401 = {
  credential_exchange: 'invalid_grant',
  client_credentials: 'invalid_client',
  jwt_bearer: 'either',
  authorization_code: 'either',
} as const;

/**
 * One request to the token endpoint and what its answer holds; lifetimes count from the moment before it is sent.
 * Throws what `parseTokenAnswer` and the door throw, `invalid_client` when the registration is not enough, `invalid_request`.
 */
export async function requestToken(
  ctx: GrantContext<TokenMethod>,
  { to, standard, params, values, requested, idToken }: TokenCall,
): Promise<CredentialFields> {
  const { method, door, now } = ctx;
  const endpoint = endpointUrl(ctx, to?.endpoint ?? method.token_endpoint);
  const naming = { rename: { scope: method.scopes.param, ...method.token.rename }, omit: method.token.omit };
  const all = {
    redirect_uri: sentRedirectUri(ctx, ctx.redirectUri ?? ''),
    nonce: nonceOf(ctx, params, method.token.headers),
    ...templateValues(ctx),
    ...(await requestApplicationToken(ctx)),
    ...values,
  };
  const authentication = await authenticateClient(ctx, { url: endpoint, how: to?.token_endpoint_auth_method, scope: values['scope'] });
  const request = tokenRequest({
    method: to?.method ?? method.token.method,
    endpoint,
    format: to?.format ?? method.token.format,
    params: withSignature(ctx, endpoint, nameParameters({ ...standard, ...authentication.params }, { ...naming, params, values: all })),
    headers: { ...expandHeaders(method.token.headers, { ...all, ...secretValue(method.token.headers, ctx.client) }), ...authentication.headers },
  });
  const sentAt = now();
  const answer = await door(request);
  const signed = method.grant === 'jwt_bearer' && method.assertion.key === undefined;
  const response = mergePointers(method.response, to?.response ?? {});
  const read = {
    response,
    separator: method.scopes.separator,
    requested,
    sentAt,
    refused: refusedBy401[method.grant],
    held: standard['refresh_token'],
    ...(idToken !== undefined && { idToken: { need: idToken, clientId: ctx.client.client_id, issuer: issuerOf(ctx) } }),
  };
  const fields = withBlame(method, () => parseTokenAnswer(answer, { ...read, signed }));
  if (isPresentable(apiOf(ctx.definition, method), fields.access_token)) return fields;
  throw new GrantryError('bad_provider_answer', { detail: 'The answer holds a token that cannot stand in the path of a call.' });
}

/** A key of the end user's that comes alone proves nothing of us: whatever the provider refuses is hers. */
function withBlame<T>(method: TokenMethod, read: () => T): T {
  const isHers = method.grant === 'jwt_bearer' && method.assertion.key !== undefined && method.token_endpoint_auth_method === 'none';
  if (!isHers) return read();
  try {
    return read();
  } catch (cause) {
    throw isGrantryError(cause, 'invalid_client') ? new GrantryError('invalid_grant', { detail: cause.message, cause }) : cause;
  }
}

/** The parameters and, where the definition says `token.sign`, the signature over them and over the query of the address. */
function withSignature({ method, client, now }: GrantContext<TokenMethod>, endpoint: string, params: Map<string, string>): Map<string, string> {
  const { sign } = method.token;
  if (sign === undefined) return params;
  const { pathname, searchParams } = new URL(endpoint);
  const pairs = [...new Map([...searchParams, ...params])];
  return new Map([...params, ...signatureOf(sign, { path: pathname, pairs, client, now: now() })]);
}

const issuerOf = (ctx: GrantContext<TokenMethod>): string | undefined =>
  'issuer' in ctx.method ? optionalEndpointUrl(ctx, ctx.method.issuer) : undefined;

/** 128 random bits for one request, where one of its templates names them. */
export function nonceOf({ random }: Pick<GrantContext, 'random'>, ...templates: Readonly<Record<string, string>>[]): string {
  const isNamed = templates.some((all) => Object.values(all).some((template) => template.includes('{nonce}')));
  return isNamed ? random(16).toString('base64url') : '';
}

function mergePointers(response: TokenResponseMap, own: TokenMethod['refresh']['response']): TokenResponseMap {
  return Object.assign({ ...response }, Object.fromEntries(Object.entries(own).filter(([, pointer]) => pointer !== undefined)));
}

const isSameOrigin = (one: string, other: string): boolean => new URL(one).origin === new URL(other).origin;

/**
 * Whom an assertion that is sent to `url` is for: the audience that the definition names, at the host of the token endpoint; else the issuer,
 * at the issuer's own host; else exactly that URL. Whoever is sent one can use it nowhere else (audience injection).
 */
export function assertionAudience(ctx: GrantContext<TokenMethod>, { url, named }: { url: string; named: string | undefined }): string {
  const { method } = ctx;
  if (named !== undefined) return isSameOrigin(url, endpointUrl(ctx, method.token_endpoint)) ? named : url;
  const issuer = optionalEndpointUrl(ctx, method.grant === 'credential_exchange' ? undefined : method.issuer);
  return issuer !== undefined && isSameOrigin(url, issuer) ? issuer : url;
}

/**
 * The method's client authentication for one request to `url`.
 *
 * @param how instead of the method's own way
 * @param scope what is asked for, for an assertion that holds it
 */
export async function authenticateClient(
  ctx: GrantContext<TokenMethod>,
  { url, how, scope = '' }: { url: string; how?: ClientAuthenticationMethod | undefined; scope?: string | undefined },
): Promise<ClientAuthentication> {
  const { method, client, now, random } = ctx;
  const authentication = how ?? method.token_endpoint_auth_method;
  if (authentication !== 'private_key_jwt') return clientAuthentication(authentication, client);
  const { param = 'client_assertion', issuer = '{client_id}', audience, claims = {} } = method.client_assertion ?? {};
  const values = { ...templateValues(ctx), scope };
  const assertion = await clientAssertion(client, {
    issuer: expandText(issuer, values),
    audience: assertionAudience(ctx, { url, named: audience === undefined ? undefined : expandText(audience, values) }),
    claims: Object.fromEntries(expandParameters(claims, values)),
    now: now(),
    jti: random(16),
  });
  return param === 'client_secret' ? assertionAsSecret(client, assertion) : clientAuthentication('private_key_jwt', client, assertion);
}
