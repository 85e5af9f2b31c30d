import type { Input, Method } from './schema.ts';

/**
 * Inputs whose values stand in the definition. Whoever wrote the definition has vouched for each of them, so that they may stand anywhere in an
 * address, and choose between hosts.
 */

type Inputs = Readonly<Record<string, Input>>;

/** The values to choose from, in their order; undefined when anything may be given. */
export const optionsOf = ({ enum: values, choices }: Pick<Input, 'enum' | 'choices'>): readonly string[] | undefined =>
  values ?? (choices === undefined ? undefined : Object.keys(choices));

/** Whether the input decides by itself which host is called: its value is one, and may be any. */
export const isOpenHost = (input: Input): boolean => (input.host || input.url) && optionsOf(input) === undefined;

/** The values that a choice brings along, by the names that templates use for them. */
export function chosenValues(inputs: Inputs, given: Readonly<Record<string, string>>): Record<string, string> {
  const chosen = Object.entries(inputs).map(([name, { choices }]) => {
    const value = Object.hasOwn(given, name) ? (given[name] ?? '') : '';
    return choices !== undefined && Object.hasOwn(choices, value) ? choices[value]?.sets : undefined;
  });
  return Object.assign({}, ...chosen);
}

/** All that templates of a method may name as an input: the provider's inputs and its own, which win, and what choices bring along. */
export function templateInputs(definition: { inputs: Inputs }, method: Pick<Method, 'inputs'>): Inputs {
  const declared = { ...definition.inputs, ...method.inputs };
  return { ...setInputs(declared), ...declared };
}

/** What choices bring along, each as an input with a closed list of values. */
export function setInputs(inputs: Inputs): Inputs {
  const all = Object.values(inputs).flatMap((input) => {
    const options = Object.values(input.choices ?? {});
    const names = new Set(options.flatMap(({ sets }) => Object.keys(sets)));
    return [...names].map((name): [string, Input] => {
      const values = [...new Set(options.map(({ sets }) => sets[name] ?? ''))];
      return [
        name,
        { label: name, enum: values, secret: false, private_key: false, optional: false, host: false, url: false, asked_of: input.asked_of },
      ];
    });
  });
  return Object.fromEntries(all);
}
