import { isOpenHost } from './choices.ts';
import type { Path } from './faults.ts';
import { declaredInputs, inputDetail } from './inputs.ts';
import type { Definition, Input, Method } from './schema.ts';
import { methodPlaces } from './variables.ts';

/**
 * Inputs that the callback fills in (`callback.inputs`): the store, the account or the data centre that said yes. Anybody can write a callback, and
 * the client secret goes where the token endpoint is, so that such a value never decides more than one label under a domain that the definition
 * names, or picks from its list; and it never takes the place of a value that was given.
 */

type Parameters = { has(name: string): boolean; single(name: string): string | undefined };

/** The named inputs with the callback's values, or what is wrong with the callback. `given`: what somebody said beforehand, without defaults. */
export function fillFromCallback(
  definition: Pick<Definition, 'inputs'>,
  method: Method,
  { given, parameters, allowPrivateHosts }: { given: Readonly<Record<string, string>>; parameters: Parameters; allowPrivateHosts: boolean },
): { kind: 'filled'; values: Record<string, string> } | { kind: 'refused'; detail: string } {
  const values: Record<string, string> = {};
  const declared = declaredInputs(definition, method);
  for (const [name, { param, before, behind }] of Object.entries(filledInputs(method))) {
    const input = declared[name];
    if (input === undefined) continue;
    const said = Object.hasOwn(given, name) ? given[name] || undefined : undefined;
    const value = between(parameters.single(param), before, behind);
    const fits = value !== undefined && inputDetail(input, value, { allowPrivateHosts }) === undefined;
    if (fits && (said === undefined || said === value)) values[name] = value;
    else if (fits) return { kind: 'refused', detail: `The answer is of another ${name} than the one that was given.` };
    else if (parameters.has(param) ? said !== undefined || !input.optional : said === undefined && input.default === undefined && !input.optional)
      return { kind: 'refused', detail: `The answer does not say the ${name} as its definition expects.` };
  }
  return { kind: 'filled', values };
}

function between(text: string | undefined, before: string, behind: string): string | undefined {
  if (text === undefined || text.length <= before.length + behind.length || !text.startsWith(before) || !text.endsWith(behind)) return undefined;
  return text.slice(before.length, text.length - behind.length);
}

const filledInputs = (method: Method) => (method.grant === 'authorization_code' ? method.callback.inputs : {});

/** What is wrong with `callback.inputs` and with the inputs that `redirect_uri` names, as paths and sentences. */
export function callbackInputFaults(method: Method, inputs: Readonly<Record<string, Input>>, path: Path): [Path, string][] {
  if (method.grant !== 'authorization_code') return [];
  const at = [...path, 'callback', 'inputs'];
  const found = Object.keys(method.callback.inputs).flatMap((name): [Path, string][] => {
    const input = Object.hasOwn(inputs, name) ? inputs[name] : undefined;
    if (input === undefined) return [[[...at, name], `There is no input ${name}: declare it under inputs.`]];
    if (input.secret) return [[[...at, name], 'A secret does not come with a callback: take an input that is none.']];
    if (isOpenHost(input))
      return [[[...at, name], 'Anybody can write a callback, so it names no whole host: take one label of it, or list the hosts.']];
    return method.callback.state === 'not_echoed' ? [[[...at, name], 'Without state a callback proves too little for that.']] : [];
  });
  const early = methodPlaces(method, path).filter(({ path: where }) =>
    ['issuer', 'authorization_endpoint', 'authorization', 'redirect_uri'].includes(String(where[path.length])),
  );
  const late = Object.keys(method.callback.inputs).flatMap((name) =>
    [name, ...Object.keys(Object.values(inputs[name]?.choices ?? {})[0]?.sets ?? {})].map((set) => [set, name] as const),
  );
  const unfilled = early.flatMap(({ path: where, template }): [Path, string][] =>
    namesOf(template)
      .filter((name) => late.some(([each, by]) => each === name && inputs[by]?.default === undefined && inputs[by]?.optional === false))
      .map((name) => [where, `{${name}} is known only after the callback: give it a default, or take it out here.`]),
  );
  const alias = namesOf(method.redirect_uri ?? '')
    .filter((name) => Object.hasOwn(inputs, name) && inputs[name]?.asked_of !== 'integration')
    .map((name): [Path, string] => [[...path, 'redirect_uri'], `{${name}} must belong to the integration: say asked_of: integration.`]);
  return [...found, ...unfilled, ...alias];
}

const namesOf = (template: string): string[] => [...template.matchAll(/\{([^{}]*)\}/g)].map(([, name = '']) => name);
