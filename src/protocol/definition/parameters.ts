import { signsToken } from '../signers.ts';
import type { Path } from './faults.ts';
import type { Method } from './schema.ts';

type Found = [Path, string];
type Rewriting = { params: Readonly<Record<string, string>>; rename: Readonly<Record<string, string>>; omit: readonly string[] };

/** Filled by the broker on every request of a flow; a fixed value would break what they protect. */
const reserved = new Set([
  'state',
  'code_challenge',
  'code_challenge_method',
  'redirect_uri',
  'client_id',
  'response_type',
  'code',
  'client_secret',
  'code_verifier',
]);

/** Parameters whose fixed value would overwrite what the broker sends. */
function reservedFaults(
  params: Readonly<Record<string, string>>,
  path: Path,
  { more = [], free = {} }: { more?: readonly string[]; free?: Readonly<Record<string, readonly string[]>> } = {},
): Found[] {
  return Object.entries(params)
    .filter(([name]) => reserved.has(name) || more.includes(name) || name.startsWith('oauth_'))
    .flatMap(([name, value]): Found[] => {
      if (!Object.hasOwn(free, name)) return [[[...path, name], `${name} is set by the broker: leave it out.`]];
      const values = free[name] ?? [];
      return values.includes(value) ? [] : [[[...path, name], `${name} is set by the broker: here it may be ${values.join(' or ')}, or left out.`]];
    });
}

/** What the broker itself does not send there and some providers want, with the values that it may have. */
const freeAtToken = { state: ['{state}', '{nonce}'], response_type: ['code'] };
const freeAtRefresh = { state: ['{nonce}'], response_type: ['code', 'refresh_token'], redirect_uri: ['{redirect_uri}'] };

/** Contradictions between what is renamed, left out and added. `standard`: what the broker sends here by itself. */
function rewritingFaults({ params, rename, omit }: Rewriting, path: Path, standard: readonly string[]): Found[] {
  const sent = new Map<string, string>();
  const unknown = (name: string) => `There is no parameter ${name} in this request; there are ${standard.join(', ')}.`;
  const found: Found[] = omit.flatMap((name, index): Found[] => {
    if (!standard.includes(name)) return [[[...path, 'omit', index], unknown(name)]];
    return omit.indexOf(name) === index ? [] : [[[...path, 'omit', index], `${name} is left out twice.`]];
  });
  for (const name of standard.filter((each) => !omit.includes(each) && !Object.hasOwn(rename, each))) sent.set(name, name);
  for (const name of Object.keys(params)) {
    if (omit.includes(name)) found.push([[...path, 'params', name], `${name} is both added and left out.`]);
    sent.set(name, name);
  }
  for (const [from, to] of Object.entries(rename)) {
    if (!standard.includes(from)) found.push([[...path, 'rename', from], unknown(from)]);
    else if (omit.includes(from)) found.push([[...path, 'rename', from], `${from} is both renamed and left out.`]);
    else if (sent.has(to)) found.push([[...path, 'rename', from], `${to} is sent already.`]);
    sent.set(to, from);
  }
  return found;
}

const tokenParameters = [
  'grant_type',
  'code',
  'redirect_uri',
  'client_id',
  'client_secret',
  'code_verifier',
  'refresh_token',
  'client_assertion',
  'client_assertion_type',
];

/** RFC 7009 section 2.1, and what authenticates the client there. */
const revocationParameters = ['token', 'token_type_hint', 'client_id', 'client_secret', 'client_assertion', 'client_assertion_type'];

function secondExchangeFaults(
  { params, method, format }: NonNullable<Extract<Method, { grant: 'authorization_code' }>['second_exchange']>,
  path: Path,
): Found[] {
  return [
    ...reservedFaults(params, [...path, 'params']),
    ...(method === 'GET' && format !== 'query' ? [[[...path, 'format'], 'GET has no body: format must be query.'] satisfies Found] : []),
  ];
}

/** A request for a token has none to sign with, and its signature a place of its own. */
function signatureFaults({ token, refresh }: Extract<Method, { token: unknown }>, path: Path): Found[] {
  const { sign } = token;
  if (sign === undefined) return [];
  const sent = [
    sign.timestamp_param,
    ...Object.keys(token.params),
    ...Object.keys(refresh.params),
    ...tokenParameters,
    ...Object.values(token.rename),
  ];
  return [
    ...(signsToken(sign)
      ? [[[...path, 'signer'], 'Signs with the access token, which is not there yet: take a signer that does without.'] satisfies Found]
      : []),
    ...(sent.includes(sign.param)
      ? [[[...path, 'param'], `${sign.param} is sent already: the signature needs a parameter of its own.`] satisfies Found]
      : []),
  ];
}

function tokenFaults(method: Extract<Method, { token: unknown }>, path: Path): Found[] {
  const { token, refresh, revocation } = method;
  const standard = [...tokenParameters, ...(method.grant === 'jwt_bearer' ? ['assertion'] : []), 'scope', method.scopes.param];
  const bodyless = 'GET has no body: format must be query.';
  return [
    ...reservedFaults(token.params, [...path, 'token', 'params'], { more: ['refresh_token'], free: freeAtToken }),
    ...reservedFaults(refresh.params, [...path, 'refresh', 'params'], { free: freeAtRefresh }),
    ...('second_exchange' in method && method.second_exchange !== undefined
      ? secondExchangeFaults(method.second_exchange, [...path, 'second_exchange'])
      : []),
    ...(method.application_token === undefined
      ? []
      : rewritingFaults(
          { params: {}, rename: method.application_token.rename, omit: [] },
          [...path, 'application_token'],
          ['client_id', 'client_secret'],
        )),
    ...signatureFaults(method, [...path, 'token', 'sign']),
    ...Object.keys(revocation.params ?? {}).flatMap((name): Found[] =>
      name === 'client_secret' ? [[[...path, 'revocation', 'params', name], `${name} is set by the broker.`]] : [],
    ),
    ...rewritingFaults(
      { params: revocation.params ?? {}, rename: revocation.rename, omit: [] },
      [...path, 'revocation'],
      revocationParameters.filter((name) => !Object.hasOwn(revocation.params ?? {}, name)),
    ),
    // A parameter that carries the scope is added on purpose where the standard has none.
    ...rewritingFaults(
      token,
      [...path, 'token'],
      [...new Set(standard)].filter((name) => !Object.hasOwn(token.params, name) || token.omit.includes(name)),
    ),
    ...(token.method === 'GET' && token.format !== 'query' ? [[[...path, 'token', 'format'], bodyless] satisfies Found] : []),
    ...((refresh.method ?? token.method) === 'GET' && (refresh.format ?? token.format) !== 'query' && (refresh.method ?? refresh.format) !== undefined
      ? [[[...path, 'refresh', 'format'], bodyless] satisfies Found]
      : []),
    ...(revocation.method === 'GET' && !['query', 'none'].includes(revocation.format)
      ? [[[...path, 'revocation', 'format'], 'GET has no body: format must be query or none.'] satisfies Found]
      : []),
  ];
}

/** OAuth 1.0 before 1.0a has the callback in the authorization URL: ours may stand there, and nothing else. */
function withoutOwnCallback(
  grant: Method['grant'],
  { oauth_callback, ...others }: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return oauth_callback === undefined || (grant === 'oauth1' && oauth_callback === '{redirect_uri}') ? others : { ...others, oauth_callback };
}

function authorizationFaults(method: Extract<Method, { authorization: unknown }>, path: Path): Found[] {
  const { authorization, scopes, callback } = method;
  const at = [...path, 'authorization'];
  const own =
    method.grant === 'oauth1'
      ? ['oauth_token', 'oauth_callback']
      : ['response_type', 'client_id', 'redirect_uri', 'state', 'code_challenge', 'code_challenge_method'];
  const challenge = method.grant === 'authorization_code' && method.code_challenge_method !== 'none';
  return [
    ...reservedFaults(withoutOwnCallback(method.grant, authorization.params), [...at, 'params'], { more: [scopes.param] }),
    ...rewritingFaults(
      authorization,
      at,
      [...new Set([...own, 'scope', scopes.param])].filter((name) => !Object.hasOwn(authorization.params, name)),
    ),
    ...authorization.omit.flatMap((name, index): Found[] => {
      if (name === 'state' && callback.state === 'echoed')
        return [[[...at, 'omit', index], 'Without state the callback must say state: not_echoed.']];
      if (challenge && name.startsWith('code_challenge')) return [[[...at, 'omit', index], 'Say code_challenge_method: none instead.']];
      return [];
    }),
    ...(/[#\s{}]/.test(authorization.fragment ?? '') ? [[[...at, 'fragment'], 'Must not hold #, braces or spaces.'] satisfies Found] : []),
  ];
}

/** What is wrong with the parameters of a method's requests, as paths and sentences. */
export function parameterFaults(method: Method, path: Path): Found[] {
  return [
    ...('token' in method ? tokenFaults(method, path) : []),
    ...('authorization' in method ? authorizationFaults(method, path) : []),
    ...('request_token' in method ? reservedFaults(method.request_token.params, [...path, 'request_token', 'params']) : []),
  ];
}
