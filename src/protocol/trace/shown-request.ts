import type { DoorRequest } from '../door.ts';
import type { Masks } from './masks.ts';

/** A request as a trace shows it. */
export type ShownRequest = { method: string; url: string; headers: Record<string, string>; body: string | null };

const longest = 8_000;

/** Parameters of the standards that hold nothing secret whatever their value. */
const publicNames = new Set(
  `client_assertion_type client_id code_challenge code_challenge_method grant_type oauth_callback oauth_consumer_key oauth_nonce
   oauth_signature_method oauth_timestamp oauth_version realm redirect_uri response_mode response_type scope token_type_hint`.split(/\s+/),
);
/** Parameters of the standards that are secret whatever their value. */
const secretNames = new Set(
  `access_token assertion client_assertion client_secret code code_verifier id_token oauth_signature oauth_token oauth_verifier password
   refresh_token state token`.split(/\s+/),
);
const publicHeaders = new Set(['accept', 'content-type']);
const schemes = new Set(['basic', 'bearer', 'oauth', 'token']);

function showValue(masks: Masks, name: string, value: string): string {
  if (secretNames.has(name)) return masks.hide(value, masks.secretIn(value) ?? name);
  if (name === 'oauth_callback' && /^https?:/.test(value)) return showUrl(masks, value);
  return publicNames.has(name) && masks.secretIn(value) === undefined ? value : masks.show(value);
}

const showName = (masks: Masks, name: string): string => (masks.secretIn(name) === undefined ? name : masks.hide(name));

const showPairs = (masks: Masks, pairs: Iterable<[string, string]>, between: string): string =>
  [...pairs].map(([name, value]) => `${showName(masks, name)}=${showValue(masks, name, value)}`).join(between);

/** An absolute URL with its parameters readable; segments of the path that hold a secret are masked. */
export function showUrl(masks: Masks, url: string): string {
  const { origin, pathname, searchParams, hash } = new URL(url);
  const host = masks.secretIn(origin) === undefined ? origin : masks.hide(origin);
  const path = pathname
    .split('/')
    .map((segment) => (masks.secretIn(segment) === undefined ? segment : masks.hide(segment)))
    .join('/');
  const query = showPairs(masks, searchParams, '&');
  return bounded(`${host}${path}${query === '' ? '' : `?${query}`}${hash === '' ? '' : masks.show(hash)}`);
}

/** The parameters of an OAuth 1.0a header (RFC 5849 section 3.5.1). */
const oauthParameters = (text: string): [string, string][] =>
  [...text.matchAll(/\b([A-Za-z_]+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, decoded(value)]);

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function showAuthorization(masks: Masks, value: string): string {
  const [, scheme = '', rest = ''] = /^([!-~]+) (.+)$/s.exec(value) ?? [];
  if (scheme === '' || !(schemes.has(scheme.toLowerCase()) || masks.isAllowed(scheme))) return masks.hide(value);
  if (scheme.toLowerCase() === 'oauth' && rest.includes('="')) return `${scheme} ${showPairs(masks, oauthParameters(rest), ', ')}`;
  return `${scheme} ${masks.hide(rest, scheme.toLowerCase() === 'basic' ? 'base64 of name and secret' : undefined)}`;
}

function showHeader(masks: Masks, name: string, value: string): string {
  if (name.toLowerCase() === 'authorization') return showAuthorization(masks, value);
  return publicHeaders.has(name.toLowerCase()) && masks.secretIn(value) === undefined ? value : masks.show(value);
}

function showJson(masks: Masks, value: unknown, name: string): unknown {
  if (typeof value === 'string') return showValue(masks, name, value);
  if (typeof value === 'number') return masks.isAllowed(String(value)) ? value : '<number>';
  if (Array.isArray(value)) return value.map((inner) => showJson(masks, inner, name));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [showName(masks, key), showJson(masks, inner, key)]));
}

function showBody(masks: Masks, body: string | undefined, type: string): string | null {
  if (body === undefined) return null;
  if (type.includes('x-www-form-urlencoded')) return bounded(showPairs(masks, new URLSearchParams(body), '&'));
  try {
    return bounded(JSON.stringify(showJson(masks, JSON.parse(body), '')));
  } catch {
    return masks.hide(body);
  }
}

const bounded = (text: string): string => (text.length <= longest ? text : `${text.slice(0, longest)}…`);

/** What was sent, secrets masked: readable, so not byte for byte. */
export function showRequest(
  masks: Masks,
  { method, url, headers = {}, body }: Pick<DoorRequest, 'url' | 'headers' | 'body'> & { method: string },
): ShownRequest {
  const type = Object.entries(headers).find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? '';
  return {
    method,
    url: showUrl(masks, url),
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, bounded(showHeader(masks, name, value))])),
    body: showBody(masks, body, type),
  };
}
