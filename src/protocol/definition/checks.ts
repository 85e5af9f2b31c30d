import { type Fault, isGrantryError } from '../errors.ts';
import { templateNames } from '../template.ts';
import { apiOf } from './api.ts';
import { callbackInputFaults } from './callback-inputs.ts';
import { templateInputs } from './choices.ts';
import { consistencyFaults } from './consistency.ts';
import { declarationFaults } from './declarations.ts';
import { type Path, pointerOf } from './faults.ts';
import { grantTypeFaults } from './grant-types.ts';
import { idTokenFaults } from './id-token.ts';
import { bases } from './inputs.ts';
import { nearest } from './nearest.ts';
import { parameterFaults } from './parameters.ts';
import type { Api, Definition, Input, Method } from './schema.ts';
import { tokenCallFaults, tokenPlaceFaults } from './token-place.ts';
import { urlTemplateDetails } from './url-template.ts';
import { apiPlaces, methodPlaces, type Place } from './variables.ts';

type Options = { allowPrivateHosts: boolean };
type Inputs = Readonly<Record<string, Input>>;

const fault = (path: Path, detail: string): Fault => ({ pointer: pointerOf(path), detail });

/** What to write instead of a name that nobody declares. */
function declareHint(name: string, inputs: Inputs): string {
  const near = nearest(name, Object.keys(inputs));
  return near === undefined ? ' Declare it under inputs, or write the value itself.' : ` Did you mean {${near}}?`;
}

function nameDetail(name: string, { place, inputs }: { place: Place; inputs: Inputs }): string | undefined {
  if (place.builtIns.includes(name)) return undefined;
  if (name.startsWith('extras.'))
    return place.kept.includes(name.slice('extras.'.length)) ? undefined : `{${name}} is not a value that is kept, or has none here.`;
  const input = Object.hasOwn(inputs, name) ? inputs[name] : undefined;
  if (input === undefined) return `{${name}} is not a declared input, or has no value here.${declareHint(name, inputs)}`;
  if (place.shown && input.secret) return `{${name}} is secret, and the end user's browser would show it.`;
  const empty = input.optional && input.default === undefined;
  if (empty && !place.mayBeAbsent) return `{${name}} is optional and has no default, and here a value is needed.`;
  return undefined;
}

function placeFaults(place: Place, inputs: Inputs, { allowPrivateHosts }: Options): Fault[] {
  let names: string[];
  try {
    names = templateNames(place.template);
  } catch (error) {
    if (!isGrantryError(error)) throw error;
    return [fault(place.path, error.message)];
  }
  const details = [...new Set(names)].map((name) => nameDetail(name, { place, inputs })).filter((detail) => detail !== undefined);
  // An address is looked at as well, unless a name in it is unknown: that would be said twice.
  const known = names.every((name) => Object.hasOwn(inputs, name) || name.includes('.') || place.builtIns.includes(name));
  if (place.kind === 'url' && known) details.push(...urlTemplateDetails(place.template, { inputs, leading: place.leading, allowPrivateHosts }));
  return details.map((detail) => fault(place.path, detail));
}

/** Headers that the door and HTTP itself are in charge of. */
const transportHeaders = new Set(['host', 'content-length', 'transfer-encoding', 'connection', 'upgrade', 'te', 'trailer', 'cookie']);

function headerFaults(headers: Readonly<Record<string, string>>, path: Path, taken: readonly string[]): Fault[] {
  return Object.keys(headers)
    .filter((name) => transportHeaders.has(name.toLowerCase()) || taken.includes(name.toLowerCase()))
    .map((name) => fault([...path, name], `${name} is set by the broker: leave it out.`));
}

function apiFaults(api: Api, methods: Definition['methods'], path: Path): Fault[] {
  const { base_url, token, headers, probe, account, sign } = api;
  const header = token.in === 'header';
  const taken = header ? [token.name.toLowerCase()] : [];
  const relative = probe?.path.startsWith('/') === true;
  const bodies = [probe?.json, probe?.form].filter((body) => body !== undefined).length;
  return [
    ...(header && !/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(token.name) ? [fault([...path, 'token', 'name'], 'Is not a header name.')] : []),
    ...tokenPlaceFaults(api, path).map(([at, detail]) => fault(at, detail)),
    ...headerFaults(headers, [...path, 'headers'], taken),
    ...headerFaults(probe?.headers ?? {}, [...path, 'probe', 'headers'], [...taken, ...(bodies > 0 ? ['content-type'] : [])]),
    ...(bodies > 0 && probe?.method !== 'POST' ? [fault([...path, 'probe', 'method'], 'A probe with a body must be a POST.')] : []),
    ...(bodies > 1 ? [fault([...path, 'probe', 'form'], 'A probe has one body: json or form.')] : []),
    ...(probe?.success !== undefined && probe.method === 'HEAD'
      ? [fault([...path, 'probe', 'success'], 'The answer to HEAD has no body: method must be GET or POST.')]
      : []),
    ...(sign !== undefined && [token.in === 'query' ? token.name : undefined, sign.timestamp_param, ...Object.keys(api.params)].includes(sign.param)
      ? [fault([...path, 'sign', 'param'], `${sign.param} is sent already: the signature needs a parameter of its own.`)]
      : []),
    ...(relative && base_url === undefined ? [fault([...path, 'probe', 'path'], 'Needs api.base_url, or must be a whole URL.')] : []),
    ...(account !== undefined && probe === undefined ? [fault([...path, 'account'], 'Needs api.probe, whose answer it points into.')] : []),
    ...(probe?.methods ?? []).flatMap((name, index) =>
      Object.hasOwn(methods, name)
        ? []
        : [fault([...path, 'probe', 'methods', index], `There is no method ${name}; there are ${Object.keys(methods).join(', ')}.`)],
    ),
  ];
}

/** The inputs that all of these methods know: those that an `api` which they share may name. */
function sharedInputs(inputs: Inputs, methods: readonly Method[]): Inputs {
  const [first = templateInputs({ inputs }, { inputs: {} }), ...rest] = methods.map((method) => templateInputs({ inputs }, method));
  return Object.fromEntries(Object.entries(first).filter(([name]) => rest.every((other) => Object.hasOwn(other, name))));
}

/** Calls after the exchange: as the probe, they need an address, and a body needs POST. */
function afterFaults(definition: Definition, method: Method, path: Path): Fault[] {
  const { base_url } = apiOf(definition, method);
  return method.after.flatMap(({ method: verb, path: address, headers, json, form }, index) => {
    const at = [...path, 'after', index];
    const bodies = [json, form].filter((body) => body !== undefined).length;
    return [
      ...headerFaults(headers, [...at, 'headers'], bodies > 0 ? ['content-type'] : []),
      ...(bodies > 0 && verb !== 'POST' ? [fault([...at, 'method'], 'A call with a body must be a POST.')] : []),
      ...(bodies > 1 ? [fault([...at, 'form'], 'A call has one body: json or form.')] : []),
      ...(address.startsWith('/') && base_url === undefined ? [fault([...at, 'path'], 'Needs api.base_url, or must be a whole URL.')] : []),
    ];
  });
}

/** The `api` of the definition, for the methods that have none of their own, and those of the others. */
function allApiFaults(definition: Definition, options: Options): Fault[] {
  const { api, inputs, methods } = definition;
  const sharing = Object.values(methods).filter((method) => method.api === undefined);
  const shared = sharedInputs(inputs, sharing);
  const common =
    sharing.length === 0
      ? []
      : [...apiFaults(api, methods, ['api']), ...apiPlaces(api, sharing, ['api']).flatMap((place) => placeFaults(place, shared, options))];
  const own = Object.entries(methods).flatMap(([name, method]) => {
    if (method.api === undefined) return [];
    const merged = apiOf(definition, method);
    const path = ['methods', name, 'api'];
    return [
      ...apiFaults(merged, methods, path),
      ...apiPlaces(merged, [method], path).flatMap((place) => placeFaults(place, templateInputs(definition, method), options)),
    ];
  });
  return [...common, ...own];
}

/** Authorization, where the client authentication is written there. */
function basicHeader(method: Extract<Method, { token: unknown }>): string[] {
  const used = [method.token_endpoint_auth_method, method.refresh.token_endpoint_auth_method];
  return used.some((each) => each?.includes('basic')) ? ['authorization'] : [];
}

/** Everything that the schema alone cannot say of a definition: all faults at once, none when it is sound. */
export function definitionFaults(definition: Definition, options: Options): Fault[] {
  return [
    ...declarationFaults(definition.inputs, ['inputs'], { ...options, bases: bases(definition, Object.values(definition.methods)) }),
    ...allApiFaults(definition, options),
    ...Object.entries(definition.methods).flatMap(([name, method]) => {
      const path = ['methods', name];
      const inputs = templateInputs(definition, method);
      return [
        // Names like 1 would be put first by JavaScript, and the first method is the default.
        ...(/^\d+$/.test(name) ? [fault(path, "A method's name must not be a number.")] : []),
        ...declarationFaults(method.inputs, [...path, 'inputs'], { ...options, bases: bases(definition, [method]) }),
        ...afterFaults(definition, method, path),
        ...methodPlaces(method, path).flatMap((place) => placeFaults(place, inputs, options)),
        ...('token' in method ? headerFaults(method.token.headers, [...path, 'token', 'headers'], ['content-type', ...basicHeader(method)]) : []),
        ...('token' in method
          ? headerFaults(
              method.revocation.headers,
              [...path, 'revocation', 'headers'],
              ['content-type', ...(method.revocation.authentication === 'none' ? [] : ['authorization'])],
            )
          : []),
        ...[
          ...parameterFaults(method, path),
          ...grantTypeFaults(method, path),
          ...consistencyFaults(method, inputs, path),
          ...callbackInputFaults(method, inputs, path),
          ...tokenCallFaults(definition, method, path),
          ...idTokenFaults(definition, method, path),
        ].map(([at, detail]) => fault(at, detail)),
      ];
    }),
  ];
}
