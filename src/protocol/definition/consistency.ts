import { isScope } from '../scopes.ts';
import type { Path } from './faults.ts';
import type { Input, Method } from './schema.ts';

type Found = [Path, string];
type Pointers = Readonly<Record<string, string | undefined>>;

const found = (wrong: boolean, path: Path, detail: string): Found[] => (wrong ? [[path, detail]] : []);

/** Callback parameters that are credentials or checks, never something to keep. */
const callbackOwn = new Set(['code', 'state', 'iss', 'error', 'oauth_token', 'oauth_verifier', 'access_token', 'refresh_token', 'id_token']);
/** Secret members of an answer that is not read by pointers (OAuth 1.0a), or that nobody may keep. */
const secretPointers = ['/access_token', '/refresh_token', '/id_token', '/client_secret', '/oauth_token', '/oauth_token_secret'];

/** Kept values are shown to callers and stored in the open: a token must not be among them, nor what holds one. */
function keptSecretFaults(keep: Readonly<Record<string, string>>, path: Path, tokens: Pointers): Found[] {
  const secrets = [...secretPointers, ...Object.values(tokens)].filter((pointer) => pointer !== undefined);
  return Object.entries(keep).flatMap(([name, pointer]) =>
    found(
      secrets.some((secret) => secret === pointer || secret.startsWith(`${pointer}/`) || pointer.startsWith(`${secret}/`)),
      [...path, name],
      'A token is not kept as an extra.',
    ),
  );
}

function zeroFaults(durations: readonly [Path, string | undefined][]): Found[] {
  return durations.flatMap(([path, duration]) => found(duration !== undefined && !/[1-9]/.test(duration), path, 'Must be longer than nothing.'));
}

function callbackFaults(callback: { keep: readonly string[]; denied: readonly string[] }, path: Path): Found[] {
  return [
    ...callback.keep.flatMap((name, index) => found(callbackOwn.has(name), [...path, 'keep', index], `${name} is never kept.`)),
    ...callback.keep.flatMap((name, index) => found(callback.keep.indexOf(name) !== index, [...path, 'keep', index], `${name} is kept twice.`)),
    // RFC 6749 section 4.1.2.1: the characters of an error code.
    ...callback.denied.flatMap((error, index) =>
      found(!/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/.test(error), [...path, 'denied', index], 'Is not an error code (RFC 6749 section 4.1.2.1).'),
    ),
  ];
}

function authorizationCodeFaults(method: Extract<Method, { grant: 'authorization_code' }>, path: Path): Found[] {
  const { callback } = method;
  const at = [...path, 'callback'];
  const signed = callback.signature?.param;
  return [
    ...callbackFaults(callback, at),
    ...found(callbackOwn.has(callback.code) && callback.code !== 'code', [...at, 'code'], `${callback.code} has another meaning in a callback.`),
    ...found(
      callback.keep.includes(callback.code) && callback.code !== 'code',
      [...at, 'keep', callback.keep.indexOf(callback.code)],
      'The code is never kept.',
    ),
    ...found(
      callback.response_mode === 'form_post' && callback.state === 'not_echoed',
      [...at, 'state'],
      'A form_post callback arrives without the flow cookie, so state must be echoed.',
    ),
    ...found(
      callback.scope !== undefined && (callbackOwn.has(callback.scope) || callback.scope === callback.code),
      [...at, 'scope'],
      `${callback.scope} has another meaning in a callback.`,
    ),
    ...Object.keys(callback.denied_by).flatMap((name) =>
      found(callbackOwn.has(name) || name === callback.code, [...at, 'denied_by', name], `${name} has another meaning in a callback; see denied.`),
    ),
    ...Object.entries(callback.inputs).flatMap(([name, { param }]) =>
      found(callbackOwn.has(param) || param === callback.code, [...at, 'inputs', name, 'param'], `${param} has another meaning in a callback.`),
    ),
    ...found(
      method.code_challenge_encoding !== 'base64url' && method.code_challenge_method !== 'S256',
      [...path, 'code_challenge_encoding'],
      'There is no hash to write: say code_challenge_method: S256, or leave this out.',
    ),
    ...method.authorization.order.flatMap((name, index) =>
      found(method.authorization.order.indexOf(name) !== index, [...path, 'authorization', 'order', index], `${name} is named twice.`),
    ),
    ...found(
      signed !== undefined && (callbackOwn.has(signed) || signed === callback.code),
      [...at, 'signature', 'param'],
      `${signed} cannot hold the signature.`,
    ),
  ];
}

/** Claims that the broker writes. */
const ownClaims = ['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti'];

function assertionFaults({ client_assertion, token_endpoint_auth_method, refresh }: Extract<Method, { token: unknown }>, path: Path): Found[] {
  if (client_assertion === undefined) return [];
  const isSent = [token_endpoint_auth_method, refresh.token_endpoint_auth_method].includes('private_key_jwt');
  return [
    ...found(!isSent, path, 'Nothing is signed: say token_endpoint_auth_method: private_key_jwt, or leave this out.'),
    ...Object.keys(client_assertion.claims).flatMap((name) =>
      found(ownClaims.includes(name), [...path, 'claims', name], `${name} is set by the broker; issuer and audience have fields of their own.`),
    ),
  ];
}

function bearerFaults({ assertion }: Extract<Method, { grant: 'jwt_bearer' }>, inputs: Readonly<Record<string, Input>>, path: Path): Found[] {
  const name = /^\{([^{}]*)\}$/.exec(assertion.key ?? '')?.[1] ?? '';
  const isKey = Object.hasOwn(inputs, name) && inputs[name]?.private_key === true;
  return [
    ...found(assertion.key !== undefined && !isKey, [...path, 'key'], 'Must be one input, as {name}, that says private_key: true.'),
    ...found(
      assertion.key === undefined && assertion.key_id !== undefined,
      [...path, 'key_id'],
      'Belongs to a key from an input: say key, or leave this out.',
    ),
    ...Object.keys(assertion.claims).flatMap((claim) =>
      found(
        ownClaims.includes(claim),
        [...path, 'claims', claim],
        `${claim} is set by the broker; issuer, subject and audience have fields of their own.`,
      ),
    ),
  ];
}

function tokenMethodFaults(method: Extract<Method, { token: unknown }>, path: Path): Found[] {
  const { refresh, response, revocation } = method;
  const bare = Object.keys(refresh.params).length === 0 && refresh.endpoint === undefined;
  return [
    ...found(refresh.how === 'exchange_current' && bare, [...path, 'refresh', 'how'], 'exchange_current needs refresh.params or refresh.endpoint.'),
    ...found(
      refresh.how === 'none' && refresh.keep_alive !== undefined,
      [...path, 'refresh', 'keep_alive'],
      'What is never refreshed is not kept alive.',
    ),
    ...found(
      revocation.params !== undefined && method.revocation_endpoint === undefined,
      [...path, 'revocation', 'params'],
      'There is no revocation_endpoint.',
    ),
    ...assertionFaults(method, [...path, 'client_assertion']),
    ...keptSecretFaults(response.keep, [...path, 'response', 'keep'], {
      access_token: response.access_token,
      refresh_token: response.refresh_token,
      refreshed_access_token: refresh.response.access_token,
      refreshed_refresh_token: refresh.response.refresh_token,
    }),
    ...found(
      response.prefix !== undefined && response.format !== 'json',
      [...path, 'response', 'prefix'],
      'Is cut off before JSON only: leave it out, or say format: json.',
    ),
    ...response.token_types.flatMap((type, index) =>
      found(type !== type.toLowerCase(), [...path, 'response', 'token_types', index], 'Must be in lower case.'),
    ),
    ...zeroFaults([
      [[...path, 'response', 'lifetime'], response.lifetime],
      [[...path, 'response', 'refresh_token_lifetime'], response.refresh_token_lifetime],
      [[...path, 'refresh', 'keep_alive'], refresh.keep_alive],
    ]),
  ];
}

function oauth1Faults(method: Extract<Method, { grant: 'oauth1' }>, path: Path): Found[] {
  const { callback, response } = method;
  const endpoints = ['request_token_endpoint', 'access_token_endpoint'] as const;
  return [
    ...callbackFaults(callback, [...path, 'callback']),
    ...found(
      callback.mode === 'oob' && callback.keep.length > 0,
      [...path, 'callback', 'keep'],
      'Out of band nothing comes back that could be kept.',
    ),
    // RFC 9110 section 5.6.4: what the signer can put into quotes.
    ...found(/[^\x20-\x7e]/.test(method.realm ?? ''), [...path, 'realm'], 'Must be printable ASCII: it stands in a header.'),
    // RFC 5849 section 3.4.4: the secrets travel in the open.
    ...endpoints.flatMap((name) =>
      found(method.signature_method === 'PLAINTEXT' && /^http:/i.test(method[name]), [...path, name], 'PLAINTEXT signatures need https.'),
    ),
    ...keptSecretFaults(response.keep, [...path, 'response', 'keep'], { api_key: response.api_key }),
    ...found(
      response.api_key !== undefined && method.revocation_endpoint !== undefined,
      [...path, 'revocation_endpoint'],
      'A key of response.api_key signs nothing: leave this out.',
    ),
    ...zeroFaults([[[...path, 'response', 'lifetime'], response.lifetime]]),
  ];
}

/** What in a method contradicts itself, as paths and sentences. */
export function consistencyFaults(method: Method, inputs: Readonly<Record<string, Input>>, path: Path): Found[] {
  const { default: asked = [], separator = ' ' } = 'scopes' in method ? method.scopes : {};
  const issuer = 'issuer' in method ? method.issuer : undefined;
  return [
    ...asked.flatMap((scope, index) => found(!isScope(scope), [...path, 'scopes', 'default', index], 'Holds control characters: leave them out.')),
    ...asked.flatMap((scope, index) =>
      found(scope.includes(separator), [...path, 'scopes', 'default', index], 'Holds the separator: list the scopes one by one.'),
    ),
    ...found(issuer !== undefined && /[?#]/.test(issuer), [...path, 'issuer'], 'An issuer has no query and no fragment (RFC 8414 section 2).'),
    ...(method.grant === 'authorization_code' ? authorizationCodeFaults(method, path) : []),
    ...(method.grant === 'jwt_bearer' ? bearerFaults(method, inputs, [...path, 'assertion']) : []),
    ...(method.grant === 'oauth1' ? oauth1Faults(method, path) : []),
    ...method.after.flatMap(({ keep }, index) => keptSecretFaults(keep, [...path, 'after', index, 'keep'], {})),
    ...('token' in method ? tokenMethodFaults(method, path) : []),
  ];
}
