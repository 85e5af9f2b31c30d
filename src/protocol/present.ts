import { basic } from './client-authentication.ts';
import type { CredentialFields } from './credential.ts';
import { apiOf } from './definition/api.ts';
import type { Api } from './definition/schema.ts';
import { keptNames } from './definition/variables.ts';
import { GrantryError } from './errors.ts';
import type { ApiRequest, GrantContext, PresentedRequest } from './grant.ts';
import { expandHeaders } from './parameters.ts';
import { withQuery } from './query.ts';
import { templateValues } from './template-values.ts';

/** Where a credential goes in a request, and what is written there. */
export type Presentation = { in: 'header' | 'query'; name: string; value: string };

/** Where and how a provider wants a token (`api.token` of its definition; RFC 6750 section 2.1 when that says nothing). */
function tokenPresentation({ token: { in: where, name, scheme } }: Api, token: string): Presentation {
  if (where === 'query') return { in: where, name, value: token };
  return { in: where, name, value: scheme === '' ? token : `${scheme} ${token}` };
}

/** The same for a whole credential: RFC 7617 for user name and password; undefined for OAuth 1.0a, which signs each request. */
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
 * same name is replaced. Throws `invalid_request` when a header template's value is missing, `unsupported` for OAuth 1.0a.
 */
export function presentRequest(
  ctx: Pick<GrantContext, 'definition' | 'method' | 'inputs' | 'client'>,
  fields: CredentialFields,
  request: ApiRequest,
): PresentedRequest {
  const api = apiOf(ctx.definition, ctx.method);
  const presentation = presentationOf(api, fields);
  if (presentation === undefined) throw new GrantryError('unsupported', { detail: 'OAuth 1.0a signs requests; it has no token to present.' });
  const headers = expandHeaders(api.headers, callValues(ctx, fields.extras));
  if (presentation.in === 'query') return { url: withQuery(request.url, [[presentation.name, presentation.value]]), headers };
  const others = Object.entries(headers).filter(([name]) => name.toLowerCase() !== presentation.name.toLowerCase());
  return { url: request.url, headers: { ...Object.fromEntries(others), [presentation.name]: presentation.value } };
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
