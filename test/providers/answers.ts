import { apiOf } from '../../src/protocol/definition/api.ts';
import { chosenValues } from '../../src/protocol/definition/choices.ts';
import type { Definition, Method } from '../../src/protocol/definition/schema.ts';
import { refreshHow } from '../../src/protocol/refreshable.ts';
import { expandText } from '../../src/protocol/template.ts';
import { sampleInputs } from './inputs.ts';

/** Answers in a provider's own shape, as its definition describes it. */

export type Written = { type: string; body: string };

export const tokens = {
  /** What `second_exchange` exchanges. */
  short: { access_token: 'short-1', refresh_token: 'rt-0' },
  exchange: { access_token: 'at-1', refresh_token: 'rt-1' },
  refresh: { access_token: 'at-2', refresh_token: 'rt-2' },
} as const;
export const account = 'account-1';

type Node = { [name: string]: unknown } | unknown[];

/** Puts a value where a JSON pointer (RFC 6901) leads; a number among its parts makes a list. */
function put(root: Node, pointer: string, value: unknown): void {
  if (pointer === 'none') return;
  const parts = pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  let at = root as Record<string, unknown>; // a list takes its index as a name as well
  for (const [index, part] of parts.entries()) {
    if (index === parts.length - 1) at[part] = value;
    else {
      const inner = at[part];
      if (typeof inner !== 'object' || inner === null) at[part] = /^\d+$/.test(parts[index + 1] ?? '') ? [] : {};
      at = at[part] as Record<string, unknown>; // made above
    }
  }
}

const lifeS = 3_600;

function endAs(unit: 's' | 'ms' | 'epoch_s' | 'epoch_ms' | 'iso', inS = lifeS): unknown {
  const end = Date.now() + inS * 1000;
  return { s: inS, ms: inS * 1000, epoch_s: Math.floor(end / 1000), epoch_ms: end, iso: new Date(end).toISOString() }[unit];
}

/** The scopes of the connection; where at least one has to be asked for and the definition has none of its own, some. */
export function scopesAsked(method: Method): readonly string[] {
  if (!('scopes' in method)) return [];
  return method.scopes.required && method.scopes.default.length === 0 ? ['a-scope'] : method.scopes.default;
}

/** A value as the provider would give for something that is kept: what stands for a host is one. */
const keptValue = (name: string, api: Pick<Definition['api'], 'base_url'>): string =>
  api.base_url?.startsWith(`https://{extras.${name}}`)
    ? 'kept.provider-sandbox.com'
    : /url|domain|host|base|point|server|instance/.test(name)
      ? 'https://kept.provider-sandbox.com'
      : `kept-${name}`;

export function tokenAnswer(definition: Definition, method: Method, step: 'exchange' | 'refresh'): Written {
  const isFirst = step === 'exchange' && 'second_exchange' in method && method.second_exchange !== undefined;
  return written(definition, method, isFirst ? 'short' : step);
}

/** The answer to the request of `second_exchange`. */
export const secondAnswer = (definition: Definition, method: Method): Written => written(definition, method, 'exchange');

/** The token of the application that each token request has to hold. */
export function applicationTokenAnswer(method: Method): Written {
  if (!('application_token' in method) || method.application_token === undefined) throw new Error('This method wants no token of the application.');
  const { access_token, success } = method.application_token.response;
  const document: Node = {};
  if (success !== undefined) put(document, success.pointer, success.equals);
  put(document, access_token, 'application-token');
  return { type: 'application/json', body: JSON.stringify(document) };
}

/** An ID token that holds what the definition reads; nobody has signed it. */
function idToken(definition: Definition, method: Method): string | undefined {
  if (method.grant !== 'authorization_code' || method.response.id_token === undefined) return undefined;
  const { keep, account: at } = method.response.id_token;
  const { integration, connection, callback } = sampleInputs(definition, method);
  const given = { ...integration, ...connection, ...callback };
  const values = { client_id: 'client', ...chosenValues({ ...definition.inputs, ...method.inputs }, given), ...given };
  const claims: Node = { aud: 'client', exp: Math.floor(Date.now() / 1000) + lifeS, sub: 'somebody' };
  if (method.issuer !== undefined) put(claims, '/iss', expandText(method.issuer, values));
  for (const [name, pointer] of Object.entries(keep)) put(claims, pointer, keptValue(name, apiOf(definition, method)));
  if (at !== undefined) put(claims, at, account);
  return [{ alg: 'RS256', kid: 'nobodys' }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
    .concat('.unsigned');
}

function written(definition: Definition, method: Method, step: keyof typeof tokens): Written {
  if (!('response' in method) || !('token' in method)) throw new Error('This method has no token endpoint.');
  const { response, refresh, scopes } = method;
  const own = step === 'refresh' ? Object.fromEntries(Object.entries(refresh.response).filter(([, pointer]) => pointer !== undefined)) : {};
  const at = { ...response, ...own };
  const how = refreshHow(method);
  const document: Node = {};
  if (response.success !== undefined) put(document, response.success.pointer, response.success.equals);
  for (const [name, pointer] of Object.entries(response.keep)) put(document, pointer, keptValue(name, apiOf(definition, method)));
  put(document, at.access_token, tokens[step].access_token);
  const identity = idToken(definition, method);
  if (identity !== undefined) put(document, '/id_token', identity);
  if (how === 'refresh_token') put(document, at.refresh_token, tokens[step].refresh_token);
  put(document, at.token_type, response.token_types[0]);
  const ends = response.lifetime === undefined && how !== 'none';
  if (ends) put(document, at.expires_in, endAs(response.expires_unit));
  if (at.refresh_token_expires_in !== undefined) put(document, at.refresh_token_expires_in, endAs(response.refresh_token_expires_unit, 86_400));
  put(document, at.scope, scopesAsked(method).join(response.scope_separator ?? scopes.separator));
  const whole: Node = {};
  if (response.within !== undefined) put(whole, response.within, document);
  if (response.format === 'json')
    return { type: 'application/json', body: (response.prefix ?? '') + JSON.stringify(response.within === undefined ? document : whole) };
  const members = Object.entries(document).map(([name, value]) => [name, String(value)]);
  return { type: 'application/x-www-form-urlencoded', body: new URLSearchParams(members).toString() };
}

export function requestTokenAnswer(
  step: 'request token' | 'access token',
  { definition, method, requestToken }: { definition: Definition; method: Method; requestToken: string },
): Written {
  const document: Node = {};
  if (step === 'access token' && method.grant === 'oauth1') {
    const { keep, expires_in, expires_unit } = method.response;
    for (const [name, pointer] of Object.entries(keep)) put(document, pointer, keptValue(name, apiOf(definition, method)));
    if (expires_in !== undefined) put(document, expires_in, endAs(expires_unit));
  }
  const [oauth_token, oauth_token_secret] =
    step === 'request token' ? [requestToken, 'request-secret'] : [tokens.exchange.access_token, 'token-secret'];
  const members = { ...document, oauth_token, oauth_token_secret, ...(step === 'request token' && { oauth_callback_confirmed: 'true' }) };
  const pairs = Object.entries(members).map(([name, value]) => [name, String(value)]);
  return { type: 'application/x-www-form-urlencoded', body: new URLSearchParams(pairs).toString() };
}

/** What the probe is answered with, and a call that is to `keep` something. */
export function accountAnswer(definition: Definition, method: Method, keep: Readonly<Record<string, string>> = {}): Written {
  const api = apiOf(definition, method);
  const pointers = [...Object.values(keep), ...(api.account === undefined ? [] : [api.account])];
  const document: Node = pointers.some((pointer) => /^\/\d/.test(pointer)) ? [] : {};
  for (const [name, pointer] of Object.entries(keep)) put(document, pointer, keptValue(name, apiOf(definition, method)));
  if (api.probe?.success !== undefined) put(document, api.probe.success.pointer, api.probe.success.equals ?? 'there');
  if (api.account !== undefined) put(document, api.account, account);
  return { type: 'application/json', body: JSON.stringify(document) };
}
