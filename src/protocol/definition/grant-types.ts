import type { Path } from './faults.ts';
import type { Method } from './schema.ts';

type Found = [Path, string];
type Texts = Readonly<Record<string, string>>;

/**
 * What a request may ask a provider for. RFC 9700 section 2.4 forbids the grant in which a client sends the end user's password, section 2.1.2 the implicit one: no definition can
 * bring the broker to use either. So `grant_type` and `response_type` have the values of the standards and those that a shipped definition needs.
 */
const atToken = new Set([
  'authorization_code',
  'client_credentials',
  'refresh_token',
  'urn:ietf:params:oauth:grant-type:jwt-bearer',
  'urn:ietf:params:oauth:grant-type:saml2-bearer',
  'urn:ietf:params:oauth:grant-type:token-exchange',
  'account_credentials',
  'app',
  'authorized_code',
  'client_credential',
  'fb_exchange_token',
  'ig_exchange_token',
  'ig_refresh_token',
  'th_exchange_token',
  'th_refresh_token',
]);
/** Where a token is given back. */
const atRevocation = new Set(['delete', 'revoke_token']);
const responseTypes: Readonly<Record<'authorization' | 'token', ReadonlySet<string>>> = {
  authorization: new Set(['code']),
  token: new Set(['code', 'refresh_token']),
};

/** RFC 6749 section 4.5: a grant of somebody's own is an absolute URI; those of the IETF are in the list. Some have made the password grant one as well. */
const isOwnGrant = (value: string): boolean => /^[a-z][a-z0-9+.-]*:[^{}\s]+$/i.test(value) && !/^urn:ietf:|passw/i.test(value);

/** However a provider spells it: `grantType`, `Grant-Type`. */
const plainly = (name: string): string => name.replace(/[^a-z]/gi, '').toLowerCase();
const names: Readonly<Record<string, string>> = { granttype: 'grant_type', responsetype: 'response_type' };
const kindOf = (name: string): string | undefined => (Object.hasOwn(names, plainly(name)) ? names[plainly(name)] : undefined);

const among = (values: ReadonlySet<string>): string => [...values].join(', ');

type Allowed = { grant_type: ReadonlySet<string>; response_type: ReadonlySet<string> };
const nothing: ReadonlySet<string> = new Set();
const authorization: Allowed = { grant_type: nothing, response_type: responseTypes.authorization };
const token: Allowed = { grant_type: atToken, response_type: responseTypes.token };
/** No call with a credential asks for a grant. */
const calling: Allowed = { grant_type: nothing, response_type: nothing };
const revocation: Allowed = { grant_type: atRevocation, response_type: nothing };

function valueFault([name, value]: readonly [string, string], at: Path, allowed: Allowed): Found[] {
  const kind = kindOf(name);
  if (kind === undefined) return [];
  const values = kind === 'grant_type' ? allowed.grant_type : allowed.response_type;
  if (values.has(value) || (values === atToken && isOwnGrant(value))) return [];
  return [
    [
      at,
      values.size === 0
        ? `${name} has no place here: leave it out.`
        : `${name} may be ${among(values)}${values === atToken ? ', or an absolute URI (RFC 6749 section 4.5)' : ''}; no other grant is used.`,
    ],
  ];
}

/** Fixed parameters, those that stand in the address itself, and other parameters that are given the name. */
function requestFaults(
  { endpoint, params = {}, rename = {} }: { endpoint?: string | undefined; params?: Texts | undefined; rename?: Texts },
  { path, field, allowed }: { path: Path; field: Path; allowed: Allowed },
): Found[] {
  const [, query = ''] = (endpoint ?? '').split(/\?(.*)/s);
  return [
    // A response_type that is spelt so is looked at with the other reserved parameters.
    ...Object.entries(params).flatMap((pair) => (pair[0] === 'response_type' ? [] : valueFault(pair, [...path, 'params', pair[0]], allowed))),
    ...[...new URLSearchParams(query)].flatMap((pair) => valueFault(pair, field, allowed)),
    ...Object.entries(rename).flatMap(([from, to]): Found[] => {
      const kind = kindOf(to);
      return kind === undefined || kind === kindOf(from) ? [] : [[[...path, 'rename', from], `Only ${kind} itself may be called ${to}.`]];
    }),
  ];
}

/** The same for a call of the API. */
export function callFaults({ form = {}, json, path }: { form?: Texts | undefined; json?: unknown; path: string }, at: Path): Found[] {
  const members = typeof json === 'object' && json !== null ? Object.entries(json) : [];
  return [
    ...Object.entries(form).flatMap((pair) => valueFault(pair, [...at, 'form', pair[0]], calling)),
    ...members.flatMap(([name, value]) => valueFault([name, String(value)], [...at, 'json', name], calling)),
    ...[...new URLSearchParams(path.split(/\?(.*)/s)[1] ?? '')].flatMap((pair) => valueFault(pair, [...at, 'path'], calling)),
  ];
}

/** What is wrong with the kinds of grant that a method's requests name, as paths and sentences. */
export function grantTypeFaults(method: Method, path: Path): Found[] {
  const found: Found[] = [];
  const look = (request: Parameters<typeof requestFaults>[0], part: string, field: Path, allowed: Allowed) =>
    found.push(...requestFaults(request, { path: [...path, part], field: [...path, ...field], allowed }));
  if ('scopes' in method && kindOf(method.scopes.param) !== undefined)
    found.push([[...path, 'scopes', 'param'], `Scopes must not be sent as ${method.scopes.param}.`]);
  if (method.grant === 'authorization_code')
    look({ ...method.authorization, endpoint: method.authorization_endpoint }, 'authorization', ['authorization_endpoint'], authorization);
  // Calls with a credential ask for no grant.
  const calls: [Path, { form?: Texts | undefined; json?: unknown; path: string } | undefined][] = [
    ...method.after.map((call, index): [Path, typeof call] => [[...path, 'after', index], call]),
    [[...path, 'api', 'probe'], method.api?.probe ?? undefined],
  ];
  for (const [at, call] of calls) if (call !== undefined) found.push(...callFaults(call, at));
  if (!('token' in method)) return found;
  look({ ...method.token, endpoint: method.token_endpoint }, 'token', ['token_endpoint'], token);
  look(method.refresh, 'refresh', ['refresh', 'endpoint'], token);
  look({ ...method.revocation, endpoint: method.revocation_endpoint }, 'revocation', ['revocation_endpoint'], revocation);
  if (method.application_token !== undefined) look(method.application_token, 'application_token', ['application_token', 'endpoint'], token);
  if ('second_exchange' in method && method.second_exchange !== undefined)
    look(method.second_exchange, 'second_exchange', ['second_exchange', 'endpoint'], token);
  return found;
}
