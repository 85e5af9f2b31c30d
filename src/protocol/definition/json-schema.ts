import { z } from 'zod';
import { definitionSchema } from './schema.ts';

/** The JSON Schema (draft 2020-12) of a definition as it is written, for editors: `providers/schema.json`. */
export function definitionJsonSchema(): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(definitionSchema, { io: 'input', target: 'draft-2020-12' });
  return { $schema, title: 'Grantry provider definition', ...schema };
}
