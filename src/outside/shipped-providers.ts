import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readDocument } from '../protocol/definition/document.ts';
import { pointerOf } from '../protocol/definition/faults.ts';
import { parseDefinitionValue } from '../protocol/definition/parse.ts';
import type { Plain } from '../protocol/definition/plain.ts';
import type { Definition } from '../protocol/definition/schema.ts';
import { type Fault, GrantryError, isGrantryError } from '../protocol/errors.ts';

const suffix = '.yaml';

type Source = { file: string; text: string };

/** At the start only, where nobody waits: hundreds of small files cost a fifth when they are read one after the other, at once. */
function readSources(dir: string): Source[] {
  const files = readdirSync(dir)
    .filter((file) => file.endsWith(suffix))
    .sort();
  return files.map((file) => ({ file, text: readFileSync(join(dir, file), 'utf8') }));
}

/** Changes with every letter of every file. */
const digestOf = (sources: readonly Source[]): string => createHash('sha256').update(JSON.stringify(sources)).digest('hex');

/**
 * The definitions of a directory, one `<id>.yaml` each, by id in alphabetical order; one may extend another. What `compiled` holds
 * (see `compileShippedProviders`) is taken instead of parsing as long as it was made from the very same files.
 * Throws `invalid_definition` with the faults of all files at once: the first part of each pointer is the file's name.
 */
export async function loadShippedProviders(dir: string, compiled?: string): Promise<Map<string, Definition>> {
  const sources = readSources(dir);
  const known = compiled === undefined ? undefined : await readCompiled(compiled);
  if (known !== undefined && known.digest === digestOf(sources)) return new Map(Object.entries(known.definitions));
  return parseSources(sources);
}

type Compiled = { digest: string; definitions: Record<string, Definition> };

async function readCompiled(file: string): Promise<Compiled | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** For the build: the parsed definitions of `dir` as one JSON file, which costs a start a tenth of parsing them. */
export async function compileShippedProviders(dir: string, target: string): Promise<void> {
  const sources = readSources(dir);
  await writeFile(target, JSON.stringify({ digest: digestOf(sources), definitions: Object.fromEntries(parseSources(sources)) }));
}

/** For who starts a broker or builds one: the first faults, each with its file. */
function told(faults: readonly Fault[]): string {
  const first = faults.slice(0, 5).map(({ pointer, detail }) => `\n  ${pointer.slice(1)}  ${detail}`);
  return `The definitions in providers/ have faults:${first.join('')}${faults.length > first.length ? `\n  and ${faults.length - first.length} more` : ''}`;
}

function parseSources(sources: readonly Source[]): Map<string, Definition> {
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
  for (const { file, text } of sources) {
    const value = collect(file, () => readDocument(text));
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
  if (faults.length > 0) throw new GrantryError('invalid_definition', { detail: told(faults), errors: faults });
  return definitions;
}
