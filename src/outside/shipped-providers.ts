import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readDocument } from '../protocol/definition/document.ts';
import { pointerOf } from '../protocol/definition/faults.ts';
import { parseDefinitionValue } from '../protocol/definition/parse.ts';
import type { Plain } from '../protocol/definition/plain.ts';
import type { Definition } from '../protocol/definition/schema.ts';
import { type Fault, GrantryError, isGrantryError } from '../protocol/errors.ts';

const suffix = '.yaml';

/**
 * Reads the definitions of a directory, one `<id>.yaml` each, by id in alphabetical order; one may extend another.
 * Throws `invalid_definition` with the faults of all files at once: the first part of each pointer is the file's name.
 */
export async function loadShippedProviders(dir: string): Promise<Map<string, Definition>> {
  const files = (await readdir(dir)).filter((file) => file.endsWith(suffix)).sort();
  const texts = await Promise.all(files.map((file) => readFile(join(dir, file), 'utf8')));
  const faults: Fault[] = [];
  const collect = <T>(file: string, read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!isGrantryError(error, 'invalid_definition')) throw error;
      faults.push(...(error.details.errors ?? []).map(({ pointer, detail }) => ({ pointer: pointerOf([file]) + pointer, detail })));
      return undefined;
    }
  };

  const values = new Map<string, Plain>();
  for (const [index, file] of files.entries()) {
    const value = collect(file, () => readDocument(texts[index] ?? ''));
    if (value !== undefined) values.set(file.slice(0, -suffix.length), value);
  }

  const definitions = new Map<string, Definition>();
  for (const [id, value] of values) {
    const file = id + suffix;
    const definition = collect(file, () => parseDefinitionValue(value, { allowPrivateHosts: false, base: (name) => values.get(name) }));
    if (definition === undefined) continue;
    if (definition.id !== id) faults.push({ pointer: pointerOf([file, 'id']), detail: `Must be ${id}, as the file is called.` });
    definitions.set(id, definition);
  }
  if (faults.length > 0) throw new GrantryError('invalid_definition', { errors: faults });
  return definitions;
}
