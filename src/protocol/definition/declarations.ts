import type { Fault } from '../errors.ts';
import { type Path, pointerOf } from './faults.ts';
import { inputDetail } from './inputs.ts';
import { patternFault } from './pattern.ts';
import type { Input } from './schema.ts';
import { builtInNames } from './variables.ts';

function inputFaults(name: string, input: Input, options: { allowPrivateHosts: boolean }): [Path, string][] {
  const { pattern, example, ...rest } = input;
  const broken = pattern === undefined ? undefined : patternFault(pattern);
  const checked: Input = pattern === undefined || broken !== undefined ? rest : { ...rest, pattern };
  const values: [Path, string | undefined][] = [
    [['example'], example],
    [['default'], input.default],
    ...(input.enum ?? []).map((value, index): [Path, string] => [['enum', index], value]),
  ];
  return [
    ...(builtInNames.has(name) ? [[[], `${name} is a built-in name; choose another.`] satisfies [Path, string]] : []),
    ...(broken === undefined ? [] : [[['pattern'], broken] satisfies [Path, string]]),
    ...(input.host && input.url ? [[['url'], 'An input is a host or a URL, not both.'] satisfies [Path, string]] : []),
    ...(input.secret && input.default !== undefined ? [[['default'], 'A secret has no default.'] satisfies [Path, string]] : []),
    ...values.flatMap(([field, value]): [Path, string][] => {
      const detail = value === undefined ? undefined : inputDetail(checked, value, options);
      return detail === undefined ? [] : [[field, detail]];
    }),
  ];
}

/** What is wrong with the inputs that a definition declares at `path`: names, patterns, and values that do not fit them. */
export function declarationFaults(inputs: Readonly<Record<string, Input>>, path: Path, options: { allowPrivateHosts: boolean }): Fault[] {
  return Object.entries(inputs).flatMap(([name, input]) =>
    inputFaults(name, input, options).map(([field, detail]) => ({ pointer: pointerOf([...path, name, ...field]), detail })),
  );
}
