import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import pg from 'pg';
import { createGrantryClient, type GrantryClient } from '../../src/client/client.ts';
import { startEmbeddedPostgres } from '../../src/outside/embedded-postgres.ts';
import { type SandboxKms, startKms } from '../../src/sandbox/kms.ts';
import { firstProgram } from '../harness/apt.ts';
import { type BrokerProcess, startBrokerProcess } from '../harness/broker-process.ts';
import { type Bundle, bundled } from '../harness/bundle.ts';
import { freePort } from '../harness/free-port.ts';
import { type Line, layLine } from '../harness/line.ts';
import { spawnTied } from '../harness/tied.ts';
import { type Collector, startCollector } from './collector.ts';
import { createMarkers, type Markers } from './markers.ts';
import { type Recorder, startRecorder } from './recorder.ts';
import { startTalker, type Talker } from './talker.ts';

/**
 * The real program in a process of its own, on a Postgres and a Redis that write down everything that they are told, with a recorder in
 * front of it, a collector of traces beside it, and providers that tell everything they hear.
 */

export type Stage = {
  markers: Markers;
  talker: Talker;
  recorder: Recorder;
  collector: Collector;
  broker: BrokerProcess;
  bundle: Bundle;
  /** Its whole environment. */
  env: Record<string, string>;
  root: GrantryClient;
  metricsUrl: string;
  /** It has the master key that wraps; the ring that is there too only unwraps. */
  kms: SandboxKms;
  /** The master key of the project `leaving`; that of `sealed` is in the key service. */
  ring: string;
  /** Between the broker and Postgres. */
  line: Line;
  postgres: { url: string; directory: string };
  redis: { url: string; directory: string; said: string[] };
  directories: { data: string; reports: string; work: string };
  secretOf(owner: string): string;
  sql<T extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<T[]>;
  stop(): Promise<void>;
};

type Undo = (() => Promise<unknown>)[];

async function folder(undo: Undo): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'grantry-leak-'));
  undo.push(() => rm(made, { recursive: true, force: true }));
  return made;
}

/** Its log holds every statement with its parameters. */
async function startPostgres(markers: Markers, undo: Undo): Promise<Stage['postgres']> {
  const directory = await folder(undo);
  const cleaner = spawnTied('cat > /dev/null; pid=$(head -n 1 "$1/cluster/postmaster.pid") && kill -QUIT $pid && sleep 1; rm -rf "$1"', [directory]);
  undo.push(cleaner.end);
  const settings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', log_statement: 'all', log_error_verbosity: 'verbose' };
  const { url, stop } = await startEmbeddedPostgres({ dataDir: directory, log: () => undefined, settings });
  undo.push(stop);
  markers.note('database password', 'postgres', new URL(url).password);
  return { url, directory };
}

/** Its file of what was appended holds every change that was ever made; and somebody listens to every command. */
async function startRedis(markers: Markers, undo: Undo): Promise<Stage['redis']> {
  const program = firstProgram(['redis-server']);
  if (program === undefined) throw new Error('This test needs a redis-server of its own: install it.');
  const directory = await folder(undo);
  const [port, password] = [await freePort(), markers.make('redis password', 'redis')];
  const settings = [
    '--bind',
    '127.0.0.1',
    '--port',
    String(port),
    '--dir',
    directory,
    '--appendonly',
    'yes',
    '--save',
    '',
    '--requirepass',
    password,
  ];
  const server = spawnTied('"$@" & server=$!; cat > /dev/null; kill $server; wait $server', [program, ...settings]);
  undo.push(server.end);
  const url = `redis://:${password}@127.0.0.1:${port}`;
  const redis = new Redis(url, { retryStrategy: () => 50, maxRetriesPerRequest: null });
  redis.on('error', () => {});
  await redis.ping();
  const said: string[] = [];
  const monitor = await redis.monitor();
  monitor.on('monitor', (_, args: string[]) => said.push(args.join('\n')));
  undo.push(async () => [monitor, redis].map((each) => each.disconnect()));
  return { url, directory, said };
}

export async function startStage(): Promise<Stage> {
  const undo: Undo = [];
  const stop = async () => {
    for (const step of undo.reverse()) await step();
  };
  try {
    const markers = createMarkers();
    const secrets = new Map<string, string>();
    const secretOf = (owner: string) => {
      // In a header there is ASCII only.
      const known = secrets.get(owner) ?? markers.make('client secret', owner, owner === 'header' ? 'ascii' : 'odd');
      secrets.set(owner, known);
      return known;
    };
    const [bundle, kms, postgres, redis, talker, recorder, collector, work, metricsPort] = await Promise.all([
      bundled('src/main.ts', ['bullmq', 'ioredis', 'pg']),
      startKms(),
      startPostgres(markers, undo),
      startRedis(markers, undo),
      startTalker(markers, secretOf),
      startRecorder(),
      startCollector(),
      folder(undo),
      freePort(),
    ]);
    undo.push(bundle.remove, kms.stop, talker.stop, recorder.stop, collector.stop);
    const directories = { work, data: join(work, 'data'), reports: join(work, 'reports') };
    await Promise.all(Object.values(directories).map((directory) => mkdir(directory, { recursive: true })));
    const line = await layLine(postgres.url, 5432);
    undo.push(line.cut);

    const masterKey = randomBytes(32);
    markers.note('master key', 'broker', masterKey.toString('base64url'));
    markers.note('master key', 'broker', masterKey.toString('hex'));
    const tokenFile = join(work, 'kms-token');
    markers.note('key service credential', 'broker', kms.token);
    await writeFile(tokenFile, kms.token, { mode: 0o600 });
    const ownKey = randomBytes(32);
    for (const encoding of ['base64url', 'hex'] as const) markers.note('master key', 'leaving', ownKey.toString(encoding));
    const ring = { keys: [{ kty: 'oct', kid: 'leak-own', k: ownKey.toString('base64url') }] };
    const service = { url: kms.url, token_file: tokenFile, allow_private_host: true };
    const projectKeysFile = join(work, 'project-keys.json');
    await writeFile(projectKeysFile, JSON.stringify({ leaving: ring, sealed: { service } }), { mode: 0o600 });
    const messageFile = join(work, 'message');
    await writeFile(messageFile, markers.make('crash message', 'broker', 'odd'));
    const env = {
      DATABASE_URL: line.url,
      REDIS_URL: redis.url,
      GRANTRY_KEYS: JSON.stringify({ keys: [{ kty: 'oct', kid: 'leak-1', k: masterKey.toString('base64url') }] }),
      GRANTRY_KMS_URL: kms.url,
      GRANTRY_KMS_TOKEN_FILE: tokenFile,
      GRANTRY_KMS_ALLOW_PRIVATE_HOST: 'true',
      GRANTRY_PROJECT_KEYS_FILE: projectKeysFile,
      GRANTRY_ROOT_KEY: markers.make('root key', 'broker') + markers.make('root key', 'broker'),
      GRANTRY_ROLE: 'all',
      GRANTRY_DATA_DIR: directories.data,
      PUBLIC_URL: recorder.url,
      LOG_LEVEL: 'trace',
      METRICS_PORT: String(metricsPort),
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_HEADERS: `authorization=${markers.make('collector header', 'broker')}`,
      OTEL_BSP_SCHEDULE_DELAY: '200',
      NODE_OPTIONS: [
        `--report-directory=${directories.reports}`,
        '--report-on-signal',
        '--report-uncaught-exception',
        '--report-on-fatalerror',
        `--import=${fileURLToPath(new URL('./crash-hook.mjs', import.meta.url))}`,
      ].join(' '),
      LEAK_TEST_MESSAGE: messageFile,
    };
    const broker = await startBrokerProcess(env, bundle.program);
    undo.push(async () => broker.process.exitCode === null && broker.end('SIGKILL'));
    recorder.goTo(broker.url);
    const pool = new pg.Pool({ connectionString: postgres.url, max: 2, application_name: 'leak-test' });
    pool.on('error', () => {});
    undo.push(() => pool.end());
    return {
      markers,
      talker,
      recorder,
      collector,
      broker,
      bundle,
      kms,
      ring: JSON.stringify(ring),
      env,
      root: createGrantryClient({ baseUrl: recorder.url, apiKey: env.GRANTRY_ROOT_KEY }),
      metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
      line,
      postgres,
      redis,
      directories,
      secretOf,
      sql: async <T extends pg.QueryResultRow>(text: string, values?: unknown[]) => (await pool.query<T>(text, values)).rows,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Waits until it is so; throws what it was when it takes too long. */
export async function until<T>(look: () => Promise<T> | T, isSo: (seen: T) => boolean): Promise<T> {
  for (let left = 3600; ; left -= 1) {
    const seen = await look();
    if (isSo(seen)) return seen;
    if (left === 0) throw new Error(`It did not come to that: ${JSON.stringify(seen)}`);
    await sleep(50);
  }
}
