import type { Fault } from '../errors.ts';
import { type Path, pointerOf } from './faults.ts';
import { baseDetail, inputDetail } from './inputs.ts';
import { patternFault } from './pattern.ts';
import type { Input } from './schema.ts';
import { builtInNames } from './variables.ts';

type Rules = { allowPrivateHosts: boolean /** Names of the inputs that an address goes on behind. */; bases: ReadonlySet<string> };

function inputFaults(name: string, input: Input, options: Rules): [Path, string][] {
  const { pattern, example, ...rest } = input;
  const broken = pattern === undefined ? undefined : patternFault(pattern);
  const checked: Input = pattern === undefined || broken !== undefined ? rest : { ...rest, pattern };
  const values: [Path, string | undefined][] = [
    [['example'], example],
    [['default'], input.default],
    ...(input.enum ?? []).map((value, index): [Path, string] => [['enum', index], value]),
    ...Object.keys(input.choices ?? {}).map((value): [Path, string] => [['choices', value], value]),
  ];
  return [
    ...(builtInNames.has(name) ? [[[], `${name} is a built-in name; choose another.`] satisfies [Path, string]] : []),
    ...(broken === undefined ? [] : [[['pattern'], broken] satisfies [Path, string]]),
    ...(input.host && input.url ? [[['url'], 'An input is a host or a URL, not both: leave one of them out.'] satisfies [Path, string]] : []),
    ...choiceFaults(name, input),
    ...(input.secret && input.default !== undefined ? [[['default'], 'A secret has no default: leave it out.'] satisfies [Path, string]] : []),
    ...keyFaults(input),
    ...values.flatMap(([field, value]): [Path, string][] => {
      const detail =
        value === undefined
          ? undefined
          : (inputDetail(checked, value, options) ?? (options.bases.has(name) ? baseDetail(checked, value) : undefined));
      return detail === undefined ? [] : [[field, detail]];
    }),
  ];
}

/** A private key is told by its form, and by nothing else. */
function keyFaults({ private_key, secret, host, url, pattern, example, ...listed }: Input): [Path, string][] {
  if (!private_key) return [];
  const others = { host: host || undefined, url: url || undefined, pattern, example, enum: listed.enum, choices: listed.choices };
  return [
    ...(secret ? [] : [[['secret'], 'A private key is a secret: say secret: true.'] satisfies [Path, string]]),
    ...Object.entries(others).flatMap(([field, value]): [Path, string][] =>
      value === undefined ? [] : [[[field], 'A private key is told by its form: leave this out.']],
    ),
  ];
}

function choiceFaults(name: string, { enum: values, choices, secret, optional, default: standard }: Input): [Path, string][] {
  if (choices === undefined) return [];
  const options = Object.entries(choices);
  const all = [...new Set(options.flatMap(([, { sets }]) => Object.keys(sets)))];
  return [
    ...(values === undefined ? [] : [[['enum'], 'Say choices or enum, not both.'] satisfies [Path, string]]),
    ...(secret ? [[['secret'], 'What is chosen from a list is no secret.'] satisfies [Path, string]] : []),
    ...(optional && standard === undefined
      ? [[['optional'], 'What choices bring along is always needed: give a default.'] satisfies [Path, string]]
      : []),
    ...(options.length === 0 ? [[['choices'], 'At least one choice is needed.'] satisfies [Path, string]] : []),
    ...options.flatMap(([value, { sets }]): [Path, string][] => {
      const at = ['choices', value, 'sets'];
      const missing = all.filter((each) => !Object.hasOwn(sets, each));
      const taken = Object.keys(sets).filter((each) => builtInNames.has(each) || each === name);
      return [
        ...(missing.length > 0 ? [[at, `Every choice sets the same values; here ${missing.join(', ')} is missing.`] satisfies [Path, string]] : []),
        ...taken.map((each): [Path, string] => [[...at, each], `${each} is taken; choose another name.`]),
      ];
    }),
  ];
}

/** Names that a choice sets and that are an input, or are set by another one. */
function takenFaults(inputs: Readonly<Record<string, Input>>): [Path, string][] {
  const setBy = new Map<string, string>();
  return Object.entries(inputs).flatMap(([name, { choices = {} }]) =>
    Object.entries(choices).flatMap(([value, { sets }]) =>
      Object.keys(sets).flatMap((each): [Path, string][] => {
        const other = setBy.get(each) ?? name;
        setBy.set(each, other);
        const detail =
          Object.hasOwn(inputs, each) && each !== name
            ? `${each} is an input already.`
            : other === name
              ? undefined
              : `${each} is set by ${other} already.`;
        return detail === undefined ? [] : [[[name, 'choices', value, 'sets', each], detail]];
      }),
    ),
  );
}

/** What is wrong with the inputs that a definition declares at `path`: names, patterns, and values that do not fit them. */
export function declarationFaults(inputs: Readonly<Record<string, Input>>, path: Path, options: Rules): Fault[] {
  const found = Object.entries(inputs).flatMap(([name, input]) =>
    inputFaults(name, input, options).map(([field, detail]): [Path, string] => [[name, ...field], detail]),
  );
  return [...found, ...takenFaults(inputs)].map(([at, detail]) => ({ pointer: pointerOf([...path, ...at]), detail }));
}
