/** Writes docs/provider-fields.md: every field of a provider definition, from the schema itself. Run: npm run schema */
import { writeFileSync } from 'node:fs';
import { providerFields } from './provider-fields/table.ts';

writeFileSync(new URL('../docs/provider-fields.md', import.meta.url), providerFields());
