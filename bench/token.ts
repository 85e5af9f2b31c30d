import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import autocannon from 'autocannon';
import { createGrantryClient } from '../src/client/client.ts';
import { startEmbeddedPostgres } from '../src/outside/embedded-postgres.ts';
import { type Measured, startMeasured } from './server.ts';

/**
 * The token path beside a bare Express route with an answer of the same size, in one run and in turns: requests per second
 * and CPU per request, at 1, 10 and 50 connections. Ratios only: above 1 the token path is faster.
 */

const rounds = Number(process.env.BENCH_ROUNDS ?? 5);
const secondsEach = Number(process.env.BENCH_SECONDS ?? 3);
const rootKey = 'bench-root-key-0123456789-0123456789';

type Load = { perSecond: number; cpuUs: number; p99Ms: number; failed: number };

async function load(server: Measured, path: string, headers: Record<string, string>, connections: number): Promise<Load> {
  const before = server.cpuMs();
  const result = await autocannon({ url: server.url + path, connections, duration: secondsEach, headers });
  const cpuMs = server.cpuMs() - before;
  const { total } = result.requests;
  return { perSecond: total / result.duration, cpuUs: (cpuMs * 1000) / total, p99Ms: result.latency.p99, failed: result.non2xx + result.errors };
}

/** Below a millisecond the load generator sees nothing. */
const p99Of = (ratios: readonly { p99: number }[]): string => {
  const ratio = median(ratios.map(({ p99 }) => p99));
  return ratio > 0 && Number.isFinite(ratio) ? ratio.toFixed(2) : 'below 1 ms';
};

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

export async function run(): Promise<void> {
  execFileSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' });
  const dir = await mkdtemp(join(tmpdir(), 'grantry-bench-'));
  const postgres = await startEmbeddedPostgres({ dataDir: dir, log: () => {} });
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const url = `http://127.0.0.1:${port}`;
  const broker = await startMeasured('dist/main.js', {
    url,
    env: {
      DATABASE_URL: postgres.url,
      GRANTRY_DATA_DIR: join(dir, 'data'),
      GRANTRY_ROOT_KEY: rootKey,
      GRANTRY_ROLE: 'web',
      PORT: String(port),
      LOG_LEVEL: 'info',
      GRANTRY_ALLOW_PRIVATE_HOSTS: 'true',
    },
  });
  let baseline: Measured | undefined;
  try {
    const admin = createGrantryClient({ baseUrl: url, apiKey: rootKey });
    await admin.call('POST', '/v1/integrations', { body: { id: 'github', provider: 'github', client_id: 'bench', client_secret: 'bench' } });
    const { key } = await admin.call<{ key: string }>('POST', '/v1/api-keys', { body: { name: 'bench', scopes: ['tokens'] } });
    const { id } = await admin.call<{ id: string }>('POST', '/v1/connections', {
      body: {
        integration: 'github',
        end_user: { id: 'bench' },
        import: {
          access_token: 'x'.repeat(900),
          refresh_token: 'y'.repeat(200),
          expires_at: new Date(Date.now() + 86_400_000).toISOString(),
          scopes: ['repo', 'read:user'],
        },
      },
    });
    const headers = { authorization: `Bearer ${key}` };
    const path = `/v1/connections/${id}/token`;
    const sample = await (await fetch(url + path, { headers })).text();
    baseline = await startMeasured('bench/baseline.ts', { args: ['--import', 'tsx'], env: { BENCH_BODY: sample } });

    process.stdout.write(`token path against bare Express (${sample.length} bytes each), ${rounds} rounds of ${secondsEach} s in turns\n\n`);
    process.stdout.write('connections  requests/s ratio (min median max)  CPU per request ratio (median)  p99 ratio (median)  failed\n');
    for (const connections of [1, 10, 50]) {
      const ratios: { speed: number; cpu: number; p99: number }[] = [];
      let failed = 0;
      for (let round = 0; round <= rounds; round += 1) {
        const ours = await load(broker, path, headers, connections);
        const theirs = await load(baseline, '/token', headers, connections);
        failed += ours.failed + theirs.failed;
        // The first round warms both up.
        if (round > 0)
          ratios.push({ speed: ours.perSecond / theirs.perSecond, cpu: theirs.cpuUs / ours.cpuUs, p99: theirs.p99Ms / Math.max(0.01, ours.p99Ms) });
      }
      const speeds = ratios.map(({ speed }) => speed).sort((a, b) => a - b);
      const figures = [speeds[0] ?? 0, median([...speeds]), speeds.at(-1) ?? 0].map((value) => value.toFixed(2)).join('  ');
      process.stdout.write(
        `${String(connections).padStart(11)}  ${figures.padEnd(33)}  ${median(ratios.map(({ cpu }) => cpu))
          .toFixed(2)
          .padEnd(30)}  ${p99Of(ratios).padEnd(18)}  ${failed}\n`,
      );
    }
  } finally {
    await baseline?.stop();
    await broker.stop();
    await postgres.stop();
    await rm(dir, { recursive: true, force: true });
  }
}
