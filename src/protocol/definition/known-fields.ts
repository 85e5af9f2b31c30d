import { z } from 'zod';
import type { Path } from './faults.ts';
import { definitionSchema } from './schema.ts';

/** Which fields there are at a place of a definition, from the schema itself. */

type Schema = z.core.$ZodType;

/** Without what only says that it may be left out. */
function bareOf(schema: Schema): Schema {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return bareOf(schema.def.innerType);
  return schema;
}

const member = (value: unknown, name: PropertyKey): unknown =>
  typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined;

/** The branches that may hold: of methods, the one of the grant. */
function branchesOf(schema: Schema, value: unknown): Schema[] {
  const bare = bareOf(schema);
  if (!(bare instanceof z.ZodUnion)) return [bare];
  const options = bare.options.flatMap((option) => branchesOf(option, value));
  const grant = member(value, 'grant');
  const chosen = options.filter(
    (option) => option instanceof z.ZodObject && option.shape.grant instanceof z.ZodLiteral && option.shape.grant.value === grant,
  );
  return chosen.length > 0 ? chosen : options;
}

function insideOf(schema: Schema, name: PropertyKey): Schema[] {
  if (schema instanceof z.ZodObject) return Object.hasOwn(schema.shape, name) ? [schema.shape[String(name)]] : [];
  if (schema instanceof z.ZodRecord) return [schema.valueType];
  return schema instanceof z.ZodArray ? [schema.element] : [];
}

/** The names of the fields at a path of `value`; none where there is no object of fields. */
export function fieldsAt(path: Path, value: unknown): string[] {
  let schemas = branchesOf(definitionSchema, value);
  let at = value;
  for (const name of path) {
    at = member(at, name);
    schemas = schemas.flatMap((schema) => insideOf(schema, name)).flatMap((schema) => branchesOf(schema, at));
  }
  return [...new Set(schemas.flatMap((schema) => (schema instanceof z.ZodObject ? Object.keys(schema.shape) : [])))];
}

let homes: Map<string, string> | undefined;

/** Where a field of this name belongs, as a pointer; undefined when there is none, or it has several homes. */
export function homeOf(field: string): string | undefined {
  if (homes === undefined) {
    const found = new Map<string, Set<string>>();
    const walk = (schema: Schema, pointer: string): void => {
      for (const branch of branchesOf(schema, undefined)) {
        if (branch instanceof z.ZodRecord) walk(branch.valueType as Schema, `${pointer}/<name>`);
        if (!(branch instanceof z.ZodObject)) continue;
        for (const [name, inner] of Object.entries(branch.shape)) {
          found.set(name, (found.get(name) ?? new Set()).add(pointer));
          walk(inner as Schema, `${pointer}/${name}`);
        }
      }
    };
    walk(definitionSchema, '');
    homes = new Map([...found].flatMap(([name, at]): [string, string][] => (at.size === 1 ? [[name, [...at][0] ?? '']] : [])));
  }
  return homes.get(field);
}
