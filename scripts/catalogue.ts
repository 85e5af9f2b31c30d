/** Prints what the catalogue holds; ends with 1 when there are fields that no definition uses. Run: npm run catalogue [directory ...] */
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadShippedProviders } from '../src/outside/shipped-providers.ts';
import { readDocument } from '../src/protocol/definition/document.ts';
import { isPlainObject } from '../src/protocol/definition/plain.ts';
import { reportOf } from './catalogue/report.ts';

const given = process.argv.slice(2);
// One may extend one of another directory: they are read as one.
const joined = await mkdtemp(join(tmpdir(), 'grantry-catalogue-'));
try {
  const bases = new Map<string, string>();
  for (const dir of given.length === 0 ? ['providers'] : given) {
    for (const file of (await readdir(dir)).filter((name) => name.endsWith('.yaml'))) {
      const written = readDocument(await readFile(join(dir, file), 'utf8'));
      if (isPlainObject(written) && typeof written.extends === 'string') bases.set(file.replace(/\.yaml$/, ''), written.extends);
      await cp(join(dir, file), join(joined, file));
    }
  }
  const definitions = [...(await loadShippedProviders(joined)).values()];
  const sources: Record<string, string[]> = JSON.parse(await readFile(new URL('catalogue/sources.json', import.meta.url), 'utf8'));
  const { text, unused } = reportOf(
    definitions.map((definition) => ({ definition, base: bases.get(definition.id) })),
    sources,
  );
  process.stdout.write(text);
  if (unused.length > 0) process.exitCode = 1;
} finally {
  await rm(joined, { recursive: true });
}
