import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../src/outside/embedded-postgres.ts';
import { startMeasured } from './server.ts';

/**
 * Start to ready on a migrated database, CPU and idle memory, beside a bare Express server started in the same run. The
 * budget is 1.5 s of CPU and 120 MB; ratios against Express tell a slow machine from a slow broker.
 */

const runs = 5;
const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

export async function run(): Promise<void> {
  execFileSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' });
  const dir = await mkdtemp(join(tmpdir(), 'grantry-bench-'));
  const postgres = await startEmbeddedPostgres({ dataDir: dir, log: () => {} });
  const figures: Record<string, { cpu: number[]; rss: number[] }> = {};
  const note = (name: string, cpu: number, rss: number) => {
    figures[name] ??= { cpu: [], rss: [] };
    figures[name].cpu.push(cpu);
    figures[name].rss.push(rss);
  };
  try {
    for (let i = 0; i <= runs; i += 1) {
      for (const role of ['web', 'all']) {
        const port = 20_000 + Math.floor(Math.random() * 20_000);
        const broker = await startMeasured('dist/main.js', {
          url: `http://127.0.0.1:${port}`,
          env: { DATABASE_URL: postgres.url, GRANTRY_DATA_DIR: join(dir, 'data'), GRANTRY_ROLE: role, PORT: String(port), LOG_LEVEL: 'info' },
        });
        const cpu = broker.cpuMs();
        await new Promise((resolve) => setTimeout(resolve, 3_000));
        // The first start migrates.
        if (i > 0) note(`broker (${role})`, cpu, broker.rssMb());
        await broker.stop();
      }
      const bare = await startMeasured('bench/bare.mjs', { env: {} });
      if (i > 0) note('bare Express', bare.cpuMs(), bare.rssMb());
      await bare.stop();
    }
    const base = figures['bare Express'];
    process.stdout.write(`start to ready, median of ${runs}\n\n`);
    for (const [name, { cpu, rss }] of Object.entries(figures)) {
      process.stdout.write(
        `${name.padEnd(16)} CPU ${(median(cpu) / 1000).toFixed(2)} s (${(median(cpu) / median(base?.cpu ?? [])).toFixed(1)} x Express)   idle ${median(rss)} MB (${(median(rss) / median(base?.rss ?? [])).toFixed(1)} x Express)\n`,
      );
    }
  } finally {
    await postgres.stop();
    await rm(dir, { recursive: true, force: true });
  }
}
