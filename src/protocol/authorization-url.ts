import type { AuthorizationCodeMethod } from './definition/schema.ts';
import { nameParameters } from './parameters.ts';
import { withQuery } from './query.ts';

/** These bind the answer to our flow: a definition may rename or omit them, never give them another value. */
const binding = new Set(['state', 'code_challenge', 'code_challenge_method']);

/**
 * The address that the browser is sent to (RFC 6749 sections 3.1 and 4.1.1): the endpoint with its own query kept, each parameter once, in the definition's order,
 * and a fragment only where the definition asks for one. Throws `invalid_request` when a template's value is missing.
 *
 * @param endpoint the expanded authorization endpoint
 * @param standard the parameters under their standard names
 */
export function authorizationUrl(
  endpoint: string,
  standard: ReadonlyMap<string, string>,
  { method, values }: { method: Pick<AuthorizationCodeMethod, 'authorization' | 'scopes'>; values: Readonly<Record<string, string>> },
): string {
  const { omit, params, order, fragment } = method.authorization;
  const naming = { rename: { scope: method.scopes.param, ...method.authorization.rename }, omit, values };
  const free = Object.fromEntries([...standard].filter(([name]) => !binding.has(name)));
  const bound = Object.fromEntries([...standard].filter(([name]) => binding.has(name)));
  const merged = [...nameParameters(free, { ...naming, params }), ...nameParameters(bound, { ...naming, params: {} })];
  const rank = ([name]: [string, string]) => (order.includes(name) ? order.indexOf(name) : order.length);
  const url = withQuery(
    endpoint,
    merged.sort((a, b) => rank(a) - rank(b)),
  );
  return fragment === undefined ? url : `${url}#${encodeURI(fragment)}`;
}
