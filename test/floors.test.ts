import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'grantry-floors-'));
});
afterEach(() => rm(directory, { recursive: true }));

/** The broken rules of a tree of sources, each with the importing file. */
async function brokenRules(files: Record<string, string>): Promise<string[]> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
  }
  const { stderr, code } = await new Promise<{ stderr: string; code: unknown }>((done) =>
    execFile(process.execPath, ['scripts/floors.mjs', directory], (error, _, text) => done({ stderr: text, code: error === null ? 0 : error.code })),
  );
  const rules = [...stderr.matchAll(/^(\S+) -> .*\n {2}([^ ]+):/gm)].map(([, file, rule]) => `${file} ${rule}`);
  expect(code).toBe(rules.length === 0 ? 0 : 1);
  return rules.sort();
}

const protocol = { 'src/protocol/word.ts': 'export type Word = string;\nexport const word = 1;' };

it('what the floors allow passes', async () => {
  expect(
    await brokenRules({
      ...protocol,
      'src/broker/world.ts': `import type { Word } from '../protocol/word.ts';\nexport type World = Word;\nexport const world = 1;`,
      'src/outside/store.ts': `import type { World } from '../broker/world.ts';\nimport pg from 'pg';\nexport type Store = World;\nexport const pool = pg;`,
      'src/web/app.ts': `import { world } from '../broker/world.ts';\nexport const app = world;`,
      'src/main.ts': `import { app } from './web/app.ts';\nimport { pool } from './outside/store.ts';\nexport default [app, pool];`,
    }),
  ).toEqual([]);
});

it('every breach is named, of values and of types', async () => {
  expect(
    await brokenRules({
      'src/protocol/word.ts': `import type { World } from '../broker/world.ts';\nimport { readFile } from 'node:fs/promises';\nexport type Word = World;\nexport { readFile };`,
      'src/broker/world.ts': `import { pool } from '../outside/store.ts';\nexport type World = typeof pool;\nexport const world = 1;`,
      'src/outside/store.ts': `import { render } from 'preact-render-to-string';\nexport const pool = render;`,
      'src/outside/more.ts': `import { world } from '../broker/world.ts';\nexport const more = world;`,
      'src/web/app.ts': `import { sandbox } from '../sandbox/sandbox.ts';\nimport { other } from './other.ts';\nexport const app = [sandbox, other];`,
      'src/web/other.ts': `export { app as other } from './app.ts';\nexport const { request } = await import('undici');`,
      'src/cli/command.ts': `import { other } from '../web/other.ts';\nexport const command = other;`,
      'src/client/client.ts': `import type { Word } from '../protocol/word.ts';\nexport type Client = Word;`,
      'src/sandbox/sandbox.ts': `import oidc from 'oidc-provider';\nexport const sandbox = oidc;`,
      'src/main.ts': `import './gone.ts';\nimport 'oidc-provider';`,
    }),
  ).toEqual([
    'src/broker/world.ts floor-broker',
    'src/cli/command.ts floor-cli',
    'src/client/client.ts floor-client',
    'src/main.ts no-development-library',
    'src/main.ts no-missing',
    'src/outside/more.ts floor-outside',
    'src/outside/store.ts home-of-preact-render-to-string',
    'src/protocol/word.ts floor-protocol',
    'src/protocol/word.ts pure-floors',
    'src/web/app.ts floor-web',
    'src/web/app.ts no-cycle',
    'src/web/app.ts no-sandbox',
    'src/web/other.ts home-of-undici',
  ]);
});
