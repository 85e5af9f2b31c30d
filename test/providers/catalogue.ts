import { fileURLToPath } from 'node:url';
import { loadShippedProviders } from '../../src/outside/shipped-providers.ts';
import type { Definition } from '../../src/protocol/definition/schema.ts';

/** All definitions that are shipped, by id. */
export const catalogue = (): Promise<Map<string, Definition>> => loadShippedProviders(fileURLToPath(new URL('../../providers/', import.meta.url)));
