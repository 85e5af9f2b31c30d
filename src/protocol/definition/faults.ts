import type { z } from 'zod';
import { type Fault, GrantryError } from '../errors.ts';
import { fieldsAt, homeOf } from './known-fields.ts';
import { nearest } from './nearest.ts';

export type Path = readonly PropertyKey[];

/** A name that is longer than any of ours would be said again at the length at which it came. */
const mostOfName = 200;
const shortened = (name: string) => (name.length > mostOfName ? `${name.slice(0, mostOfName)}...` : name);

/** The RFC 6901 pointer of a path. */
export function pointerOf(path: Path): string {
  return path.map((part) => `/${shortened(String(part)).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** The error that carries all faults of a definition; the same fault is told once. */
export function invalidDefinition(faults: readonly Fault[]): GrantryError {
  const once = new Map(faults.map((fault) => [`${fault.pointer} ${fault.detail}`, fault]));
  return new GrantryError('invalid_definition', { errors: [...once.values()] });
}

const kinds: Record<string, string> = {
  string: 'a text (in YAML, put it in quotes)',
  boolean: 'true or false',
  array: 'a list, as in [one, two]',
  object: 'a mapping of fields',
  record: 'a mapping of names to values',
};

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, part) => {
    if (typeof inner !== 'object' || inner === null) return undefined;
    return Object.getOwnPropertyDescriptor(inner, part)?.value;
  }, value);
}

const oneOf = (values: readonly unknown[]) => `Must be ${values.length > 1 ? 'one of ' : ''}${values.map(String).join(', ')}.`;

function sizeDetail(issue: z.core.$ZodIssueTooBig | z.core.$ZodIssueTooSmall): string {
  const unit = issue.origin === 'array' ? 'entries' : 'characters';
  return issue.code === 'too_big' ? `Holds too much: at most ${issue.maximum} ${unit}.` : 'Must not be empty.';
}

/** A hint at the value that was probably meant. */
function meant(given: unknown, values: readonly unknown[]): string {
  const near = typeof given === 'string' ? nearest(given, values.map(String)) : undefined;
  return near === undefined ? '' : ` Did you mean ${near}?`;
}

function unknownField(key: string, path: Path, value: unknown): string {
  const fields = fieldsAt(path, value);
  const near = nearest(key, fields);
  const home = homeOf(key);
  const hint =
    near !== undefined
      ? `Did you mean ${near}?`
      : home !== undefined
        ? `It belongs below ${home === '' ? 'the definition itself' : home}.`
        : `There are ${fields.join(', ')}.`;
  return `There is no field of this name here. ${hint}`;
}

function typeDetail(expected: string, path: Path, value: unknown): string {
  const fields = expected === 'object' ? fieldsAt(path, value) : [];
  return `Must be ${kinds[expected] ?? expected}${fields.length > 0 ? `: ${fields.join(', ')}` : ''}.`;
}

function detailOf(issue: z.core.$ZodIssue, value: unknown): string {
  const given = at(value, issue.path);
  const missing = given === undefined;
  switch (issue.code) {
    case 'invalid_type':
      return missing ? 'Is required.' : typeDetail(issue.expected, issue.path, value);
    case 'invalid_value':
      return missing ? `Is required. ${oneOf(issue.values)}` : oneOf(issue.values) + meant(given, issue.values);
    case 'invalid_union':
      if (!('options' in issue) || !Array.isArray(issue.options)) return 'Must be a text, a number, or true or false.';
      return `${missing ? 'Is required. ' : ''}${oneOf(issue.options)}${meant(given, issue.options)}`;
    case 'invalid_key':
      return `This name must be: ${issue.issues.map((inner) => inner.message).join('; ')}.`;
    case 'invalid_format':
    case 'custom':
      return `Must be: ${issue.message}.`;
    case 'too_big':
    case 'too_small':
      return sizeDetail(issue);
    default:
      return `${issue.message}.`;
  }
}

/** What the schema found, each as a pointer and a sentence. `value` is what was parsed. */
export function faultsOf(issues: readonly z.core.$ZodIssue[], value: unknown): Fault[] {
  return issues.flatMap((issue) => {
    if (issue.code !== 'unrecognized_keys') return [{ pointer: pointerOf(issue.path), detail: detailOf(issue, value) }];
    return issue.keys.map((key) => ({ pointer: pointerOf([...issue.path, key]), detail: unknownField(key, issue.path, value) }));
  });
}
