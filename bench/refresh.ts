import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { credentialPlace } from '../src/broker/places.ts';
import { createGrantryClient } from '../src/client/client.ts';
import { startEmbeddedPostgres } from '../src/outside/embedded-postgres.ts';
import { generateKeyRing, parseKeyRing } from '../src/outside/key-ring.ts';
import { openPostgres } from '../src/outside/postgres/database.ts';
import { createStore } from '../src/outside/postgres/store.ts';
import { createSeal } from '../src/outside/seal.ts';
import { freePort } from '../test/harness/free-port.ts';
import { startMeasured } from './server.ts';

/**
 * Refreshes per second of one worker, sweep, queue and all, beside the limit (in flight / latency), a bare loop of POSTs, and a loop that
 * also selects, opens, seals and updates a row; in one run and in turns.
 */

const connections = Number(process.env.BENCH_CONNECTIONS ?? 6_000);
const rounds = Number(process.env.BENCH_ROUNDS ?? 3);
const rootKey = 'bench-root-key-0123456789-0123456789';

let orders = 0;
function ask<T>(child: ChildProcess, order: Record<string, unknown>): Promise<T> {
  orders += 1;
  const id = orders;
  return new Promise((resolve, reject) => {
    const hear = (message: { id?: number } & T) => {
      if (message.id !== id) return;
      child.off('message', hear);
      resolve(message);
    };
    child.on('message', hear);
    child.send({ ...order, id }, (error) => error !== null && reject(error));
  });
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** The pace when the worker's code is warm, as that of the loops is; the last stragglers are not part of it. */
function paceOf(arrivals: readonly number[]): number {
  const from = Math.floor(arrivals.length * 0.4);
  const to = Math.floor(arrivals.length * 0.9);
  return ((to - from) * 1000) / ((arrivals[to] ?? 0) - (arrivals[from] ?? 0));
}

export async function run(): Promise<void> {
  execFileSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' });
  const dir = await mkdtemp(join(tmpdir(), 'grantry-bench-'));
  const postgres = await startEmbeddedPostgres({ dataDir: join(dir, 'pg'), log: () => {} });
  const redisPort = await freePort();
  const redis = spawn('redis-server', ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], { stdio: 'ignore' });
  const hasRedis = await Promise.race([once(redis, 'error').then(() => false), sleep(800, true)]);
  const provider = fork('bench/refresh-provider.mjs', { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const [{ port: providerPort }] = (await once(provider, 'message')) as [{ port: number }];
  const baseline = fork('bench/refresh-baseline.ts', { execArgv: ['--import', 'tsx'], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  await once(baseline, 'message');
  const port = await freePort();
  const keys = generateKeyRing();
  const tokenUrl = `http://127.0.0.1:${providerPort}/token`;
  const env = {
    PATH: process.env.PATH ?? '',
    DATABASE_URL: postgres.url,
    ...(hasRedis && { REDIS_URL: `redis://127.0.0.1:${redisPort}` }),
    GRANTRY_DATA_DIR: join(dir, 'data'),
    GRANTRY_ROOT_KEY: rootKey,
    GRANTRY_KEYS: keys,
    PORT: String(port),
    LOG_LEVEL: 'warn',
    GRANTRY_ALLOW_PRIVATE_HOSTS: 'true',
  };
  const web = await startMeasured('dist/main.js', { url: `http://127.0.0.1:${port}`, env: { ...env, GRANTRY_ROLE: 'web' } });
  const pool = new pg.Pool({ connectionString: postgres.url, max: 2 });
  try {
    const admin = createGrantryClient({ baseUrl: web.url, apiKey: rootKey });
    const method = {
      grant: 'authorization_code',
      authorization_endpoint: tokenUrl,
      token_endpoint: tokenUrl,
    };
    await admin.call('PUT', '/v1/providers/bench', { body: { id: 'bench', name: 'Bench', methods: { web: method } } });
    await admin.call('POST', '/v1/integrations', { body: { id: 'bench', provider: 'bench', client_id: 'id', client_secret: 'secret' } });
    await web.stop();
    await fill(postgres.url, keys);

    process.stdout.write(`\none worker, ${connections} due connections a turn, ${rounds} turns, queues on ${hasRedis ? 'Redis' : 'Postgres'}\n`);
    process.stdout.write('latency  in flight  (seen)  of the limit  of a bare POST loop  of select+open+POST+seal+update   (medians)\n');
    for (const latencyMs of [0, 50, 200]) {
      for (const inFlight of [20, 100]) {
        const results: { limit: number; bare: number; minimal: number; most: number }[] = [];
        for (let round = 0; round < rounds; round += 1) {
          const { pace, most } = await worker({ env, pool, provider, latencyMs, inFlight });
          await ask(provider, { kind: 'reset', latencyMs });
          const order = { url: tokenUrl, count: connections, inFlight, databaseUrl: postgres.url };
          const bare = await ask<{ perSecond: number }>(baseline, { ...order, kind: 'bare' });
          const minimal = await ask<{ perSecond: number }>(baseline, { ...order, kind: 'minimal' });
          const limit = latencyMs === 0 ? Number.NaN : (inFlight * 1000) / latencyMs;
          results.push({ limit: pace / limit, bare: pace / bare.perSecond, minimal: pace / minimal.perSecond, most });
          if (process.env.BENCH_VERBOSE)
            process.stdout.write(
              `  ${latencyMs} ${inFlight} pace ${pace.toFixed(0)} bare ${bare.perSecond.toFixed(0)} minimal ${minimal.perSecond.toFixed(0)}\n`,
            );
        }
        const figure = (of: (result: (typeof results)[number]) => number) => {
          const value = median(results.map(of));
          return Number.isNaN(value) ? '-' : value.toFixed(2);
        };
        process.stdout.write(
          `${String(latencyMs).padStart(4)} ms  ${String(inFlight).padStart(9)}  ${figure((r) => r.most).padStart(6)}  ${figure((r) => r.limit).padStart(12)}  ${figure((r) => r.bare).padStart(19)}  ${figure((r) => r.minimal).padStart(31)}\n`,
        );
      }
    }
  } finally {
    await pool.end();
    provider.disconnect();
    baseline.disconnect();
    redis.kill();
    await postgres.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

/** Connections as an import would make them, without asking the API thousands of times. */
async function fill(databaseUrl: string, keys: string): Promise<void> {
  const postgres = openPostgres({ url: databaseUrl, max: 4, onError: () => {} });
  const store = createStore(postgres);
  const seal = createSeal({ provider: parseKeyRing(keys), store: store.dataKeys });
  const secret = JSON.stringify({ kind: 'oauth2', access_token: 'a'.repeat(900), token_type: 'bearer', refresh_token: 'r'.repeat(200) });
  for (let n = 0; n < connections; n += 1) {
    const id = `con_${n.toString(36).padStart(26, '0')}`;
    const stored = {
      credential_sealed: await seal.seal(credentialPlace({ project_id: 'default', id, token_version: 1 }), secret),
      scopes: ['read', 'write'],
      missing_scopes: [],
      extras: {},
      refreshable: true,
    };
    const times = { ageMs: 0, lifetimeS: 3_600, refreshLifetimeS: null, dueInS: 3_300 };
    await store.connections.insert(
      {
        ...stored,
        times,
        project_id: 'default',
        id,
        integration_id: 'bench',
        provider_id: 'bench',
        method: 'web',
        end_user: { id: `u${n}` },
        requested_scopes: ['read', 'write'],
        inputs_sealed: null,
        metadata: {},
        account: null,
      },
      undefined,
      [],
    );
  }
  await postgres.close();
}

type Turn = { env: Record<string, string>; pool: pg.Pool; provider: ChildProcess; latencyMs: number; inFlight: number };

/** One worker, from its start to the last refresh. A host that is alone gets three quarters of its slots. */
async function worker({ env, pool, provider, latencyMs, inFlight }: Turn): Promise<{ pace: number; most: number }> {
  await ask(provider, { kind: 'reset', latencyMs });
  await pool.query(`update connections set refresh_due_at = now(), queued_until = null`);
  const child = fork('dist/main.js', {
    env: { ...env, GRANTRY_ROLE: 'worker', GRANTRY_REFRESH_CONCURRENCY: String(Math.ceil(inFlight / 0.75)) },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  for (let seen = 0, same = 0; seen < connections; ) {
    await sleep(200);
    const { arrivals } = await ask<{ arrivals: number }>(provider, { kind: 'count' });
    same = arrivals === seen ? same + 1 : 0;
    if (same > 150) throw new Error(`Only ${arrivals} of ${connections} were refreshed.`);
    seen = arrivals;
  }
  const { arrivals, most } = await ask<{ arrivals: number[]; most: number }>(provider, { kind: 'read' });
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
  const { rows } = await pool.query<{ due: number }>('select count(*)::int as due from connections where refresh_due_at <= now()');
  if (rows[0]?.due !== 0 || arrivals.length !== connections) throw new Error(`${arrivals.length} requests, ${rows[0]?.due} still due.`);
  return { pace: paceOf(arrivals), most };
}
