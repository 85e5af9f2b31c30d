import { execFileSync } from 'node:child_process';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { compileShippedProviders } from '../src/outside/shipped-providers.ts';

/**
 * What the whole catalogue costs a start: CPU and heap of loading it, each in a process of its own that has loaded its code already,
 * beside one that only parses the compiled file as JSON, and one that parses all YAML. The budget is 150 ms of CPU and 20 MB. Drafts are
 * loaded as well.
 */

const runs = 7;
const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

const loads = {
  'JSON.parse of the compiled file': 'JSON.parse(readFileSync(compiled, "utf8"))',
  'loading it (checked against the files)': 'await loadShippedProviders(dir, compiled)',
  'parsing all YAML': 'await loadShippedProviders(dir)',
};

/** CPU in ms and what stays on the heap in MB. */
function measure(module: string, load: string, [dir, compiled]: readonly [string, string]): { cpu: number; heap: number } {
  const program = `
    import { readFileSync } from 'node:fs';
    import { loadShippedProviders } from ${JSON.stringify(module)};
    const [dir, compiled] = ${JSON.stringify([dir, compiled])};
    gc();
    const heap = process.memoryUsage().heapUsed;
    const cpu = process.cpuUsage();
    globalThis.kept = ${load};
    const { user, system } = process.cpuUsage(cpu);
    gc();
    console.log(JSON.stringify({ cpu: (user + system) / 1000, heap: (process.memoryUsage().heapUsed - heap) / 1_048_576 }));`;
  return JSON.parse(execFileSync(process.execPath, ['--expose-gc', '--input-type=module', '-e', program], { encoding: 'utf8' }));
}

async function corpus(dir: string): Promise<number> {
  for (const file of (await readdir('providers')).filter((name) => name.endsWith('.yaml'))) await cp(join('providers', file), join(dir, file));
  return (await readdir(dir)).length;
}

export async function run(): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'grantry-bench-'));
  try {
    const dir = await mkdtemp(join(work, 'providers-'));
    const count = await corpus(dir);
    const compiled = join(work, 'compiled.json');
    await compileShippedProviders(dir, compiled);
    const module = join(work, 'shipped-providers.mjs');
    // A CommonJS package inside wants it.
    const banner = { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" };
    await build({ entryPoints: ['src/outside/shipped-providers.ts'], outfile: module, bundle: true, format: 'esm', platform: 'node', banner });
    const seen = new Map<string, { cpu: number[]; heap: number[] }>();
    for (let i = 0; i < runs; i += 1) {
      for (const [name, load] of Object.entries(loads)) {
        const { cpu, heap } = measure(module, load, [dir, compiled]);
        const figures = seen.get(name) ?? { cpu: [], heap: [] };
        figures.cpu.push(cpu);
        figures.heap.push(heap);
        seen.set(name, figures);
      }
    }
    const base = median(seen.values().next().value?.cpu ?? []);
    process.stdout.write(`loading ${count} definitions, median of ${runs}\n\n`);
    for (const [name, { cpu, heap }] of seen) {
      process.stdout.write(
        `  ${name.padEnd(40)} CPU ${median(cpu).toFixed(0).padStart(5)} ms (${(median(cpu) / base).toFixed(1)} x JSON.parse)   heap ${median(heap).toFixed(1)} MB\n`,
      );
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
