import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import type { createDoor } from '../../src/outside/http.ts';
import type { startBroker } from '../../src/process.ts';
import { packageRoot } from '../harness/broker.ts';
import { type Defence, type DefenceName, defences, type Edit } from './defences.ts';

/** A copy of the broker in which every defence has a switch. It is made for these tests, and nothing of it is kept. */

export type PatchedCopy = {
  start: typeof startBroker;
  /** The door of the copy. */
  openDoor: typeof createDoor;
  /** Turns these off and every other one on. */
  turnOff(names: readonly DefenceName[]): void;
  remove(): Promise<void>;
};

type Located = Edit & { defence: string };

const located: readonly Located[] = Object.entries<Defence>(defences).flatMap(([defence, { edits }]) => edits.map((edit) => ({ ...edit, defence })));

/** Throws when the source does not hold the snippet exactly once: then the table of defences has to be looked at. */
export function patched(source: string, { file, snippet, without, defence }: Located): string {
  const parts = source.split(snippet);
  if (parts.length !== 2) throw new Error(`"${defence}": its snippet stands ${parts.length - 1} times in ${file}, not once.`);
  return parts.join(without.replaceAll('OFF', `globalThis.grantryDefencesOff.has(${JSON.stringify(defence)})`));
}

const patching: Plugin = {
  name: 'defences with switches',
  setup({ onLoad }) {
    for (const file of new Set(located.map((edit) => edit.file))) {
      const path = join(packageRoot, file);
      onLoad({ filter: new RegExp(`${path.replace(/[.\\]/g, '\\$&')}$`) }, async () => ({
        contents: located.filter((edit) => edit.file === file).reduce(patched, await readFile(path, 'utf8')),
        loader: file.endsWith('x') ? 'tsx' : 'ts',
      }));
    }
  },
};

export async function buildPatchedCopy(): Promise<PatchedCopy> {
  const directory = await mkdtemp(join(tmpdir(), 'grantry-attacks-'));
  await symlink(join(packageRoot, 'node_modules'), join(directory, 'node_modules'));
  const outfile = join(directory, 'process.mjs');
  await build({
    stdin: {
      contents: "export { startBroker } from './src/process.ts'; export { createDoor } from './src/outside/http.ts';",
      resolveDir: packageRoot,
    },
    outfile,
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    logLevel: 'warning',
    plugins: [patching],
  });
  const off = new Set<string>();
  Object.assign(globalThis, { grantryDefencesOff: off });
  const built: { startBroker: typeof startBroker; createDoor: typeof createDoor } = await import(/* @vite-ignore */ outfile);
  return {
    start: built.startBroker,
    openDoor: built.createDoor,
    turnOff(names) {
      off.clear();
      for (const name of names) off.add(name);
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
