import { basic } from './client-authentication.ts';
import type { CredentialFields } from './credential.ts';
import { apiOf } from './definition/api.ts';
import { templateInputs } from './definition/choices.ts';
import type { Api } from './definition/schema.ts';
import { keptNames } from './definition/variables.ts';
import { GrantryError } from './errors.ts';
import type { ApiRequest, GrantContext, PresentedRequest } from './grant.ts';
import { expandHeaders } from './parameters.ts';
import { withQuery } from './query.ts';
import { expandUrl } from './template.ts';
import { templateValues } from './template-values.ts';
import { behindBase, isPathToken, tokenSegment } from './token-path.ts';

/** Where a credential goes in a request, and what is written there: in the path, between the base of the API and the path of the call. */
export type Presentation = { in: 'header' | 'query'; name: string; value: string } | { in: 'path'; value: string };

/** Where and how a provider wants a token (`api.token` of its definition; RFC 6750 section 2.1 when that says nothing). */
function tokenPresentation({ token: { in: where, name, scheme, prefix } }: Api, token: string): Presentation {
  if (where === 'query') return { in: where, name, value: token };
  if (where === 'path') return { in: where, value: tokenSegment(token, prefix) };
  return { in: where, name, value: scheme === '' ? token : `${scheme} ${token}` };
}

/** False for a token that cannot stand where the API wants it: such a one is not taken from anybody. */
export const isPresentable = ({ token: { in: where } }: Api, token: string): boolean => where !== 'path' || isPathToken(token);

/** The same for a whole credential: RFC 7617 for user name and password; undefined for OAuth 1.0a, which signs each request. Throws `unsupported` for a token that is not `isPresentable`. */
export function presentationOf(
  api: Api,
  { kind, access_token, secret }: Pick<CredentialFields, 'kind' | 'access_token' | 'secret'>,
): Presentation | undefined {
  switch (kind) {
    case 'oauth2':
    case 'api_key':
      return tokenPresentation(api, access_token);
    case 'basic':
      return { in: 'header', name: 'Authorization', value: basic(access_token, secret ?? '') };
    case 'oauth1':
      return undefined;
  }
}

/**
 * The request with the credential in its one place and the headers that each call of this provider needs; a query parameter of the
 * same name is replaced. Throws `invalid_request` when a header template's value is missing or a token in the path has no place in the URL,
 * `unsupported` for OAuth 1.0a.
 */
export function presentRequest(
  ctx: Pick<GrantContext, 'definition' | 'method' | 'inputs' | 'client' | 'allowPrivateHosts'>,
  fields: CredentialFields,
  request: ApiRequest,
): PresentedRequest {
  const api = apiOf(ctx.definition, ctx.method);
  const presentation = presentationOf(api, fields);
  if (presentation === undefined) throw new GrantryError('unsupported', { detail: 'OAuth 1.0a signs requests; it has no token to present.' });
  const headers = expandHeaders(api.headers, callValues(ctx, fields.extras));
  if (presentation.in === 'query') return { url: withQuery(request.url, [[presentation.name, presentation.value]]), headers };
  if (presentation.in === 'path') return { url: withPath(ctx, fields, { url: request.url, segment: presentation.value }), headers };
  const others = Object.entries(headers).filter(([name]) => name.toLowerCase() !== presentation.name.toLowerCase());
  return { url: request.url, headers: { ...Object.fromEntries(others), [presentation.name]: presentation.value } };
}

function withPath(
  ctx: Pick<GrantContext, 'definition' | 'method' | 'inputs' | 'client' | 'allowPrivateHosts'>,
  { extras }: CredentialFields,
  { url, segment }: { url: string; segment: string },
): string {
  const { definition, method, allowPrivateHosts } = ctx;
  const values = { ...templateValues(ctx), ...extraValues(extras) };
  const base = expandUrl(apiOf(definition, method).base_url ?? '', values, { inputs: templateInputs(definition, method), allowPrivateHosts });
  const placed = behindBase(url, { base, segment });
  if (placed !== undefined) return placed;
  const detail = 'The token stands in the path, behind the base address of the API (api.base_url): the URL has to begin with that.';
  throw new GrantryError('invalid_request', { detail, errors: [{ pointer: '/url', detail }] });
}

/** What headers and parameters of calls may name; a kept value that is not there is empty, so that what is made of it is left out. */
export function callValues(
  ctx: Pick<GrantContext, 'definition' | 'method' | 'inputs' | 'client'>,
  extras: CredentialFields['extras'],
): Record<string, string> {
  const absent = Object.fromEntries(keptNames(ctx.method).map((name) => [`extras.${name}`, '']));
  return { ...templateValues(ctx), ...absent, ...extraValues(extras) };
}

/** Kept values under the names that templates use for them: `extras.x`. */
export function extraValues(extras: CredentialFields['extras']): Record<string, string> {
  return Object.fromEntries(Object.entries(extras).map(([name, value]) => [`extras.${name}`, value]));
}
