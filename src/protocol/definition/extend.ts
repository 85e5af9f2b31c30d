import { invalidDefinition } from './faults.ts';
import { copyPlain, isPlainObject, type Plain, type PlainObject } from './plain.ts';
import type { DefinitionInput } from './schema.ts';

/** Finds the definition that `extends` names, as it was written: parsed, not yet checked. */
export type Base = (id: string) => DefinitionInput | Plain | undefined;

const maxChain = 5;
/** What a definition says of itself only. */
const own = new Set(['id', 'extends', '$schema', 'aliases']);

/** The fields of a method's own `api`: there null is a value, which takes away what the methods share. */
const isOwnApi = (path: readonly string[]): boolean => path.length === 3 && path[0] === 'methods' && path[2] === 'api';

function merge(base: Plain | undefined, over: Plain, path: readonly string[] = []): Plain {
  if (!isPlainObject(over)) return over;
  const under = isPlainObject(base) ? base : {};
  const merged = new Map(Object.entries(under));
  for (const [name, value] of Object.entries(over)) {
    if (value === null && !isOwnApi(path)) merged.delete(name);
    else merged.set(name, merge(under[name], value, [...path, name]));
  }
  return Object.fromEntries(merged);
}

function chainOf(definition: PlainObject, base: Base): PlainObject[] {
  const refuse = (detail: string) => invalidDefinition([{ pointer: '/extends', detail }]);
  const chain = [definition];
  const seen = new Set<string>();
  for (let id = definition.extends; typeof id === 'string'; id = chain.at(-1)?.extends) {
    if (seen.has(id)) throw refuse(`${id} extends itself in the end. Let one of the circle extend nothing.`);
    if (chain.length > maxChain) throw refuse(`More than ${maxChain} definitions extend each other.`);
    seen.add(id);
    const found = base(id);
    const next = found === undefined ? undefined : copyPlain(found);
    if (!isPlainObject(next)) throw refuse(`There is no provider ${id}. Name a shipped one, or write the definition out and leave extends out.`);
    chain.push(next);
  }
  return chain;
}

/**
 * Resolves `extends`: a deep merge over the base, where lists and scalars replace and null removes (RFC 7396), but for a method's own `api`.
 * What comes back stands by itself and extends nothing. Throws `invalid_definition`: no such base, a cycle, or a chain
 * of more than five.
 */
export function extendDefinition(definition: Plain, base: Base): Plain {
  if (!isPlainObject(definition) || typeof definition.extends !== 'string') return definition;
  const [first = definition, ...bases] = chainOf(definition, base);
  const inherited = bases.reduceRight<Plain>(
    (under, next) => merge(under, Object.fromEntries(Object.entries(next).filter(([name]) => !own.has(name)))),
    {},
  );
  const { extends: _, ...rest } = first;
  return merge(inherited, rest);
}
