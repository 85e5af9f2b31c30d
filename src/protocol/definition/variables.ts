import type { Path } from './faults.ts';
import type { Api, Method } from './schema.ts';

/** Names that the broker fills itself; no input may be called so. */
export const builtInNames: ReadonlySet<string> = new Set([
  'client_id',
  'client_secret',
  'scope',
  'redirect_uri',
  'access_token',
  'refresh_token',
  'state',
  'nonce',
  'assertion',
  'application_token',
  'extras',
]);

/** A place of a definition where a template stands, and what may stand in it. */
export type Place = {
  path: Path;
  template: string;
  kind: 'url' | 'text';
  /** Built-in names that have a value here. */
  builtIns: readonly string[];
  /** Kept values that may be named here, as `extras.<name>`. */
  kept: readonly string[];
  /** The end user's browser shows it: no secrets. */
  shown: boolean;
  /** Kept values that may stand for scheme and host, at the very beginning. */
  leading: readonly string[];
  /** May name an optional input: without its value an address counts as left out, and so does a parameter that is empty then. */
  mayBeAbsent: boolean;
};

const request = ['client_id', 'scope', 'redirect_uri', 'nonce'];
const optional = { mayBeAbsent: true };
const held = ['access_token', 'refresh_token'];

type Traits = Partial<Pick<Place, 'builtIns' | 'kept' | 'shown' | 'leading' | 'mayBeAbsent'>>;

const place = (kind: Place['kind'], path: Path, template: string, traits: Traits): Place => {
  return { kind, path, template, builtIns: [], kept: [], shown: false, leading: [], mayBeAbsent: false, ...traits };
};
const url = (path: Path, template: string | undefined, traits: Traits = {}) => (template === undefined ? [] : [place('url', path, template, traits)]);
const text = (path: Path, template: string, traits: Traits = {}) => place('text', path, template, traits);
const each = (path: Path, templates: Readonly<Record<string, string>> | undefined, traits: Traits) =>
  Object.entries(templates ?? {}).map(([name, template]) => text([...path, name], template, traits));

const answered = (method: Method): string[] => (method.grant === 'authorization_code' && method.callback.state === 'echoed' ? ['state'] : []);
const fromCallback = (method: Method): string[] => ('callback' in method ? method.callback.keep : []);
/** What is read of the ID token. */
export const claimsOf = (method: Method) => ('response' in method && 'id_token' in method.response ? method.response.id_token : undefined);
const fromAnswer = (method: Method): string[] => [
  ...('response' in method ? Object.keys(method.response.keep) : []),
  ...Object.keys(claimsOf(method)?.keep ?? {}),
  ...method.after.flatMap(({ keep }) => Object.keys(keep)),
];
/** The names of all that is kept of callbacks and answers. */
export const keptNames = (method: Method): string[] => [...fromCallback(method), ...fromAnswer(method)];

function revocationPlaces(method: Extract<Method, { token: unknown }>, path: Path): Place[] {
  const traits = { ...optional, builtIns: [...held, 'client_id'], kept: keptNames(method) };
  return [
    ...url([...path, 'revocation_endpoint'], method.revocation_endpoint, traits),
    ...each([...path, 'revocation', 'params'], method.revocation.params, traits),
    ...each([...path, 'revocation', 'headers'], method.revocation.headers, { ...traits, builtIns: [...traits.builtIns, 'client_secret'] }),
  ];
}

function assertionPlaces(assertion: Extract<Method, { token: unknown }>['client_assertion'], path: Path): Place[] {
  if (assertion === undefined) return [];
  const { issuer, audience, claims } = assertion;
  return [
    text([...path, 'issuer'], issuer, { builtIns: ['client_id'] }),
    ...(audience === undefined ? [] : [text([...path, 'audience'], audience, { builtIns: ['client_id'] })]),
    ...each([...path, 'claims'], claims, { ...optional, builtIns: ['client_id', 'scope'] }),
  ];
}

/** The assertion that is the authorization: what it says, and who signs it. */
function bearerPlaces(
  { issuer, subject, audience, claims, key, key_id }: Extract<Method, { grant: 'jwt_bearer' }>['assertion'],
  path: Path,
): Place[] {
  const own = { ...optional, builtIns: ['client_id'] };
  const texts = { subject, audience, key, key_id };
  return [
    text([...path, 'issuer'], issuer, { builtIns: ['client_id'] }),
    ...Object.entries(texts).flatMap(([field, template]) => (template === undefined ? [] : [text([...path, field], template, own)])),
    ...each([...path, 'claims'], claims, { ...optional, builtIns: ['client_id', 'scope'] }),
  ];
}

function secondExchangePlaces(method: Extract<Method, { token: unknown }>, path: Path): Place[] {
  if (!('second_exchange' in method) || method.second_exchange === undefined) return [];
  const { endpoint, params } = method.second_exchange;
  return [
    ...url([...path, 'endpoint'], endpoint),
    ...each([...path, 'params'], params, { ...optional, builtIns: [...request, ...held], kept: keptNames(method) }),
  ];
}

function tokenPlaces(method: Extract<Method, { token: unknown }>, path: Path): Place[] {
  const made = [...('assertion' in method ? ['assertion'] : []), ...(method.application_token === undefined ? [] : ['application_token'])];
  const exchange = { ...optional, builtIns: [...request, ...made, ...answered(method)], kept: fromCallback(method) };
  const refresh = { ...optional, builtIns: [...request, ...made.filter((name) => name !== 'assertion'), ...held], kept: keptNames(method) };
  return [
    ...url([...path, 'token_endpoint'], method.token_endpoint),
    ...url([...path, 'refresh', 'endpoint'], method.refresh.endpoint),
    ...each([...path, 'token', 'params'], method.token.params, exchange),
    ...each([...path, 'token', 'headers'], method.token.headers, { ...exchange, builtIns: [...exchange.builtIns, 'client_secret'] }),
    ...assertionPlaces(method.client_assertion, [...path, 'client_assertion']),
    ...('assertion' in method ? bearerPlaces(method.assertion, [...path, 'assertion']) : []),
    ...url([...path, 'application_token', 'endpoint'], method.application_token?.endpoint),
    ...each([...path, 'refresh', 'params'], method.refresh.params, refresh),
    ...secondExchangePlaces(method, [...path, 'second_exchange']),
    ...revocationPlaces(method, path),
  ];
}

/** Anybody can write a callback: what was kept from one never chooses the host that is given the token. */
const leadingNames = (method: Method): string[] => fromAnswer(method).filter((name) => !fromCallback(method).includes(name));

/** Every template of a method, with its path below `/methods/<name>`. */
export function methodPlaces(method: Method, path: Path): Place[] {
  const traits = { kept: keptNames(method), leading: leadingNames(method) };
  return [...grantPlaces(method, path), ...method.after.flatMap((call, index) => callPlaces(call, [...path, 'after', index], traits))];
}

function grantPlaces(method: Method, path: Path): Place[] {
  const shown = { shown: true };
  const signed = { builtIns: ['client_id', 'scope'] };
  switch (method.grant) {
    case 'authorization_code':
      return [
        ...url([...path, 'issuer'], method.issuer, optional),
        ...url([...path, 'authorization_endpoint'], method.authorization_endpoint, { ...shown, builtIns: ['client_id'] }),
        ...(method.redirect_uri === undefined ? [] : [text([...path, 'redirect_uri'], method.redirect_uri, shown)]),
        ...url([...path, 'introspection_endpoint'], method.introspection_endpoint, optional),
        ...url([...path, 'userinfo_endpoint'], method.userinfo_endpoint, optional),
        ...each([...path, 'authorization', 'params'], method.authorization.params, { ...optional, ...shown, builtIns: request }),
        ...tokenPlaces(method, path),
      ];
    case 'client_credentials':
    case 'jwt_bearer':
      return [...url([...path, 'issuer'], method.issuer, optional), ...tokenPlaces(method, path)];
    case 'credential_exchange':
      return tokenPlaces(method, path);
    case 'oauth1':
      return [
        ...url([...path, 'request_token_endpoint'], method.request_token_endpoint),
        ...url([...path, 'authorization_endpoint'], method.authorization_endpoint, shown),
        ...url([...path, 'authentication_endpoint'], method.authentication_endpoint, shown),
        ...url([...path, 'access_token_endpoint'], method.access_token_endpoint),
        ...url([...path, 'revocation_endpoint'], method.revocation_endpoint, { ...optional, builtIns: ['access_token'] }),
        ...each([...path, 'request_token', 'params'], method.request_token.params, signed),
        ...each([...path, 'authorization', 'params'], method.authorization.params, { ...shown, builtIns: [...signed.builtIns, 'redirect_uri'] }),
        ...(method.realm === undefined ? [] : [text([...path, 'realm'], method.realm)]),
      ];
    case 'api_key':
      return [text([...path, 'value'], method.value)];
    case 'basic':
      return [text([...path, 'username'], method.username), text([...path, 'password'], method.password, optional)];
  }
}

/** The templates of an API that these methods share, with their paths below `at`. */
export function apiPlaces(api: Api, all: readonly Method[], at: Path): Place[] {
  const kept = all.flatMap(keptNames);
  // Anybody can write a callback: what was kept from one never chooses the host that is given the token.
  const written = new Set(all.flatMap(fromCallback));
  const leading = all.flatMap(fromAnswer).filter((name) => !written.has(name));
  const traits = { kept, leading };
  const call = { ...optional, kept, builtIns: ['client_id'] };
  return [
    ...url([...at, 'base_url'], api.base_url, { ...traits, ...optional }),
    ...each([...at, 'headers'], api.headers, call),
    ...each([...at, 'params'], api.params, call),
    ...(api.probe === undefined ? [] : callPlaces(api.probe, [...at, 'probe'], traits)),
  ];
}

type ApiCall = Pick<NonNullable<Api['probe']>, 'path' | 'headers' | 'json' | 'form'>;

/** The templates of one call of the API. */
function callPlaces({ path, headers, json, form }: ApiCall, at: Path, traits: Required<Pick<Traits, 'kept' | 'leading'>>): Place[] {
  const { kept } = traits;
  const body = { kept, builtIns: ['client_id', 'access_token'] };
  return [
    ...(path.startsWith('/') ? [text([...at, 'path'], path, { kept })] : url([...at, 'path'], path, traits)),
    ...each([...at, 'headers'], headers, { ...optional, kept, builtIns: ['client_id'] }),
    ...each([...at, 'form'], form, { ...optional, ...body }),
    ...filledTexts(json, [...at, 'json']).map(([where, template]) => text(where, template, body)),
  ];
}

/** The texts of a JSON body that are nothing but a variable, with their paths. */
function filledTexts(value: unknown, path: Path): [Path, string][] {
  if (typeof value === 'string') return isFilled(value) ? [[path, value]] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => filledTexts(inner, [...path, name]));
}

/** `{name}` and nothing else; a GraphQL query has more in its braces. */
export const isFilled = (text: string): boolean => /^\{[A-Za-z_][A-Za-z0-9_.]*\}$/.test(text);
