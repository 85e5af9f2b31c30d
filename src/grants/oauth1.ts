import { Credential, type CredentialFields } from '../protocol/credential.ts';
import { apiOf } from '../protocol/definition/api.ts';
import type { OAuth1Method } from '../protocol/definition/schema.ts';
import type { DoorResponse } from '../protocol/door.ts';
import { durationS } from '../protocol/duration.ts';
import { GrantryError } from '../protocol/errors.ts';
import { encodeForm } from '../protocol/form.ts';
import type { ApiRequest, CallbackAnswer, Grant, GrantContext, Pending, PresentedRequest, Started, StartInput } from '../protocol/grant.ts';
import { readLifetimeS } from '../protocol/lifetime.ts';
import { readTokenAnswer, type TokenAnswer } from '../protocol/oauth1/answer.ts';
import type { Pair } from '../protocol/oauth1/parameters.ts';
import { clockOffsetMs, type Leg, refusalOf, refusesToken } from '../protocol/oauth1/refusal.ts';
import { rsaPrivateKey, type SigningKey } from '../protocol/oauth1/signature.ts';
import { freshNonce, type SignableRequest, type Signing, signRequest } from '../protocol/oauth1/signer.ts';
import { nameParameters } from '../protocol/parameters.ts';
import { pointerValue } from '../protocol/pointer.ts';
import { isPresentable, presentRequest } from '../protocol/present.ts';
import { withQuery } from '../protocol/query.ts';
import { joinScopes } from '../protocol/scopes.ts';
import { expandText } from '../protocol/template.ts';
import { templateValues } from '../protocol/template-values.ts';
import { extrasOf } from '../protocol/token-answer.ts';
import { isTokenText } from '../protocol/token-text.ts';
import { endpointUrl, optionalEndpointUrl } from './endpoint.ts';
import { checkAuthority } from './revocation.ts';

type Context = GrantContext<OAuth1Method>;
type Protocol = Pick<Signing, 'token' | 'extra'>;

/**
 * OAuth 1.0a (RFC 5849): temporary credentials, the end user's page, token credentials; then a signature on every request.
 * The tokens cannot be renewed, so there is no `refresh`; the RFC knows no revocation, some providers do.
 */
export const oauth1 = { start, finish, revoke, present } satisfies Grant<OAuth1Method>;

/** RFC 5849 sections 2.1 and 2.2. Throws `unsupported` when the link asks for a page that the provider does not have. */
async function start(ctx: Context, input: StartInput): Promise<Started> {
  const { method } = ctx;
  const scope = joinScopes(input.scopes, method.scopes);
  const values = { ...templateValues(ctx), scope: scope ?? '' };
  const page = pageOf(ctx, input.endpoint);
  const form = [...nameParameters({}, { rename: {}, omit: [], params: method.request_token.params, values })];
  const answer = await requestToken(ctx, 'request_token', { form, extra: { oauth_callback: callbackFor(method, input) } });
  if (method.callback.confirmed === 'required' && !answer.confirmed) {
    throw new GrantryError('bad_provider_answer', { detail: 'The provider did not confirm the callback (oauth_callback_confirmed).' });
  }

  const { params, rename, omit, fragment } = method.authorization;
  const naming = { params, omit, rename: { scope: method.scopes.param, ...rename } };
  const query = nameParameters({ scope }, { ...naming, values: { ...values, redirect_uri: callbackFor(method, input) } });
  const tokenName = Object.hasOwn(rename, 'oauth_token') ? (rename['oauth_token'] ?? '') : 'oauth_token';
  query.set(tokenName, answer.token);
  const redirect = withQuery(page, query) + (fragment === undefined ? '' : `#${encodeURI(fragment)}`);
  const pending: Pending = { redirectUri: input.redirectUri, scopes: input.scopes, requestToken: answer.token, requestTokenSecret: answer.secret };
  if (method.callback.mode === 'oob') return { kind: 'out_of_band', redirect, verifier: method.callback.verifier, pending };
  return { kind: 'redirect', redirect, pending };
}

/**
 * RFC 5849 section 2.3. Throws `invalid_callback`, before anything is sent, when the callback belongs to another flow or lacks its verifier.
 * Out of band the end user comes back by herself, so `oauthToken` may be absent there.
 */
async function finish(ctx: Context, pending: Pending, callback: CallbackAnswer): Promise<Credential> {
  const { callback: rules, response } = ctx.method;
  const { requestToken: key, requestTokenSecret: secret } = pending;
  const byHerself = rules.mode === 'oob' && callback.oauthToken === undefined;
  if (key === undefined || secret === undefined || !(byHerself || callback.oauthToken === key)) {
    throw new GrantryError('invalid_callback', { detail: 'The callback names another request token than this flow asked for.' });
  }
  const verifier = rules.verifier === 'required' ? callback.oauthVerifier?.trim() : undefined;
  if (rules.verifier === 'required' && !isTokenText(verifier))
    throw new GrantryError('invalid_callback', { detail: 'The callback has no verifier.' });

  const extra = verifier === undefined ? {} : { oauth_verifier: verifier };
  const sentAt = ctx.now();
  const { token, secret: tokenSecret, document } = await requestToken(ctx, 'access_token', { form: [], token: { key, secret }, extra });
  const answered = Object.entries(response.keep).map(([name, pointer]) => [name, pointerValue(document, pointer)] as const);
  return new Credential({
    ...(response.api_key === undefined
      ? { kind: 'oauth1', access_token: token, token_type: 'oauth1', secret: tokenSecret }
      : apiKeyOf(ctx, pointerValue(document, response.api_key))),
    scopes: pending.scopes,
    lifetimeS: lifetimeOf(response, document, sentAt),
    refreshLifetimeS: null,
    extras: extrasOf([...Object.entries(callback.keep), ...answered]),
  });
}

function apiKeyOf({ definition, method }: Context, value: unknown): Pick<CredentialFields, 'kind' | 'access_token' | 'token_type'> {
  if (!isTokenText(value) || !isPresentable(apiOf(definition, method), value))
    throw new GrantryError('bad_provider_answer', { detail: 'The answer holds no key where the definition says.' });
  return { kind: 'api_key', access_token: value, token_type: 'api_key' };
}

function lifetimeOf({ expires_in, expires_unit, lifetime }: OAuth1Method['response'], document: object, sentAt: Date): number | null {
  const answered = expires_in === undefined ? null : readLifetimeS(pointerValue(document, expires_in), expires_unit, sentAt);
  if (answered === undefined)
    throw new GrantryError('bad_provider_answer', { detail: 'The answer says when the token ends in a way that makes no sense.' });
  return answered ?? (lifetime === undefined ? null : durationS(lifetime));
}

/** A signed call to the definition's address. A token that the provider no longer knows is a success. Throws `unsupported` without an address. */
async function revoke(ctx: Context, credential: Credential): Promise<void> {
  const { revocation_endpoint, revocation } = ctx.method;
  const { access_token: key, secret } = credential.reveal();
  const url = optionalEndpointUrl(ctx, revocation_endpoint, { ...templateValues(ctx), access_token: key });
  if (url === undefined || secret === undefined) throw new GrantryError('unsupported', { detail: 'This provider has no way to revoke a token.' });
  checkAuthority(revocation_endpoint ?? '');
  const signed = sign(ctx, { method: revocation.method, url }, { token: { key, secret }, offsetMs: 0 });
  const answer = await ctx.door({ method: revocation.method, url: signed.url, headers: { authorization: signed.authorization } });
  if (refusesToken(answer) || answer.status === 404 || answer.status === 410) return;
  const refusal = refusalOf(answer, { leg: 'access_token', now: ctx.now() });
  if (refusal !== undefined) throw refusal;
  if (answer.status < 200 || answer.status > 299) throw new GrantryError('provider_error');
}

/** Signs a request (RFC 5849 section 3); its form parameters too. Send exactly the returned URL. A key is presented as any other. */
function present(ctx: Context, credential: Credential, request: ApiRequest): PresentedRequest {
  const fields = credential.reveal();
  if (fields.kind === 'api_key') return presentRequest(ctx, fields, request);
  const { access_token: key, secret } = fields;
  if (secret === undefined) throw new GrantryError('integrity_error', { detail: 'The credential has no token secret.' });
  const { url, authorization } = sign(ctx, request, { token: { key, secret }, offsetMs: 0 });
  return { url, headers: { Authorization: authorization } };
}

function pageOf(ctx: Context, endpoint: StartInput['endpoint']): string {
  const { authorization_endpoint, authentication_endpoint } = ctx.method;
  const template = endpoint === 'authentication' ? authentication_endpoint : authorization_endpoint;
  if (template === undefined)
    throw new GrantryError('unsupported', { detail: 'This provider has no authentication endpoint; use the authorization one.' });
  return endpointUrl(ctx, template);
}

function callbackFor({ callback }: OAuth1Method, { redirectUri, state }: StartInput): string {
  if (callback.mode === 'oob') return 'oob';
  return callback.state === 'echoed' ? withQuery(redirectUri, [['state', state]]) : redirectUri;
}

const accept = 'application/x-www-form-urlencoded, */*;q=0.5';

/** Asks for credentials; once more, with the provider's time, when our clock was the trouble. */
async function requestToken(ctx: Context, leg: Leg, { form, ...protocol }: Protocol & { form: readonly Pair[] }): Promise<TokenAnswer> {
  const url = endpointUrl(ctx, leg === 'request_token' ? ctx.method.request_token_endpoint : ctx.method.access_token_endpoint);
  const send = (offsetMs: number): Promise<DoorResponse> => {
    if (ctx.method.token_method === 'GET') {
      const { url: signedUrl, authorization } = sign(ctx, { method: 'GET', url: withQuery(url, form) }, { ...protocol, offsetMs });
      return ctx.door({ method: 'GET', url: signedUrl, headers: { authorization, accept } });
    }
    const signed = sign(ctx, { method: 'POST', url, form }, { ...protocol, offsetMs });
    const headers = { authorization: signed.authorization, accept };
    if (form.length === 0) return ctx.door({ method: 'POST', url: signed.url, headers });
    return ctx.door({
      method: 'POST',
      url: signed.url,
      headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
      body: encodeForm(form),
    });
  };
  let answer = await send(0);
  const offsetMs = clockOffsetMs(answer, ctx.now());
  if (offsetMs !== undefined) answer = await send(offsetMs);
  const refusal = refusalOf(answer, { leg, now: ctx.now() });
  if (refusal !== undefined) throw refusal;
  return readTokenAnswer(answer);
}

function sign(ctx: Context, request: SignableRequest, { offsetMs, ...protocol }: Protocol & { offsetMs: number }) {
  const { signature_method, realm } = ctx.method;
  const signed = signRequest(request, {
    ...protocol,
    consumerKey: ctx.client.client_id,
    key: signingKey(ctx),
    realm: realm === undefined ? undefined : expandText(realm, templateValues(ctx)),
    nonce: freshNonce(ctx.random),
    timestampS: Math.max(1, Math.floor((ctx.now().getTime() + offsetMs) / 1000)),
  });
  if (signature_method === 'PLAINTEXT' && !signed.url.startsWith('https:') && !ctx.allowPrivateHosts) {
    throw new GrantryError('address_refused', { detail: 'PLAINTEXT sends the secrets themselves: only over https.' });
  }
  return signed;
}

function signingKey({ method: { signature_method: method }, client }: Context): SigningKey {
  if (method === 'RSA-SHA1') return { method, privateKey: rsaPrivateKey(client.private_key_jwk ?? client.client_secret ?? '') };
  if (client.client_secret === undefined) throw new GrantryError('invalid_client', { detail: 'This provider needs a client secret.' });
  return { method, secret: client.client_secret };
}
