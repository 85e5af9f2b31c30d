import { type Fault, isGrantryError } from '../errors.ts';
import { templateNames } from '../template.ts';
import { consistencyFaults } from './consistency.ts';
import { declarationFaults } from './declarations.ts';
import { type Path, pointerOf } from './faults.ts';
import { declaredInputs } from './inputs.ts';
import { parameterFaults } from './parameters.ts';
import type { Definition, Input } from './schema.ts';
import { urlTemplateDetails } from './url-template.ts';
import { apiPlaces, methodPlaces, type Place } from './variables.ts';

type Options = { allowPrivateHosts: boolean };
type Inputs = Readonly<Record<string, Input>>;

const fault = (path: Path, detail: string): Fault => ({ pointer: pointerOf(path), detail });

function nameDetail(name: string, { place, inputs }: { place: Place; inputs: Inputs }): string | undefined {
  if (place.builtIns.includes(name)) return undefined;
  if (name.startsWith('extras.'))
    return place.kept.includes(name.slice('extras.'.length)) ? undefined : `{${name}} is not a value that is kept, or has none here.`;
  const input = Object.hasOwn(inputs, name) ? inputs[name] : undefined;
  if (input === undefined) return `{${name}} is not a declared input, or has no value here.`;
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
    .map((name) => fault([...path, name], `${name} is set by the broker.`));
}

function apiFaults({ api, methods }: Definition): Fault[] {
  const { base_url, token, headers, probe, account } = api;
  const header = token.in === 'header';
  const relative = probe?.path.startsWith('/') === true;
  return [
    ...(header && !/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(token.name) ? [fault(['api', 'token', 'name'], 'Is not a header name.')] : []),
    ...headerFaults(headers, ['api', 'headers'], header ? [token.name.toLowerCase()] : []),
    ...(relative && base_url === undefined ? [fault(['api', 'probe', 'path'], 'Needs api.base_url, or must be a whole URL.')] : []),
    ...(account !== undefined && probe === undefined ? [fault(['api', 'account'], 'Needs api.probe, whose answer it points into.')] : []),
    ...(probe?.methods ?? []).flatMap((name, index) =>
      Object.hasOwn(methods, name) ? [] : [fault(['api', 'probe', 'methods', index], `There is no method ${name}.`)],
    ),
  ];
}

/** The inputs that every method knows: those that `api`, which they share, may name. */
function sharedInputs({ inputs, methods }: Definition): Inputs {
  const all = Object.values(methods).map((method) => declaredInputs({ inputs }, method));
  const [first = {}, ...rest] = all;
  return Object.fromEntries(Object.entries(first).filter(([name]) => rest.every((other) => Object.hasOwn(other, name))));
}

/** Everything that the schema alone cannot say of a definition: all faults at once, none when it is sound. */
export function definitionFaults(definition: Definition, options: Options): Fault[] {
  const shared = sharedInputs(definition);
  return [
    ...declarationFaults(definition.inputs, ['inputs'], options),
    ...apiFaults(definition),
    ...apiPlaces(definition).flatMap((place) => placeFaults(place, shared, options)),
    ...Object.entries(definition.methods).flatMap(([name, method]) => {
      const path = ['methods', name];
      const inputs = declaredInputs(definition, method);
      return [
        // Names like 1 would be put first by JavaScript, and the first method is the default.
        ...(/^\d+$/.test(name) ? [fault(path, "A method's name must not be a number.")] : []),
        ...declarationFaults(method.inputs, [...path, 'inputs'], options),
        ...methodPlaces(method, path).flatMap((place) => placeFaults(place, inputs, options)),
        ...('token' in method ? headerFaults(method.token.headers, [...path, 'token', 'headers'], ['authorization', 'content-type']) : []),
        ...('revocation' in method
          ? headerFaults(method.revocation.headers, [...path, 'revocation', 'headers'], ['authorization', 'content-type'])
          : []),
        ...[...parameterFaults(method, path), ...consistencyFaults(method, path)].map(([at, detail]) => fault(at, detail)),
      ];
    }),
  ];
}
