import type { DoorRequest } from './door.ts';
import { encodeForm } from './form.ts';
import { withQuery } from './query.ts';

export type ParameterRequest = {
  method: 'GET' | 'POST' | 'DELETE';
  /** The expanded endpoint; its own query is kept. */
  endpoint: string;
  /** Where the parameters go; with GET they go into the query whatever this says. */
  format: 'form' | 'json' | 'query';
  params: ReadonlyMap<string, string>;
  headers: Readonly<Record<string, string>>;
};

/** A request to a token or revocation endpoint (RFC 6749 section 3.2, RFC 7009 section 2.1), or to one that differs as its definition says. */
export function tokenRequest({ method, endpoint, format, params, headers }: ParameterRequest): DoorRequest {
  const own = { accept: 'application/json', ...lowerCaseNames(headers) };
  if (format === 'query' || method === 'GET') return { method, url: withQuery(endpoint, params), headers: own };
  if (format === 'json') {
    const body = JSON.stringify(Object.fromEntries(params));
    return { method, url: endpoint, headers: { 'content-type': 'application/json', ...own }, body };
  }
  return { method, url: endpoint, headers: { 'content-type': 'application/x-www-form-urlencoded', ...own }, body: encodeForm(params) };
}

function lowerCaseNames(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
