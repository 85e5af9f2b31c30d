import { z } from 'zod';
import { definitionJsonSchema } from '../../src/protocol/definition/json-schema.ts';

/** The fields of a definition, from the schema itself, and which of them a written definition uses. */

const node: z.ZodType<Node> = z.lazy(() =>
  z.object({
    const: z.unknown().optional(),
    default: z.unknown().optional(),
    enum: z.array(z.unknown()).optional(),
    properties: z.record(z.string(), node).optional(),
    required: z.array(z.string()).optional(),
    items: node.optional(),
    additionalProperties: z.union([node, z.boolean()]).optional(),
    oneOf: z.array(node).optional(),
    anyOf: z.array(node).optional(),
  }),
);
type Node = {
  const?: unknown;
  default?: unknown;
  enum?: unknown[] | undefined;
  properties?: Record<string, Node> | undefined;
  required?: string[] | undefined;
  items?: Node | undefined;
  additionalProperties?: Node | boolean | undefined;
  oneOf?: Node[] | undefined;
  anyOf?: Node[] | undefined;
};

/** Which fields must be there says nothing of a provider; `$schema` is for editors. */
const unsaid = new Set(['$schema', 'id', 'name', 'grant', 'label', 'methods']);

/** The path of a field below `path`; an input is the same wherever it is declared, and so is an API. */
const below = (path: string, name: string) => (path === '' || name === 'inputs' || name === 'api' ? name : `${path}.${name}`);
/** What is told besides, though it is only a group. */
const ownApi = 'methods.*.api';

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The branches of a node: itself, or its alternatives by grant. */
const branches = (at: Node): Node[] => at.oneOf ?? at.anyOf ?? [at];
const grantOf = ({ properties }: Node): unknown => properties?.grant?.const;
const values = ({ additionalProperties: inner }: Node): Node | undefined => (typeof inner === 'object' ? inner : undefined);

/** Every field that has a meaning of its own, as `methods.*.token.format`; those of several grants once. */
export function schemaFields(): string[] {
  const found = new Set<string>();
  const walk = (at: Node, path: string): void => {
    for (const branch of branches(at)) {
      for (const [name, inner] of Object.entries(branch.properties ?? {})) {
        const here = below(path, name);
        const isGroup = branches(inner).some(({ properties }) => properties !== undefined);
        if (`${path}.${name}` === ownApi) found.add(ownApi);
        if (!isGroup && !unsaid.has(name)) found.add(here);
        walk(inner, here);
      }
      const inner = values(branch);
      if (inner !== undefined && (inner.properties ?? inner.oneOf) !== undefined) walk(inner, `${path}.*`);
    }
  };
  walk(node.parse(definitionJsonSchema()), '');
  return [...found];
}

/** The fields whose value in a definition is not what is meant when they are left out. The definition may be written or complete. */
export function usedFields(definition: unknown): Set<string> {
  const used = new Set<string>();
  const walk = (at: Node, value: unknown, path: string): void => {
    if (!isObject(value)) return;
    const all = branches(at);
    const branch = all.find((each) => grantOf(each) !== undefined && grantOf(each) === value.grant) ?? all[0];
    if (branch === undefined) return;
    for (const [name, inner] of Object.entries(branch.properties ?? {})) {
      const here = below(path, name);
      const given = value[name];
      if (given === undefined) continue;
      if (`${path}.${name}` === ownApi) used.add(ownApi);
      const isEmpty = JSON.stringify(given) === '{}' || JSON.stringify(given) === '[]';
      if (
        !branches(inner).some(({ properties }) => properties !== undefined) &&
        !unsaid.has(name) &&
        !isEmpty &&
        JSON.stringify(given) !== JSON.stringify(inner.default)
      )
        used.add(here);
      walk(inner, given, here);
    }
    const inner = values(branch);
    if (inner !== undefined && (inner.properties ?? inner.oneOf) !== undefined)
      for (const entry of Object.values(value)) walk(inner, entry, `${path}.*`);
  };
  walk(node.parse(definitionJsonSchema()), definition, '');
  return used;
}
