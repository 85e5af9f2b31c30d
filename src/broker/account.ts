import { optionalEndpointUrl } from '../grants/endpoint.ts';
import { grantFor } from '../grants/index.ts';
import type { Credential } from '../protocol/credential.ts';
import type { DoorRequest, DoorResponse } from '../protocol/door.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import type { ApiRequest, GrantContext, PresentedRequest } from '../protocol/grant.ts';
import { expandHeaders } from '../protocol/parameters.ts';
import { pointerValue } from '../protocol/pointer.ts';
import { extraValues } from '../protocol/present.ts';
import { expandText } from '../protocol/template.ts';
import { templateValues } from '../protocol/template-values.ts';

/** The definition's cheap call that proves a credential, and the account it names. */

/** What templates of calls may name: the grant's values, and what was kept beside the credential. */
const valuesOf = (ctx: GrantContext, credential: Credential) => ({ ...templateValues(ctx), ...extraValues(credential.reveal().extras) });

/**
 * Adds the credential and the headers that each call of this provider needs; one whose template came out empty is left out.
 * Throws `invalid_request` when a header's value is missing or is not one line of printable ASCII.
 */
export function presentCredential(ctx: GrantContext, credential: Credential, request: ApiRequest): PresentedRequest {
  const presented = grantFor(ctx.method).present(ctx, credential, request);
  const present = new Set(Object.keys(presented.headers).map((name) => name.toLowerCase()));
  const expanded = expandHeaders(ctx.definition.api.headers, valuesOf(ctx, credential));
  const others = Object.entries(expanded).filter(([name]) => !present.has(name.toLowerCase()));
  return { url: presented.url, headers: { ...Object.fromEntries(others), ...presented.headers } };
}

/** The provider's API base, completed; undefined when the definition has none. Throws `address_refused`, `invalid_request`. */
export function apiBase(ctx: GrantContext, credential: Credential): string | undefined {
  return optionalEndpointUrl(ctx, ctx.definition.api.base_url, valuesOf(ctx, credential));
}

/** True when the probe takes credentials of this method: a definition may limit it to some. */
function isProbedWith({ definition, method }: GrantContext, methods: readonly string[] | undefined): boolean {
  return methods === undefined || methods.some((name) => definition.methods[name] === method);
}

/** Sends the probe; undefined when the definition has none. `answerBody`: whether anybody reads it. Throws what the door throws. */
export async function sendProbe(
  ctx: GrantContext,
  credential: Credential,
  answerBody: NonNullable<DoorRequest['answerBody']>,
): Promise<DoorResponse | undefined> {
  const { probe } = ctx.definition.api;
  if (probe === undefined || !isProbedWith(ctx, probe.methods)) return undefined;
  const path = expandText(probe.path, valuesOf(ctx, credential));
  const base = /^https?:\/\//.test(path) ? '' : apiBase(ctx, credential)?.replace(/\/+$/, '');
  if (base === undefined) return undefined;
  const { url, headers } = presentCredential(ctx, credential, { method: probe.method, url: base + path });
  return ctx.door({ method: probe.method, url, headers: { accept: 'application/json', ...headers }, answerBody });
}

/** Credentials that nobody has looked at before they are used: a person typed them. */
const typedGrants: ReadonlySet<string> = new Set(['api_key', 'basic']);

/**
 * Which account the credential belongs to, where the definition can say it; undefined when nobody can tell right now.
 * Throws `invalid_grant` when the probe says that a typed credential (API key, password) is none.
 */
export async function readAccount(ctx: GrantContext, credential: Credential): Promise<string | undefined> {
  const { account } = ctx.definition.api;
  const typed = typedGrants.has(ctx.method.grant);
  if (account === undefined && !typed) return undefined;
  let answer: DoorResponse | undefined;
  try {
    answer = await sendProbe(ctx, credential, account === undefined ? 'ignored' : 'read');
  } catch (error) {
    if (isGrantryError(error)) return undefined;
    throw error;
  }
  if (typed && answer?.status === 401) throw new GrantryError('invalid_grant', { detail: 'The provider does not accept what was given.' });
  if (answer === undefined || answer.status !== 200 || account === undefined) return undefined;
  const value = pointerValue(jsonOf(answer.body), account);
  return typeof value === 'string' || typeof value === 'number' ? String(value).slice(0, 300) : undefined;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
