import { createHmac } from 'node:crypto';
import { parseEncoded } from '../independent/rfc5849.ts';
import type { Callback } from './callbacks.ts';
import { clientSecret, type Flow } from './flows.ts';

/** Which callbacks may lead to an exchange: from docs/connect-flow.md and the RFCs, by hand. */

const longest = 8_192;
const most = 100;

/** The flow that the callback is for; undefined when none waits for it, so that nothing may be changed. */
function flowFor({ browser, arrivedAt }: Callback, all: (name: string) => string[], flows: readonly Flow[]): Flow | undefined {
  const states = all('state');
  if (states.length > 0) return states.length === 1 ? flows.find(({ state }) => state === states[0]) : undefined;
  const waiting = flows.filter((flow) => flow.variant.includes('stateless') && flow.browser === browser && flow.link.redirect_uri === arrivedAt);
  return waiting.length === 1 ? waiting[0] : undefined;
}

const isPrintable = (text: string) => [...text].every((c) => c >= ' ' && c <= '~');

/** A list of scopes that makes sense: nothing in it is longer than 300 letters, or holds what is no letter. */
function isScopeList(text: string): boolean {
  const scopes = text.split(' ');
  return scopes.length <= 1_000 && scopes.map((scope) => scope.trim()).every((scope) => scope.length <= 300 && !/[\0-\x1f\x7f-\x9f]/.test(scope));
}

/** What the callback says, read by hand. `flow` is undefined when none waits for it; `code`, when there is nothing to exchange. */
export function saidBy(callback: Callback, flows: readonly Flow[]): { flow: Flow | undefined; code: string | undefined } {
  const nothing = { flow: undefined, code: undefined };
  const pairs = parseEncoded(callback.query).map(([name, value]) => [name.toString(), value.toString()] as const);
  if (pairs.length > most) return nothing;
  const all = (name: string) => pairs.filter(([each]) => each === name).map(([, value]) => value);
  const one = (name: string) => {
    const [value, ...more] = all(name);
    return more.length === 0 && value !== undefined && value.length <= longest ? value : undefined;
  };
  const flow = flowFor(callback, all, flows);
  if (flow === undefined) return nothing;
  const refused = { flow, code: undefined };
  if (flow.browser !== callback.browser || flow.link.redirect_uri !== callback.arrivedAt) return refused;
  if (all('error').length > 0 || all('denied').length > 0) return refused;
  const isOAuth1 = flow.variant.startsWith('oauth1');
  if (isOAuth1) {
    const verifier = one('oauth_verifier')?.trim() ?? '';
    const isToken = verifier !== '' && isPrintable(verifier) && !verifier.includes(' ');
    return one('oauth_token') === flow.code && isToken ? { flow, code: flow.code } : refused;
  }
  const iss = all('iss');
  if (flow.issuer === undefined ? iss.length > 0 : iss.length !== 1 || iss[0] !== flow.issuer) return refused;
  if (flow.variant === 'signed' && !isSigned(pairs)) return refused;
  if (flow.variant === 'sharded' && (!['eu.acme.com', 'us.acme.com'].includes(one('home') ?? '') || one('reason') === 'deny')) return refused;
  if (flow.variant === 'renamed' && !isScopeList(one('granted') ?? '')) return refused;
  const code = one(flow.variant === 'renamed' ? 'auth_code' : 'code') ?? '';
  return code !== '' && isPrintable(code) ? { flow, code } : refused;
}

/** The other parameters, sorted, values of one name joined by a comma. */
function isSigned(pairs: readonly (readonly [string, string])[]): boolean {
  const names = [...new Set(pairs.map(([name]) => name))].filter((name) => name !== 'hmac');
  const lines = names.map((name) => `${name}=${pairs.flatMap(([each, value]) => (each === name ? [value] : [])).join(',')}`);
  const right = createHmac('sha256', clientSecret).update(lines.sort().join('&')).digest('hex');
  const given = pairs.filter(([name]) => name === 'hmac');
  return given.length === 1 && given[0]?.[1].toLowerCase() === right;
}
