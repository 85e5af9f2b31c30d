import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
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
import { startMeasured } from './server.ts';

/**
 * What a host that hangs does to the others: the pace of refreshes at two hosts that answer in 50 ms, with as much to do at a third one
 * that never answers, beside the pace when the third one answers too, and the pace when nothing is to do there; in one run and in turns.
 */

const perHost = Number(process.env.BENCH_CONNECTIONS ?? 4_000);
const rounds = Number(process.env.BENCH_ROUNDS ?? 3);
const rootKey = 'bench-root-key-0123456789-0123456789';
const hosts = ['a', 'b', 'c'];

const median = (values: readonly number[]): number => values.toSorted((x, y) => x - y)[Math.floor(values.length / 2)] ?? Number.NaN;

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

let orders = 0;
function ask<T>(provider: ChildProcess, order: Record<string, unknown>): Promise<T> {
  orders += 1;
  const id = orders;
  return new Promise((resolve) => {
    const hear = (message: { id?: number } & T) => {
      if (message.id !== id) return;
      provider.off('message', hear);
      resolve(message);
    };
    provider.on('message', hear);
    provider.send({ ...order, id });
  });
}

/** Connections as an import would make them. */
async function fill(databaseUrl: string, keys: string): Promise<void> {
  const postgres = openPostgres({ url: databaseUrl, max: 4, onError: () => {} });
  const store = createStore(postgres);
  const seal = createSeal({ provider: parseKeyRing(keys), store: store.dataKeys });
  const secret = JSON.stringify({ kind: 'oauth2', access_token: 'a'.repeat(900), token_type: 'bearer', refresh_token: 'r'.repeat(200) });
  for (let n = 0; n < perHost * hosts.length; n += 1) {
    const [id, host] = [`con_${n.toString(36).padStart(26, '0')}`, hosts[n % hosts.length] ?? ''];
    const about = { project_id: 'default', id, integration_id: host, provider_id: host, method: 'web', end_user: { id: `u${n}` } };
    const credential_sealed = await seal.seal(credentialPlace({ project_id: 'default', id, token_version: 1 }), secret);
    const times = { ageMs: 0, lifetimeS: 3_600, refreshLifetimeS: null, dueInS: 3_300 };
    const rest = {
      scopes: [],
      missing_scopes: [],
      requested_scopes: [],
      extras: {},
      refreshable: true,
      inputs_sealed: null,
      metadata: {},
      account: null,
    };
    await store.connections.insert({ ...about, ...rest, credential_sealed, times }, undefined, []);
  }
  await postgres.close();
}

/** The pace in the middle of a run. */
function paceOf(arrivals: readonly number[]): number {
  const sorted = arrivals.toSorted((x, y) => x - y);
  const [from, to] = [Math.floor(sorted.length * 0.1), Math.floor(sorted.length * 0.9)];
  return ((to - from) * 1000) / ((sorted[to] ?? 0) - (sorted[from] ?? 0));
}

const perSecond = (arrivals: readonly number[]): number[] => {
  const first = Math.min(...arrivals);
  const counts: number[] = [];
  for (const at of arrivals) {
    const second = Math.floor((at - first) / 1000);
    counts[second] = (counts[second] ?? 0) + 1;
  }
  return Array.from(counts, (count) => count ?? 0);
};

type Third = 'hangs' | 'answers' | 'idle';
type Turn = { env: Record<string, string>; pool: pg.Pool; provider: ChildProcess; third: Third };

/** One worker, from its start until the hosts that answer have nothing left to do. */
async function worker({ env, pool, provider, third }: Turn): Promise<{ pace: number; hanging: number[] }> {
  await ask(provider, { kind: 'reset', hanging: third === 'hangs' ? [0] : [] });
  await pool.query(
    `update connections set refresh_due_at = case when $1 or integration_id <> 'a' then now() - random() * interval '1 minute' else now() + interval '1 hour' end,
       expires_at = now() + interval '5 minutes', queued_until = null, lease_until = null, refresh_lease = null, retry_at = null, status = 'active',
       failure_count = 0`,
    [third !== 'idle'],
  );
  const child = fork('dist/main.js', { env: { ...env, GRANTRY_ROLE: 'worker' }, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  for (let seen = 0, same = 0; seen < perHost * 2; ) {
    await sleep(250);
    const [, b = 0, c = 0] = (await ask<{ arrivals: number[] }>(provider, { kind: 'count' })).arrivals;
    same = b + c === seen ? same + 1 : 0;
    if (same > 160) throw new Error(`Only ${seen} of ${perHost * 2} were refreshed.`);
    seen = b + c;
  }
  const [a = [], b = [], c = []] = (await ask<{ arrivals: number[][] }>(provider, { kind: 'read' })).arrivals;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
  if (process.env.BENCH_VERBOSE)
    process.stdout.write(`  ${third}: ${[...b, ...c].length} at the others, a second: ${perSecond([...b, ...c]).join(' ')}\n`);
  return { pace: paceOf([...b, ...c]), hanging: a };
}

export async function run(): Promise<void> {
  execFileSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' });
  const dir = await mkdtemp(join(tmpdir(), 'grantry-bench-'));
  const postgres = await startEmbeddedPostgres({ dataDir: join(dir, 'pg'), log: () => {} });
  const redisPort = await freePort();
  const redis = spawn('redis-server', ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], { stdio: 'ignore' });
  const hasRedis = await Promise.race([once(redis, 'error').then(() => false), sleep(800, true)]);
  const provider = fork('bench/hosts-provider.mjs', { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const [{ urls }] = (await once(provider, 'message')) as [{ urls: string[] }]; // our own module's message
  const pool = new pg.Pool({ connectionString: postgres.url, max: 2 });
  pool.on('error', () => {});
  const port = await freePort();
  const keys = generateKeyRing();
  const env = {
    PATH: process.env.PATH ?? '',
    DATABASE_URL: postgres.url,
    GRANTRY_DATA_DIR: join(dir, 'data'),
    GRANTRY_ROOT_KEY: rootKey,
    GRANTRY_KEYS: keys,
    PORT: String(port),
    LOG_LEVEL: 'fatal',
    GRANTRY_ALLOW_PRIVATE_HOSTS: 'true',
  };
  try {
    const web = await startMeasured('dist/main.js', { url: `http://127.0.0.1:${port}`, env: { ...env, GRANTRY_ROLE: 'web' } });
    const admin = createGrantryClient({ baseUrl: web.url, apiKey: rootKey });
    for (const [n, id] of hosts.entries()) {
      const method = { grant: 'authorization_code', authorization_endpoint: urls[n], token_endpoint: urls[n] };
      await admin.call('PUT', `/v1/providers/${id}`, { body: { id, name: id, methods: { web: method } } });
      await admin.call('POST', '/v1/integrations', { body: { id, provider: id, client_id: 'id', client_secret: 'secret' } });
    }
    await web.stop();
    await fill(postgres.url, keys);
    process.stdout.write(`\none worker, ${perHost} due connections at each host, ${rounds} turns, queues on ${hasRedis ? 'Redis' : 'Postgres'}\n`);
    const ratios: number[] = [];
    let queues = 0;
    const turn = (third: Third) => {
      queues += 1;
      return worker({ env: { ...env, ...(hasRedis && { REDIS_URL: `redis://127.0.0.1:${redisPort}/${queues % 16}` }) }, pool, provider, third });
    };
    // A queue that remembers nothing of the turn before.
    const fresh = () => (hasRedis ? undefined : pool.query('drop schema if exists bullmq cascade'));
    for (let round = 0; round < rounds; round += 1) {
      const paces = { hangs: 0, answers: 0, idle: 0 };
      let asked = 0;
      // Which one comes first alternates.
      const order: Third[] = round % 2 === 0 ? ['idle', 'answers', 'hangs'] : ['hangs', 'answers', 'idle'];
      for (const third of order) {
        await fresh();
        const { pace, hanging } = await turn(third);
        paces[third] = pace;
        if (third === 'hangs') asked = hanging.length;
      }
      ratios.push(paces.hangs / paces.answers);
      process.stdout.write(
        `turn ${round + 1}: beside one that hangs (asked ${asked} times) the pace of the others is ${(paces.hangs / paces.answers).toFixed(2)} of that beside one that answers, and ${(paces.hangs / paces.idle).toFixed(2)} of that beside nothing to do\n`,
      );
    }
    const ratio = median(ratios);
    process.stdout.write(
      `\nmedian ${ratio.toFixed(2)}: the aim (a host that begins to hang changes the pace of the others by less than a tenth) is ${ratio >= 0.9 ? 'met' : 'missed'}\n`,
    );
  } finally {
    await pool.end();
    provider.disconnect();
    redis.kill();
    await postgres.stop();
    await rm(dir, { recursive: true, force: true });
  }
}
