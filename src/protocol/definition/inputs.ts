import { isPublicHost, parseOutsideUrl } from '../address.ts';
import { type Fault, isGrantryError } from '../errors.ts';
import { algorithmOf, readPrivateKey } from '../private-key.ts';
import { templateNames } from '../template.ts';
import { apiOf } from './api.ts';
import { isOpenHost, optionsOf, templateInputs } from './choices.ts';
import { type Path, pointerOf } from './faults.ts';
import { matchesPattern } from './pattern.ts';
import type { Definition, Input, Method } from './schema.ts';
import { apiPlaces, methodPlaces } from './variables.ts';

type Inputs = Readonly<Record<string, Input>>;

export type CompletedInputs = {
  /** The accepted values, defaults included, by input name. */
  values: Record<string, string>;
  /** What has still to be asked: inputs that are neither optional, given, nor filled by a default or the callback. */
  missing: { name: string; input: Input }[];
  /** What is wrong with what was given; pointers begin with /inputs. */
  faults: Fault[];
};

const hostName = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*(?::\d{1,5})?$/;

/** The inputs of a method: the provider's and its own, which win. */
export function declaredInputs(definition: Pick<Definition, 'inputs'>, method: Pick<Method, 'inputs'>): Inputs {
  return { ...definition.inputs, ...method.inputs };
}

function urlDetail(value: string, allowPrivateHosts: boolean): string | undefined {
  try {
    parseOutsideUrl(value, { allowPrivateHosts });
    return undefined;
  } catch (error) {
    if (isGrantryError(error)) return error.message;
    throw error;
  }
}

/** Why a value does not fit its input, as a sentence; undefined when it fits. Lengths: 256 characters, 2000 for secrets and URLs, 8000 for private keys. */
export function inputDetail(input: Input, value: string, { allowPrivateHosts }: { allowPrivateHosts: boolean }): string | undefined {
  const longest = input.private_key ? 8_000 : input.secret || input.url ? 2_000 : 256;
  if (value.length > longest) return `Must have at most ${longest} characters.`;
  if (input.private_key) {
    const detail = 'Must be a private key in PEM form, from -----BEGIN PRIVATE KEY----- to its END, without a passphrase.';
    const key = readPrivateKey(value);
    return key === undefined || algorithmOf(key) === undefined ? detail : undefined;
  }
  if (/[\p{Cc}\p{Cs}\u2028\u2029]/u.test(value)) return 'Must not hold control characters.';
  const options = optionsOf(input);
  if (options !== undefined && !options.includes(value)) return `Must be one of ${options.join(', ')}.`;
  if (input.host && !isPublicHost(value) && !(allowPrivateHosts && hostName.test(value))) return 'Must be a full public host name in lower case.';
  if (input.pattern !== undefined && !matchesPattern(input.pattern, value)) {
    return input.example === undefined ? 'Does not have the expected form.' : `Does not have the expected form, as in ${input.example}.`;
  }
  return input.url ? urlDetail(value, allowPrivateHosts) : undefined;
}

/** Names of the inputs that an address goes on behind, as in {server}/token. */
export function bases({ api }: Pick<Definition, 'api'>, methods: readonly Method[]): ReadonlySet<string> {
  const places = [
    ...methods.flatMap((method) => [...methodPlaces(method, []), ...apiPlaces(apiOf({ api }, method), [method], [])]),
    ...apiPlaces(api, methods, []),
  ];
  // What is called of an API is written behind its base.
  const rest = (path: Path) => (path.at(-1) === 'base_url' ? '/' : '');
  return new Set(places.flatMap(({ kind, template, path }) => (kind === 'url' ? (/^\{([^{}]+)\}./.exec(template + rest(path))?.[1] ?? []) : [])));
}

/** Why a value of a URL cannot be gone on behind; undefined when it can. */
export const baseDetail = (input: Input, value: string): string | undefined =>
  input.url && value.includes('?') ? 'Must not hold a query: addresses go on behind it.' : undefined;

/**
 * Completes what was given with defaults and checks it. An empty value counts as not given. Values of inputs that
 * are neither given nor defaulted are absent from `values`.
 */
export function completeInputs(
  definition: Pick<Definition, 'inputs' | 'api'>,
  method: Method,
  given: Readonly<Record<string, string>>,
  { allowPrivateHosts }: { allowPrivateHosts: boolean } = { allowPrivateHosts: false },
): CompletedInputs {
  const declared = declaredInputs(definition, method);
  const fault = (name: string, detail: string): Fault => ({ pointer: pointerOf(['inputs', name]), detail });
  const faults = Object.keys(given).flatMap((name) => (Object.hasOwn(declared, name) ? [] : [fault(name, 'There is no input of this name.')]));
  const missing: CompletedInputs['missing'] = [];
  const stoodOn = bases(definition, [method]);
  const filled = 'callback' in method && 'inputs' in method.callback ? method.callback.inputs : {};
  const values = Object.entries(declared).flatMap(([name, input]): [string, string][] => {
    const value = (Object.hasOwn(given, name) ? given[name] : undefined) || input.default;
    if (value === undefined && !input.optional && !Object.hasOwn(filled, name)) missing.push({ name, input });
    if (value === undefined) return [];
    const detail = inputDetail(input, value, { allowPrivateHosts }) ?? (stoodOn.has(name) ? baseDetail(input, value) : undefined);
    if (detail !== undefined) faults.push(fault(name, detail));
    return detail === undefined ? [[name, value]] : [];
  });
  return { values: Object.fromEntries(values), missing, faults };
}

/**
 * True when whoever fills in the inputs decides which host is called: an endpoint of the method, or the API, stands on
 * an input with `host: true` or `url: true` that is not chosen from a list. Such a method always gets a callback of its own.
 */
export function hasOpenHost(definition: Definition, method: Method): boolean {
  const inputs = templateInputs(definition, method);
  const places = [...methodPlaces(method, []), ...apiPlaces(apiOf(definition, method), [method], [])].filter(({ kind }) => kind === 'url');
  return places.some(({ template }) =>
    templateNames(template).some((name) => {
      const input = Object.hasOwn(inputs, name) ? inputs[name] : undefined;
      return input !== undefined && isOpenHost(input);
    }),
  );
}
