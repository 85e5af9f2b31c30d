import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { loadShippedProviders } from '../../src/outside/shipped-providers.ts';
import { readDocument } from '../../src/protocol/definition/document.ts';
import { parseDefinition } from '../../src/protocol/definition/parse.ts';
import type { Definition } from '../../src/protocol/definition/schema.ts';

const dir = fileURLToPath(new URL('../../providers/', import.meta.url));

/** All definitions, by id. */
export async function catalogue(): Promise<Map<string, Definition>> {
  const shipped = await loadShippedProviders(dir);
  const files = (await readdir(`${dir}drafts`)).filter((file) => file.endsWith('.yaml'));
  const texts = new Map(await Promise.all(files.map(async (file) => [file.slice(0, -5), await readFile(`${dir}drafts/${file}`, 'utf8')] as const)));
  const base = (id: string) => {
    const text = texts.get(id);
    return text === undefined ? shipped.get(id) : readDocument(text);
  };
  const drafts = [...texts].map(([id, text]): [string, Definition] => [id, parseDefinition(text, { allowPrivateHosts: false, base })]);
  return new Map([...shipped, ...drafts].sort(([a], [b]) => (a < b ? -1 : 1)));
}
