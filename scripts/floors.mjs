/**
 * Checks the rules of .dependency-cruiser.mjs: node scripts/floors.mjs [directory with src in it].
 * dependency-cruiser cannot read TypeScript with the compiler that we use, so it is given what esbuild makes of the sources. In it
 * an import of types alone leads to `<module>.types.js` (or stays what it is, for a package), since esbuild would drop it.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cruise } from 'dependency-cruiser';
import { transform } from 'esbuild';
import rules from '../.dependency-cruiser.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const from = resolve(process.argv[2] ?? root);
const isSource = /(?<!\.d)\.tsx?$/;
const ownModule = /(['"])(\.{1,2}\/[^'"]+)\.tsx?\1/g;

/** `import type { A } from './a.ts'` and `export type { A } from './a.ts'` become imports of `./a.types.js`. */
const withTypeImports = (text) =>
  text.replace(
    /(?<=^|;[ \t]*)(?:import|export) type [^'"`;]*? from (['"])([^'"]+)\1;?/gm,
    (_, quote, path) => `import ${quote}${path.replace(/^(\..*)\.tsx?$/, '$1.types.js')}${quote};`,
  );

async function transpile(path, to) {
  const text = withTypeImports(await readFile(join(from, path), 'utf8'));
  const { code } = await transform(text, {
    loader: path.endsWith('x') ? 'tsx' : 'ts',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  });
  const file = join(to, path.replace(isSource, '.js'));
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, code.replace(ownModule, '$1$2.js$1'));
  await writeFile(file.replace(/\.js$/, '.types.js'), '');
}

const sources = (await readdir(join(from, 'src'), { recursive: true })).filter((path) => isSource.test(path)).map((path) => join('src', path));
const names = new Map(sources.map((path) => [path.replace(isSource, ''), path]));
/** The name that a person knows the module by. */
const shown = (path) => {
  const own = names.get(path.replace(/(\.types)?\.js$/, ''));
  return own === undefined ? path.replace(/^(\.\.\/)+/, '') : own + (path.endsWith('.types.js') ? ' (types)' : '');
};

// Inside the project, so that packages are found.
await mkdir(join(root, 'dist'), { recursive: true });
const work = await mkdtemp(join(root, 'dist', 'floors-'));
try {
  await Promise.all(sources.map((path) => transpile(path, work)));
  await writeFile(join(work, 'package.json'), await readFile(join(root, 'package.json')));
  const { forbidden, options } = rules;
  const { output } = await cruise(['src'], { ...options, baseDir: work, ruleSet: { forbidden }, validate: true });
  const { violations, totalCruised, totalDependenciesCruised } = output.summary;
  for (const { from: importer, to, rule, cycle } of violations) {
    const path = cycle === undefined ? shown(to) : cycle.map(({ name }) => shown(name)).join(' -> ');
    console.error(`${shown(importer)} -> ${path}\n  ${rule.name}: ${forbidden.find(({ name }) => name === rule.name)?.comment ?? ''}`);
  }
  console.log(`floors: ${violations.length} violations (${sources.length} files, ${totalDependenciesCruised} imports)`);
  if (sources.length === 0 || totalCruised < sources.length) throw new Error('Not all files were looked at.');
  if (violations.length > 0) process.exitCode = 1;
} finally {
  await rm(work, { recursive: true });
}
