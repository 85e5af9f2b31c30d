import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { definitionJsonSchema } from '../../../src/protocol/definition/json-schema.ts';
import { sample } from './samples.ts';

it('providers/schema.json is in step with the schema (npx tsx scripts/provider-schema.ts writes it)', async () => {
  const file = await readFile(new URL('../../../providers/schema.json', import.meta.url), 'utf8');
  expect(file).toBe(`${JSON.stringify(definitionJsonSchema(), null, 2)}\n`);
});

it('says what an editor needs: the draft, closed objects, and words about the fields', () => {
  const schema = definitionJsonSchema();
  expect(schema).toMatchObject({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    additionalProperties: false,
    required: ['id', 'name', 'methods'],
  });
  expect(JSON.stringify(schema)).toContain('An absolute https URL; may hold {name} of a declared input.');
});

it('accepts a definition and refuses an unknown field', () => {
  const { $schema: _, ...schema } = definitionJsonSchema();
  const validator = z.fromJSONSchema(schema);
  expect(validator.safeParse(sample()).error).toBeUndefined();
  expect(validator.safeParse({ ...sample(), nmae: 'x' }).success).toBe(false);
});
