import { templateNames } from '../template.ts';
import { isOpenHost, optionsOf } from './choices.ts';
import type { Definition, Input, Method } from './schema.ts';
import { methodPlaces } from './variables.ts';

type Inputs = Record<string, Input>;

/**
 * Who may say what, whatever else the definition says of an input.
 *
 * Whoever chooses the host of an endpoint is sent the client secret, and other people's codes: so an input with `host: true` or `url: true` that
 * stands in an endpoint belongs to the integration. A list of hosts to choose from was written by whoever wrote the definition, and anybody may
 * choose.
 *
 * Where our registration is the only proof (client_credentials, jwt_bearer with the key of the integration), what the request says besides
 * chooses whose data the token opens: the tenant, the account, the user. An end user who typed another customer's would have it, so the caller says
 * it, who knows her.
 */
export function withOwners(definition: Definition): Definition {
  const hosts = new Set(Object.values(definition.methods).flatMap((method) => [...hostsOf(method)]));
  const inputs = owned(definition.inputs, hosts);
  const methods = Object.entries(definition.methods).map(([id, method]): [string, Method] => {
    const own = owned(method.inputs, hostsOf(method));
    return [id, { ...method, inputs: { ...own, ...spoken(method, { ...inputs, ...own }) } }];
  });
  return { ...definition, inputs, methods: Object.fromEntries(methods) };
}

/** The names of the inputs that stand in the method's addresses. */
function hostsOf(method: Method): Set<string> {
  const addresses = methodPlaces(method, []).filter(({ kind }) => kind === 'url');
  return new Set(addresses.flatMap(({ template }) => templateNames(template)));
}

function owned(inputs: Inputs, hosts: ReadonlySet<string>): Inputs {
  const entries = Object.entries(inputs).map(([name, input]): [string, Input] => {
    const choosesHost = isOpenHost(input) && hosts.has(name);
    return [name, choosesHost ? { ...input, asked_of: 'integration' } : input];
  });
  return Object.fromEntries(entries);
}

/** Parts of a method that make its token requests. */
const requestParts: ReadonlySet<unknown> = new Set([
  'issuer',
  'token_endpoint',
  'token',
  'assertion',
  'client_assertion',
  'application_token',
  'refresh',
]);

/** Methods without a page of the provider's, whose request holds a proof of ours. */
const isOurs = (method: Method): boolean =>
  method.grant === 'client_credentials' ||
  method.grant === 'jwt_bearer' ||
  (method.grant === 'credential_exchange' && method.token_endpoint_auth_method !== 'none');

/** The inputs that say in whose name our registration speaks, asked of the caller; none where the end user proves herself with a secret. */
function spoken(method: Method, inputs: Inputs): Inputs {
  if (!isOurs(method)) return {};
  const places = methodPlaces(method, []).filter(({ path }) => requestParts.has(path[0]));
  const named = new Set(places.flatMap(({ template }) => templateNames(template)));
  const said = Object.entries(inputs).filter(([name]) => named.has(name));
  // One that may be left out is asked for by no page.
  if (said.some(([, { secret, optional, asked_of }]) => secret && !optional && asked_of !== 'integration')) return {};
  const free = said.filter(([, input]) => input.asked_of === 'end_user' && optionsOf(input) === undefined);
  return Object.fromEntries(free.map(([name, input]) => [name, { ...input, asked_of: 'caller' as const }]));
}
