import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import autocannon from 'autocannon';
import pg from 'pg';
import { createGrantryClient } from '../src/client/client.ts';
import { startEmbeddedPostgres } from '../src/outside/embedded-postgres.ts';
import { type AnotherCommit, checkOut } from './another-commit.ts';
import { type Measured, startMeasured } from './server.ts';

/**
 * The token path beside a bare Express route with an answer of the same size, in one run and in turns: requests per second
 * and CPU per request, at 1, 10 and 50 connections. With --against <commit> that commit's broker takes its turns, too.
 * Ratios only: above 1 the token path is faster.
 */

const rounds = Number(process.env.BENCH_ROUNDS ?? 5);
const secondsEach = Number(process.env.BENCH_SECONDS ?? 3);
const rootKey = 'bench-root-key-0123456789-0123456789';

type Load = { perSecond: number; cpuUs: number; p99Ms: number; failed: number };
type Measurand = { server: Measured; path: string; headers: Record<string, string> };

async function load({ server, path, headers }: Measurand, connections: number): Promise<Load> {
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

/** A built broker with one connection whose token is good for a day, and who asks for it. */
async function startBroker(root: string, { databaseUrl, dataDir }: { databaseUrl: string; dataDir: string }): Promise<Measurand> {
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const url = `http://127.0.0.1:${port}`;
  const server = await startMeasured(join(root, 'dist/main.js'), {
    url,
    env: {
      DATABASE_URL: databaseUrl,
      GRANTRY_DATA_DIR: dataDir,
      GRANTRY_ROOT_KEY: rootKey,
      GRANTRY_ROLE: 'web',
      PORT: String(port),
      LOG_LEVEL: 'info',
      GRANTRY_ALLOW_PRIVATE_HOSTS: 'true',
    },
  });
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
  return { server, path: `/v1/connections/${id}/token`, headers: { authorization: `Bearer ${key}` } };
}

async function createDatabase(url: string, name: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`create database ${name}`);
  await client.end();
  return Object.assign(new URL(url), { pathname: `/${name}` }).href;
}

/** Both in turns, after a round that warms them up. */
async function compare(title: string, ours: Measurand, theirs: Measurand): Promise<void> {
  process.stdout.write(`\ntoken path against ${title}, ${rounds} rounds of ${secondsEach} s in turns\n\n`);
  process.stdout.write('connections  requests/s ratio (min median max)  CPU per request ratio (median)  p99 ratio (median)  failed\n');
  for (const connections of [1, 10, 50]) {
    const ratios: { speed: number; cpu: number; p99: number }[] = [];
    let failed = 0;
    for (let round = 0; round <= rounds; round += 1) {
      // Whoever comes first in a round comes second in the next.
      const order = round % 2 === 0 ? [ours, theirs] : [theirs, ours];
      const loads = new Map<Measurand, Load>();
      for (const measurand of order) loads.set(measurand, await load(measurand, connections));
      const [mine, other] = [loads.get(ours), loads.get(theirs)];
      if (mine === undefined || other === undefined) continue;
      failed += mine.failed + other.failed;
      if (round > 0)
        ratios.push({ speed: mine.perSecond / other.perSecond, cpu: other.cpuUs / mine.cpuUs, p99: other.p99Ms / Math.max(0.01, mine.p99Ms) });
    }
    const speeds = ratios.map(({ speed }) => speed).sort((a, b) => a - b);
    const figures = [speeds[0] ?? 0, median([...speeds]), speeds.at(-1) ?? 0].map((value) => value.toFixed(2)).join('  ');
    const cpu = median(ratios.map((ratio) => ratio.cpu)).toFixed(2);
    process.stdout.write(`${String(connections).padStart(11)}  ${figures.padEnd(33)}  ${cpu.padEnd(30)}  ${p99Of(ratios).padEnd(18)}  ${failed}\n`);
  }
}

export async function run({ against }: { against?: string | undefined } = {}): Promise<void> {
  execFileSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' });
  const dir = await mkdtemp(join(tmpdir(), 'grantry-bench-'));
  const started: Measured[] = [];
  let other: AnotherCommit | undefined;
  const postgres = await startEmbeddedPostgres({ dataDir: dir, log: () => {} });
  try {
    if (against !== undefined) other = await checkOut(against);
    const ours = await startBroker(process.cwd(), { databaseUrl: postgres.url, dataDir: join(dir, 'data') });
    started.push(ours.server);
    const sample = await (await fetch(ours.server.url + ours.path, { headers: ours.headers })).text();
    const server = await startMeasured('bench/baseline.ts', { args: ['--import', 'tsx'], env: { BENCH_BODY: sample } });
    started.push(server);
    await compare(`bare Express (${sample.length} bytes each)`, ours, { server, path: '/token', headers: ours.headers });
    if (other !== undefined) {
      const theirs = await startBroker(other.dir, { databaseUrl: await createDatabase(postgres.url, 'other'), dataDir: join(dir, 'other') });
      started.push(theirs.server);
      await compare(`commit ${against}`, ours, theirs);
    }
  } finally {
    for (const server of started) await server.stop();
    await postgres.stop();
    await other?.remove();
    await rm(dir, { recursive: true, force: true });
  }
}
