import { optionalEndpointUrl } from '../grants/endpoint.ts';
import { grantFor } from '../grants/index.ts';
import type { Credential } from '../protocol/credential.ts';
import { apiOf } from '../protocol/definition/api.ts';
import type { Api } from '../protocol/definition/schema.ts';
import { isFilled } from '../protocol/definition/variables.ts';
import type { DoorRequest, DoorResponse } from '../protocol/door.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import type { ApiRequest, GrantContext, PresentedRequest } from '../protocol/grant.ts';
import { expandHeaders, expandParameters } from '../protocol/parameters.ts';
import { pointerValue } from '../protocol/pointer.ts';
import { callValues, extraValues } from '../protocol/present.ts';
import { withQuery } from '../protocol/query.ts';
import { signUrl } from '../protocol/signers.ts';
import { expandText } from '../protocol/template.ts';
import { templateValues } from '../protocol/template-values.ts';
import { withoutEnd } from '../protocol/without-end.ts';

/** The definition's cheap call that proves a credential, and the account that it, or a claim of the ID token, names. */

/** What templates of calls may name: the grant's values, and what was kept beside the credential. */
const valuesOf = (ctx: GrantContext, credential: Credential) => ({ ...templateValues(ctx), ...extraValues(credential.reveal().extras) });

/** The API as the credential of this flow or connection meets it. */
export const contextApi = (ctx: GrantContext): Api => apiOf(ctx.definition, ctx.method);

/**
 * Adds the credential and the headers and parameters that each call of this provider needs; one whose template came out empty is left out, and a
 * parameter that the address has already stays. Throws `invalid_request` when a header's value is missing or is not one line of printable ASCII.
 */
export function presentCredential(ctx: GrantContext, credential: Credential, request: ApiRequest): PresentedRequest {
  const api = contextApi(ctx);
  const values = callValues(ctx, credential.reveal().extras);
  const presented = grantFor(ctx.method).present(ctx, credential, {
    ...request,
    url: withMissing(request.url, expandParameters(api.params, values)),
  });
  const present = new Set(Object.keys(presented.headers).map((name) => name.toLowerCase()));
  const others = Object.entries(expandHeaders(api.headers, values)).filter(([name]) => !present.has(name.toLowerCase()));
  return {
    url: withSignature(ctx, credential, { ...request, url: presented.url }),
    headers: { ...Object.fromEntries(others), ...presented.headers },
  };
}

/** Throws `invalid_client` when the registration has nothing to sign with. */
function withSignature(ctx: GrantContext, credential: Credential, { url, form = [] }: ApiRequest): string {
  const { sign, token } = contextApi(ctx);
  if (sign === undefined) return url;
  const accessToken = credential.reveal().access_token;
  return signUrl(url, sign, { client: ctx.client, accessToken, form, now: ctx.now(), ...(token.in === 'query' && { tokenParam: token.name }) });
}

function withMissing(url: string, params: readonly [string, string][]): string {
  const { searchParams } = new URL(url);
  return withQuery(
    url,
    params.filter(([name]) => !searchParams.has(name)),
  );
}

/** The provider's API base, completed; undefined when the definition has none. Throws `address_refused`, `invalid_request`. */
export function apiBase(ctx: GrantContext, credential: Credential): string | undefined {
  return optionalEndpointUrl(ctx, contextApi(ctx).base_url, valuesOf(ctx, credential));
}

/** True when the probe takes credentials of this method: a definition may limit it to some. */
function isProbedWith({ definition, method }: GrantContext, methods: readonly string[] | undefined): boolean {
  return methods === undefined || methods.some((name) => definition.methods[name] === method);
}

/**
 * Sends the probe; undefined when the definition has none. `answerBody`: whether the caller reads it; where the definition says what a good
 * answer holds, it is read in any case. `works`: the provider has taken the credential. Throws what the door throws.
 */
export async function sendProbe(
  ctx: GrantContext,
  credential: Credential,
  answerBody: NonNullable<DoorRequest['answerBody']>,
): Promise<(DoorResponse & { works: boolean }) | undefined> {
  const { probe } = contextApi(ctx);
  if (probe === undefined || !isProbedWith(ctx, probe.methods)) return undefined;
  const request = apiCall(ctx, credential, probe);
  if (request === undefined) return undefined;
  const { success } = probe;
  const answer = await ctx.door({ ...request, answerBody: success === undefined ? answerBody : 'read' });
  const isGood = answer.status >= 200 && answer.status < 300;
  return { ...answer, works: isGood && (success === undefined || holds(jsonOf(answer.body), success)) };
}

type Probe = NonNullable<Api['probe']>;

/**
 * A call of the provider's API that a definition describes, with the credential; undefined when its path is relative and the API has no base.
 * Throws `invalid_request` when a value is missing, `address_refused`.
 */
export function apiCall(
  ctx: GrantContext,
  credential: Credential,
  { method, path, headers: own, json, form }: Pick<Probe, 'method' | 'path' | 'headers' | 'json' | 'form'>,
): DoorRequest | undefined {
  const values = valuesOf(ctx, credential);
  const address = expandText(path, values);
  const base = /^https?:\/\//.test(address) ? '' : apiBase(ctx, credential);
  if (base === undefined) return undefined;
  const body = callBody({ json, form }, { ...values, access_token: credential.reveal().access_token });
  const { url, headers } = presentCredential(ctx, credential, { method, url: withoutEnd(base, '/') + address });
  return {
    method,
    url,
    headers: { accept: 'application/json', ...body?.headers, ...headers, ...expandHeaders(own, callValues(ctx, credential.reveal().extras)) },
    ...(body !== undefined && { body: body.text }),
  };
}

function callBody(
  { json, form }: Pick<Probe, 'json' | 'form'>,
  values: Readonly<Record<string, string>>,
): { text: string; headers: Record<string, string> } | undefined {
  if (json !== undefined) return { text: JSON.stringify(filled(json, values)), headers: { 'content-type': 'application/json' } };
  if (form === undefined) return undefined;
  const text = new URLSearchParams(expandParameters(form, values)).toString();
  return { text, headers: { 'content-type': 'application/x-www-form-urlencoded' } };
}

function filled(value: unknown, values: Readonly<Record<string, string>>): unknown {
  if (typeof value === 'string') return isFilled(value) ? expandText(value, values) : value;
  if (Array.isArray(value)) return value.map((inner) => filled(inner, values));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, filled(inner, values)]));
}

function holds(answer: unknown, { pointer, equals }: NonNullable<Probe['success']>): boolean {
  const value = pointerValue(answer, pointer);
  return equals === undefined ? value !== undefined && value !== null : value === equals;
}

/** Credentials that nobody has looked at before they are used: a person typed them. */
const typedGrants: ReadonlySet<string> = new Set(['api_key', 'basic']);

/**
 * Which account the credential belongs to, where the definition can say it; undefined when nobody can tell right now.
 * Throws `invalid_grant` when the probe says that a typed credential (API key, password) is none.
 */
export async function readAccount(ctx: GrantContext, credential: Credential): Promise<string | undefined> {
  const claimed = credential.reveal().account;
  if (claimed !== undefined) return claimed;
  const { account } = contextApi(ctx);
  const typed = typedGrants.has(ctx.method.grant);
  if (account === undefined && !typed) return undefined;
  let answer: Awaited<ReturnType<typeof sendProbe>>;
  try {
    answer = await sendProbe(ctx, credential, account === undefined ? 'ignored' : 'read');
  } catch (error) {
    if (isGrantryError(error)) return undefined;
    throw error;
  }
  if (typed && answer?.status === 401) throw new GrantryError('invalid_grant', { detail: 'The provider does not accept what was given.' });
  if (answer === undefined || answer.status !== 200 || !answer.works || account === undefined) return undefined;
  const value = pointerValue(jsonOf(answer.body), account);
  return typeof value === 'string' || typeof value === 'number' ? String(value).slice(0, 300) : undefined;
}

/** The JSON of an answer; undefined when it is something else. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
