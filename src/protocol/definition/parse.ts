import type { Fault } from '../errors.ts';
import { definitionFaults } from './checks.ts';
import { readDocument } from './document.ts';
import { type Base, extendDefinition } from './extend.ts';
import { faultsOf, invalidDefinition } from './faults.ts';
import { withOwners } from './owners.ts';
import { copyPlain, isPlainObject, type Plain } from './plain.ts';
import { type Definition, definitionSchema } from './schema.ts';

export type ParseOptions = {
  /** True lets addresses be plain http and private (sandbox and tests). */
  allowPrivateHosts: boolean;
  /** Finds the definition that `extends` names. */
  base?: Base;
};

/**
 * The same value without what the schema refused, where leaving it out cannot cause other faults: unknown fields, and
 * methods with a fault inside while others remain. So that the checks behind the schema can speak at the same time.
 */
function withoutRefused(value: Plain, issues: readonly { code: string; path: PropertyKey[]; keys?: string[] }[]): Plain {
  const unknown = issues.flatMap(({ code, path, keys }) => (code === 'unrecognized_keys' ? (keys ?? []).map((key) => [...path, key]) : []));
  const methods = issues.flatMap(({ code, path }) =>
    code !== 'unrecognized_keys' && path[0] === 'methods' && path.length > 1 ? [path.slice(0, 2)] : [],
  );
  const drop = new Set([...unknown, ...methods].map((path) => JSON.stringify(path.map(String))));
  const copy = (inner: Plain, path: readonly string[]): Plain => {
    if (Array.isArray(inner)) return inner.map((entry, index) => copy(entry, [...path, String(index)]));
    if (!isPlainObject(inner)) return inner;
    return Object.fromEntries(
      Object.entries(inner).flatMap(([name, entry]) => (drop.has(JSON.stringify([...path, name])) ? [] : [[name, copy(entry, [...path, name])]])),
    );
  };
  return copy(value, []);
}

function parsePlain(plain: Plain, options: ParseOptions): Definition {
  const value = extendDefinition(plain, options.base ?? (() => undefined));
  const parsed = definitionSchema.safeParse(value);
  if (parsed.success) {
    const faults = definitionFaults(parsed.data, options);
    if (faults.length > 0) throw invalidDefinition(faults);
    return withOwners(parsed.data);
  }
  const faults: Fault[] = faultsOf(parsed.error.issues, value);
  const rest = definitionSchema.safeParse(withoutRefused(value, parsed.error.issues));
  if (!rest.success) throw invalidDefinition(faults);
  // What all methods share is only judged when all of them are there.
  const whole = isPlainObject(value) && isPlainObject(value.methods) && Object.keys(rest.data.methods).length === Object.keys(value.methods).length;
  const behind = definitionFaults(rest.data, options).filter(({ pointer }) => whole || !pointer.startsWith('/api/'));
  throw invalidDefinition([...faults, ...behind]);
}

/**
 * Parses a definition that is text: a shipped file, or the body an admin sent, in YAML or JSON.
 * What comes back has its defaults filled in and extends nothing. Throws `invalid_definition` with all faults.
 */
export function parseDefinition(text: string, options: ParseOptions): Definition {
  return parsePlain(readDocument(text), options);
}

/** The same for a value that somebody else parsed, as from a JSON column. */
export function parseDefinitionValue(value: unknown, options: ParseOptions): Definition {
  return parsePlain(copyPlain(value), options);
}
