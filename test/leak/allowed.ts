import type { Kind } from './markers.ts';
import type { Recorded } from './recorder.ts';

/** The closed list of answers that may hold a secret: each to the one who asked for it, and the only ones. */

export type Allowance = { what: string; method: string; path: RegExp; status: number; kinds: readonly Kind[] };

export const allowances: readonly Allowance[] = [
  {
    what: 'the token',
    method: 'GET',
    path: /^\/v1\/connections\/con_\w+\/token$/,
    status: 200,
    kinds: ['access token', 'authorization header', 'oauth token', 'oauth token secret', 'end user secret'],
  },
  {
    what: 'a signed request',
    method: 'POST',
    path: /^\/v1\/connections\/con_\w+\/sign$/,
    status: 200,
    kinds: ['access token', 'authorization header', 'oauth token', 'end user secret'],
  },
  { what: 'a new API key', method: 'POST', path: /^\/v1\/api-keys$/, status: 201, kinds: ['api key'] },
  { what: 'a rotated API key', method: 'POST', path: /^\/v1\/api-keys\/key_\w+\/rotate$/, status: 201, kinds: ['api key'] },
  { what: 'a new webhook endpoint', method: 'POST', path: /^\/v1\/webhook-endpoints$/, status: 201, kinds: ['webhook secret'] },
  {
    what: 'a rotated webhook secret',
    method: 'POST',
    path: /^\/v1\/webhook-endpoints\/whe_\w+\/rotate-secret$/,
    status: 200,
    kinds: ['webhook secret'],
  },
  { what: 'a new link', method: 'POST', path: /^\/v1\/connect-links$/, status: 201, kinds: ['link token'] },
  { what: 'a new test', method: 'POST', path: /^\/v1\/integrations\/[\w-]+\/test$/, status: 201, kinds: ['link token'] },
  { what: 'the page of a link', method: 'GET', path: /^\/connect\/[\w-]{43}$/, status: 200, kinds: ['link token', 'flow cookie', 'form token'] },
  { what: 'the same with a fault', method: 'POST', path: /^\/connect\/[\w-]{43}$/, status: 400, kinds: ['link token', 'flow cookie', 'form token'] },
  {
    what: 'the way to the provider',
    method: 'POST',
    path: /^\/connect\/[\w-]{43}$/,
    status: 303,
    kinds: ['flow cookie', 'state', 'temporary token', 'link token'],
  },
  { what: 'the code that was typed in', method: 'POST', path: /^\/connect\/[\w-]{43}\/return$/, status: 303, kinds: ['flow cookie'] },
  {
    what: 'the two steps out of band',
    method: 'GET',
    path: /^\/connect\/[\w-]{43}\/return$/,
    status: 200,
    kinds: ['link token', 'form token', 'temporary token'],
  },
  { what: 'the question without a state', method: 'GET', path: /^\/connect\/result\/lnk_\w+$/, status: 200, kinds: ['form token'] },
  { what: 'the way to the website', method: 'GET', path: /^\/oauth\/callback\/[\w-]+$/, status: 303, kinds: ['nonce'] },
  { what: 'a posted answer, as a visit', method: 'POST', path: /^\/oauth\/callback(\/[\w-]+)?$/, status: 303, kinds: ['code', 'state', 'id token'] },
];

/** The entry that lets this answer hold a secret of this kind. */
export const allowanceFor = ({ method, path, status }: Recorded, kind: Kind): Allowance | undefined =>
  allowances.find((entry) => entry.method === method && entry.status === status && entry.path.test(path) && entry.kinds.includes(kind));
