import { mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { build, type Plugin } from 'esbuild';
import type { deliverWebhook } from '../../src/broker/webhooks.ts';
import type { startJobs } from '../../src/jobs/start.ts';
import type { createDoor } from '../../src/outside/http.ts';
import type { startBroker } from '../../src/process.ts';
import { packageRoot } from '../harness/broker.ts';
import { type Defence, type DefenceName, defences, type Edit, type Sweep } from './defences.ts';

/** A copy of the broker in which every defence has a switch. It is made for these tests, and nothing of it is kept. */

export type PatchedCopy = {
  start: typeof startBroker;
  /** The door of the copy, and what delivers its webhooks. */
  openDoor: typeof createDoor;
  deliver: typeof deliverWebhook;
  startJobs: typeof startJobs;
  /** Turns these off and every other one on. */
  turnOff(names: readonly DefenceName[]): void;
  remove(): Promise<void>;
};

type Located = Edit & { defence: string };
type Swept = Sweep & { defence: string };

const named = Object.entries<Defence>(defences);
const located: readonly Located[] = named.flatMap(([defence, { edits }]) => edits.map((edit) => ({ ...edit, defence })));
const sweeps: readonly Swept[] = named.flatMap(([defence, { everywhere = [] }]) => everywhere.map((sweep) => ({ ...sweep, defence })));

const question = (defence: string) => `globalThis.grantryDefencesOff.has(${JSON.stringify(defence)})`;

/** Throws when the source does not hold the snippet exactly once: then the table of defences has to be looked at. */
export function patched(source: string, { file, snippet, without, defence }: Located): string {
  const parts = source.split(snippet);
  if (parts.length !== 2) throw new Error(`"${defence}": its snippet stands ${parts.length - 1} times in ${file}, not once.`);
  return parts.join(without.replaceAll('OFF', question(defence)));
}

/** The source with every place changed that a sweep finds in it; there may be none. */
export const swept = (source: string, { pattern, without, defence }: Swept): string =>
  source.replaceAll(pattern, without.replaceAll('OFF', question(defence)));

const patching: Plugin = {
  name: 'defences with switches',
  async setup({ onLoad }) {
    const all = (await readdir(join(packageRoot, 'src'), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    for (const path of all.map(({ parentPath, name: of }) => join(parentPath, of))) {
      const file = relative(packageRoot, path);
      const edits = located.filter((edit) => edit.file === file);
      const sweeping = sweeps.filter(({ folder, but }) => file.startsWith(`${folder}/`) && !but.includes(file));
      if (edits.length + sweeping.length === 0) continue;
      onLoad({ filter: new RegExp(`${path.replace(/[.\\]/g, '\\$&')}$`) }, async () => ({
        contents: sweeping.reduce(swept, edits.reduce(patched, await readFile(path, 'utf8'))),
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
      contents: ['process.ts', 'outside/http.ts', 'broker/webhooks.ts', 'jobs/start.ts'].map((file) => `export * from './src/${file}';`).join(' '),
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
  const built: {
    startBroker: typeof startBroker;
    createDoor: typeof createDoor;
    deliverWebhook: typeof deliverWebhook;
    startJobs: typeof startJobs;
  } = await import(/* @vite-ignore */ outfile);
  return {
    start: built.startBroker,
    openDoor: built.createDoor,
    deliver: built.deliverWebhook,
    startJobs: built.startJobs,
    turnOff(names) {
      off.clear();
      for (const name of names) off.add(name);
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
