import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { type Measured, startMeasured } from '../../bench/server.ts';
import { createGrantryClient, type GrantryClient, GrantryProblem } from '../../src/client/client.ts';
import { startEmbeddedPostgres } from '../../src/outside/embedded-postgres.ts';
import { generateKeyRing, parseKeyRing } from '../../src/outside/key-ring.ts';
import { openPostgres } from '../../src/outside/postgres/database.ts';
import { createStore } from '../../src/outside/postgres/store.ts';
import { createSeal } from '../../src/outside/seal.ts';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { fillConnections } from './fill.ts';

/**
 * `npm run rotation [-- --rows 100000 --rate 4000]`: the keys are rotated under a web process and a worker, while eight readers fetch tokens of
 * all rows and a refresher renews connections at a provider that gives each refresh token once. Ends with 1 when a read or a refresh failed,
 * or when anything is left with the old key.
 */

const { values } = parseArgs({ options: { rows: { type: 'string', default: '100000' }, rate: { type: 'string', default: '4000' } } });
const rows = Number(values.rows);
const readers = 8;
const refreshed = 40;
const secondsBefore = 20;
const secret = 'a-credential-that-every-row-holds';
const rootKey = `root_${randomBytes(24).toString('base64url')}`;

type Rotation = {
  phase: string;
  total: number;
  done: number;
  problem: string | null;
  keys_destroyed: number;
  tables: { resealed: number; damaged: number; left: number }[];
};
type State = {
  data_keys: { current: number; retired: number; keys: { id: string; state: string }[] };
  rotation: Rotation | null;
  damaged: { count: number };
  rows: { fields: { data_key: string | null; count: number }[] }[];
};

const say = (line: string) => void process.stdout.write(`${line}\n`);

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** What readers and the refresher have done so far, and what failed. */
type Tally = { reads: number; refreshes: number; failed: string[] };

/** With the reason that the broker gives, or what the network said. */
function wordsOf(error: unknown): string {
  if (error instanceof GrantryProblem) return `${error.code} ${String(error.problem.reason ?? '')}: ${error.message}`;
  if (error instanceof Error) return error.cause === undefined ? error.message : `${error.message} (${wordsOf(error.cause)})`;
  return String(error);
}

function load(client: GrantryClient, ids: readonly string[], renewed: readonly string[]): { tally: Tally; stop(): Promise<unknown> } {
  const tally: Tally = { reads: 0, refreshes: 0, failed: [] };
  let over = false;
  const failed = (what: string) => (error: unknown) => void tally.failed.push(`${what}: ${wordsOf(error)}`);
  const reader = async (first: number) => {
    // A step that shares no factor with the number of rows comes to all of them.
    for (let n = first; !over; n += 7_919) {
      const read = client.getToken(ids[n % ids.length] ?? '');
      await read.then(({ access_token }) => access_token === secret || failed('read')('another credential'), failed('read'));
      tally.reads += 1;
    }
  };
  const refresher = async () => {
    for (let n = 0; !over; n += 1) {
      await client.getToken(renewed[n % renewed.length] ?? '', { force: true }).catch(failed('refresh'));
      tally.refreshes += 1;
    }
  };
  const all = Promise.all([...Array.from({ length: readers }, (_, n) => reader(n * 1_000)), refresher()]);
  return {
    tally,
    stop() {
      over = true;
      return all;
    },
  };
}

async function connected(root: GrantryClient, publicUrl: string, undo: (step: () => Promise<unknown>) => void): Promise<string[]> {
  const sandbox = await startSandbox({ publicUrl });
  undo(() => sandbox.stop());
  const as = sandbox.providers.authorizationServer;
  await root.call('PUT', '/v1/providers/sandbox-as', { body: as.definition });
  const integration = await root.call<{ redirect_uri: string }>('POST', '/v1/integrations', {
    body: { id: 'as', provider: 'sandbox-as', ...as.client },
  });
  as.registerRedirectUri(integration.redirect_uri);
  as.switches.autoApprove = { user: 'ada' };
  as.switches.accessTokenTtlS = 3_600;
  const ids: string[] = [];
  for (let n = 0; n < refreshed; n += 1) {
    const link = await root.createConnectLink({ integration: 'as', end_user: { id: `u${n}` } });
    await (await createBrowser().open(link.url)).submit();
    const { connection_id, error } = await root.getConnectLink(link.id);
    if (connection_id === null) throw new Error(`not connected: ${JSON.stringify(error)}`);
    ids.push(connection_id);
  }
  return ids;
}

async function patternOf(root: GrantryClient): Promise<string> {
  const acme = { id: 'acme', name: 'Acme', methods: { key: { grant: 'api_key', inputs: { api_key: { label: 'Key', secret: true } } } } };
  await root.call('PUT', '/v1/providers/acme', { body: acme });
  await root.call('POST', '/v1/integrations', { body: { id: 'acme', provider: 'acme' } });
  const body = { integration: 'acme', end_user: { id: 'u' }, grant: 'api_key', inputs: { api_key: secret } };
  return (await root.call<{ id: string }>('POST', '/v1/connections', { body })).id;
}

/** How many rows hold a credential that opens, and is the right one: by a process that has only the keys that are there now. */
async function opening(url: string, keys: string): Promise<number> {
  const postgres = openPostgres({ url, max: 2, onError: () => {} });
  const store = createStore(postgres);
  const seal = createSeal({ provider: parseKeyRing(keys), store: store.dataKeys });
  const { rows: all } = await postgres.pool.query<{ id: string; project_id: string; token_version: number; credential_sealed: string }>(
    'select id, project_id, token_version, credential_sealed from connections',
  );
  let open = 0;
  for (const { id, project_id, token_version, credential_sealed } of all) {
    const place = { project: project_id, table: 'connections', row: id, field: 'credential', version: token_version };
    await seal.open(place, credential_sealed).then(
      () => {
        open += 1;
      },
      () => {},
    );
  }
  await postgres.close();
  return open;
}

async function run(undo: (step: () => Promise<unknown>) => void): Promise<boolean> {
  execFileSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' });
  const dir = await mkdtemp(join(tmpdir(), 'grantry-rotation-'));
  undo(() => rm(dir, { recursive: true, force: true }));
  const postgres = await startEmbeddedPostgres({ dataDir: dir, log: () => {} });
  undo(() => postgres.stop());
  const port = await freePort();
  const keys = generateKeyRing();
  const env = {
    DATABASE_URL: postgres.url,
    GRANTRY_DATA_DIR: join(dir, 'data'),
    GRANTRY_ROOT_KEY: rootKey,
    GRANTRY_KEYS: keys,
    GRANTRY_ALLOW_PRIVATE_HOSTS: 'true',
    GRANTRY_ROTATION_RATE: values.rate,
    GRANTRY_KEY_GRACE_HOURS: '0',
    PORT: String(port),
    PUBLIC_URL: `http://localhost:${port}`,
    LOG_LEVEL: 'warn',
  };
  const url = `http://127.0.0.1:${port}`;
  const web: Measured = await startMeasured('dist/main.js', { url, env: { ...env, GRANTRY_ROLE: 'web' } });
  undo(() => web.stop());
  const root = createGrantryClient({ baseUrl: url, apiKey: rootKey });
  const renewed = await connected(root, env.PUBLIC_URL, undo);
  const pattern = await patternOf(root);
  const pool = new pg.Pool({ connectionString: postgres.url, max: 2 });
  undo(() => pool.end());
  const filling = openPostgres({ url: postgres.url, max: 2, onError: () => {} });
  const seal = createSeal({ provider: parseKeyRing(keys), store: createStore(filling).dataKeys });
  const ids = [pattern, ...(await fillConnections(pool, seal, pattern, rows - renewed.length - 1))];
  await filling.close();
  await pool.query('vacuum analyze connections');
  // Role all, and a port that nobody asks: a worker that listens tells when it is ready.
  const workerPort = await freePort();
  const worker = await startMeasured('dist/main.js', {
    url: `http://127.0.0.1:${workerPort}`,
    env: { ...env, GRANTRY_ROLE: 'all', PORT: String(workerPort) },
  });
  undo(() => worker.stop());

  const stateOf = (query: Record<string, boolean> = {}) => root.call<State>('GET', '/v1/encryption', { query });
  const old = (await stateOf()).data_keys.keys.find(({ state }) => state === 'current')?.id ?? '';
  say(`${ids.length + renewed.length} connections sealed with ${old}; ${readers} readers, 1 refresher, ${values.rate} fields a second at most`);
  const running = load(root, ids, renewed);
  const { tally } = running;
  const paceOf = async (until: () => Promise<boolean>) => {
    const [startedMs, reads] = [performance.now(), tally.reads];
    while (!(await until())) await sleep(500);
    return (tally.reads - reads) / ((performance.now() - startedMs) / 1000);
  };
  await sleep(3_000); // to get warm
  const beforeUntilMs = performance.now() + secondsBefore * 1000;
  const before = await paceOf(async () => performance.now() > beforeUntilMs);
  await root.call('POST', '/v1/encryption/rotate');
  let seen = '';
  const phaseIs =
    (...phases: string[]) =>
    async () => {
      const { rotation } = await stateOf();
      const phase = rotation?.phase ?? '';
      if (phase !== seen) say(`  ${phase}${rotation?.problem ? ` (${rotation.problem})` : ''}`);
      seen = phase;
      return phases.includes(phase);
    };
  await paceOf(phaseIs('rows', 'done'));
  const begunMs = performance.now();
  const during = await paceOf(phaseIs('done'));
  const tookS = (performance.now() - begunMs) / 1000;
  await running.stop();

  const state = await stateOf({ count: true });
  const fields = state.rows.flatMap((table) => table.fields);
  const sum = (of: (each: (typeof fields)[number]) => boolean) => fields.filter(of).reduce((total, { count }) => total + count, 0);
  const left = sum(({ data_key }) => data_key === old);
  const current = new Set(state.data_keys.keys.filter((key) => key.state === 'current').map(({ id }) => id));
  const { rows: absent } = await pool.query('select 1 from data_keys where kid = $1', [old]);
  const lost = await Promise.all(
    renewed.map((id) =>
      root.getToken(id, { force: true }).then(
        () => 0,
        () => 1,
      ),
    ),
  );
  const open = await opening(postgres.url, keys);
  const resealed = state.rotation?.tables.reduce((total, table) => total + table.resealed, 0) ?? 0;
  const failedReads = tally.failed.filter((what) => what.startsWith('read'));
  say('');
  say(`failed reads                     ${failedReads.length} of ${tally.reads}`);
  say(
    `failed refreshes                 ${tally.failed.length - failedReads.length} of ${tally.refreshes}; connections lost: ${lost.filter((each) => each === 1).length} of ${renewed.length}`,
  );
  say(`sealed fields with the old key   ${left}`);
  say(
    `sealed fields with the new key   ${sum(({ data_key }) => data_key !== null && current.has(data_key))} (${resealed} sealed anew in ${tookS.toFixed(0)} s; damaged: ${state.damaged.count})`,
  );
  say(`credentials that open            ${open} of ${ids.length + renewed.length}`);
  say(
    `the old key                      ${absent.length === 0 && state.data_keys.retired === 0 ? 'retired and destroyed: in no table' : 'is still there'}`,
  );
  say(`reads a second during / before   ${(during / before).toFixed(2)}`);
  for (const what of tally.failed.slice(0, 5)) say(what);
  return tally.failed.length === 0 && left === 0 && absent.length === 0 && open === ids.length + renewed.length && lost.every((each) => each === 0);
}

const steps: (() => Promise<unknown>)[] = [];
try {
  process.exitCode = (await run((step) => steps.unshift(step))) ? 0 : 1;
} finally {
  for (const step of steps) await step().catch(() => {});
}
