import type { Fault } from '../errors.ts';
import { invalidDefinition, type Path, pointerOf } from './faults.ts';

export type Plain = null | boolean | number | string | Plain[] | PlainObject;
export type PlainObject = { [name: string]: Plain };

const maxDepth = 16;
const maxValues = 5_000;
const forbidden = new Set(['__proto__', 'constructor', 'prototype']);

export function isPlainObject(value: Plain | undefined): value is PlainObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * A copy made of plain objects, lists and scalars only, so that nothing behind it can surprise later code: no shared
 * parts, getters, class instances, or names that reach a prototype. Members that are undefined are left out.
 * At most 16 levels and 5000 values. Throws `invalid_definition`.
 */
export function copyPlain(value: unknown): Plain {
  const faults: Fault[] = [];
  let values = 0;

  const refuse = (path: Path, detail: string): null => {
    faults.push({ pointer: pointerOf(path), detail });
    return null;
  };
  const member = (name: string, inner: unknown, path: Path): [string, Plain][] => {
    if (inner === undefined) return [];
    if (forbidden.has(name)) refuse([...path, name], 'This name is not allowed. Choose another.');
    return forbidden.has(name) ? [] : [[name, copy(inner, [...path, name])]];
  };
  const copy = (inner: unknown, path: Path): Plain => {
    values += 1;
    if (values > maxValues) throw invalidDefinition([{ pointer: '', detail: `Holds too much: at most ${maxValues} values.` }]);
    if (path.length > maxDepth) throw invalidDefinition([{ pointer: pointerOf(path), detail: 'Is nested too deeply.' }]);
    if (inner === null || typeof inner === 'string' || typeof inner === 'boolean') return inner;
    if (typeof inner === 'number' && Number.isFinite(inner)) return inner;
    if (Array.isArray(inner)) return Array.from(inner, (entry: unknown, index) => copy(entry, [...path, index]));
    if (typeof inner !== 'object') return refuse(path, 'Is not a value that a definition can hold.');
    return Object.fromEntries(Object.entries(inner).flatMap(([name, entry]) => member(name, entry, path)));
  };

  const copied = copy(value, []);
  if (faults.length > 0) throw invalidDefinition(faults);
  return copied;
}
