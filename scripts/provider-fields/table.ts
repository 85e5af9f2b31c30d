import { z } from 'zod';
import { definitionJsonSchema } from '../../src/protocol/definition/json-schema.ts';

const node: z.ZodType<Node> = z.lazy(() =>
  z.object({
    type: z.union([z.string(), z.array(z.string())]).optional(),
    description: z.string().optional(),
    default: z.unknown().optional(),
    const: z.unknown().optional(),
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
  type?: string | string[] | undefined;
  description?: string | undefined;
  default?: unknown;
  const?: unknown;
  enum?: unknown[] | undefined;
  properties?: Record<string, Node> | undefined;
  required?: string[] | undefined;
  items?: Node | undefined;
  additionalProperties?: Node | boolean | undefined;
  oneOf?: Node[] | undefined;
  anyOf?: Node[] | undefined;
};

type Row = { path: string; value: string; otherwise: string; description: string };

const code = (value: unknown) => `\`${typeof value === 'string' ? (value === ' ' ? '" "' : value) : JSON.stringify(value)}\``;

function allowedOf(field: Node): string {
  if (field.const !== undefined) return code(field.const);
  if (field.enum !== undefined) return field.enum.map(code).join(', ');
  if (field.anyOf !== undefined) return field.anyOf.map(allowedOf).join(', ');
  if (field.type === 'array') return `list of ${field.items === undefined ? 'values' : allowedOf(field.items)}`;
  if (field.type === 'object' && typeof field.additionalProperties === 'object') return `map to ${allowedOf(field.additionalProperties)}`;
  return [field.type ?? 'value'].flat().join(', ');
}

function otherwiseOf(field: Node, isRequired: boolean): string {
  if (field.const !== undefined || isRequired) return 'required';
  const { default: value } = field;
  if (value === undefined || value === '' || JSON.stringify(value) === '{}' || JSON.stringify(value) === '[]') return '';
  return code(value);
}

/** The fields of an object, those of its objects behind them. `known`: names that are told elsewhere. */
function rowsOf(object: Node, known: ReadonlySet<string>, prefix = ''): Row[] {
  return Object.entries(object.properties ?? {}).flatMap(([name, field]): Row[] => {
    if (known.has(prefix + name)) return [];
    const path = `${prefix}${name}`;
    const isGroup = field.properties !== undefined;
    const isRequired = object.required?.includes(name) === true && field.default === undefined;
    const row = {
      path,
      value: isGroup ? 'object' : allowedOf(field),
      otherwise: isGroup ? '' : otherwiseOf(field, isRequired),
      description: field.description ?? '',
    };
    return [row, ...(isGroup ? rowsOf(field, known, `${path}.`) : [])];
  });
}

const cell = (text: string) => text.replaceAll('|', '\\|');

function table(rows: readonly Row[]): string {
  const lines = rows.map(({ path, value, otherwise, description }) => `| \`${path}\` | ${cell(value)} | ${cell(otherwise)} | ${cell(description)} |`);
  return ['| field | value | when left out | what it says |', '|---|---|---|---|', ...lines].join('\n');
}

/** The page as Markdown. Throws when the schema has another shape than the page is made for. */
export function providerFields(): string {
  const schema = node.parse(definitionJsonSchema());
  const { methods, inputs } = schema.properties ?? {};
  const input = inputs?.additionalProperties;
  const kinds = typeof methods?.additionalProperties === 'object' ? (methods.additionalProperties.oneOf ?? []) : [];
  if (typeof input !== 'object' || kinds.length === 0) throw new Error('The schema of definitions is not what this page expects.');
  const sections = kinds.map(
    (kind) => `## Methods: \`grant: ${String(kind.properties?.['grant']?.const)}\`\n\n${table(rowsOf(kind, new Set(['grant'])))}`,
  );
  return [
    '<!-- Made by `npm run schema` from src/protocol/definition. Do not edit. -->',
    '# Every field of a provider definition\n\n[adding-a-provider.md](adding-a-provider.md) goes through them by example. What is left out means what the standards say.',
    `## The definition\n\n${table(rowsOf(schema, new Set(['$schema'])))}`,
    `## An input (\`inputs.<name>\`)\n\n${table(rowsOf(input, new Set()))}`,
    ...sections,
    '',
  ].join('\n\n');
}
