/** Writes providers/schema.json from the schema of definitions. Run: npx tsx scripts/provider-schema.ts */
import { writeFileSync } from 'node:fs';
import { definitionJsonSchema } from '../src/protocol/definition/json-schema.ts';

writeFileSync(new URL('../providers/schema.json', import.meta.url), `${JSON.stringify(definitionJsonSchema(), null, 2)}\n`);
