import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Queue } from 'bullmq';
import pg from 'pg';
import { createGrantryClient, type GrantryClient } from '../../src/client/client.ts';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/outside/log.ts';
import { type RunningBroker, startBroker } from '../../src/process.ts';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { type Bundle, bundled } from '../harness/bundle.ts';
import { freePort } from '../harness/free-port.ts';
import { noLimits } from '../harness/no-limits.ts';
import { type Receiver, startReceiver } from './receiver.ts';
import { type Server, startPostgres, startRedis } from './servers.ts';
import { loadWorker, type Worker } from './worker-process.ts';

/** All that a torture needs, with nothing replaced: Postgres, Redis, the provider, a web process that lives, and workers to be ended. */

export type Connected = { id: string; user: string };

export type Stage = {
  as: Sandbox['providers']['authorizationServer'];
  web: GrantryClient;
  broker: RunningBroker;
  postgres: Server;
  redis: Awaited<ReturnType<typeof startRedis>>;
  receiver: Receiver;
  /** Where workers keep what Postgres cannot take: they are all on one machine. */
  dataDir: string;
  /** The leases that the web process ever took: it lives, so none of them is a dead one's. */
  livingLeases: ReadonlySet<string>;
  sql<T extends pg.QueryResultRow = pg.QueryResultRow>(text: string, values?: unknown[]): Promise<T[]>;
  /** A client of the worker that listens there. */
  clientOf(url: string): GrantryClient;
  loadWorker(): Worker;
  /** A new user connects. */
  connect(): Promise<Connected>;
  /** The sweeps run now, and not only when their next turn comes. */
  sweep(): Promise<void>;
  stop(): Promise<void>;
};

const rootKey = 'root-key-of-the-torture-with-32-characters';
const keys = JSON.stringify({ keys: [{ kty: 'oct', kid: 'torture', k: Buffer.alloc(32, 9).toString('base64url') }] });

export async function setStage(): Promise<Stage> {
  const undo: (() => Promise<unknown>)[] = [];
  const later = <T>(thing: T, end: (thing: T) => Promise<unknown>): T => {
    undo.unshift(() => end(thing));
    return thing;
  };
  const stop = async () => {
    for (const step of undo.splice(0)) await step().catch(() => {});
  };
  try {
    const dataDir = later(await mkdtemp(join(tmpdir(), 'grantry-torture-data-')), (dir) => rm(dir, { recursive: true, force: true }));
    const program: Bundle = later(await bundled('test/torture/worker.ts'), ({ remove }) => remove());
    const postgres = later(await startPostgres(), (server) => server.stop());
    const redis = later(await startRedis(), (server) => server.stop());
    const port = await freePort();
    // Cookies know no ports: the providers are at 127.0.0.1.
    const publicUrl = `http://localhost:${port}`;
    const env = {
      DATABASE_URL: postgres.url,
      REDIS_URL: redis.url,
      GRANTRY_DATA_DIR: dataDir,
      GRANTRY_ROOT_KEY: rootKey,
      GRANTRY_KEYS: keys,
      GRANTRY_ALLOW_PRIVATE_HOSTS: 'true',
      // Few at a time: those that are under way at a kill may be lost.
      GRANTRY_REFRESH_CONCURRENCY: '4',
      PUBLIC_URL: publicUrl,
      LOG_LEVEL: 'warn',
    };
    const livingLeases = new Set<string>();
    const broker = later(await startWeb({ env: { ...env, PORT: String(port) }, packageRoot: program.packageRoot, livingLeases }), (web) =>
      web.stop(),
    );
    const sandbox = later(await startSandbox({ publicUrl }), (providers) => providers.stop());
    const receiver = later(await startReceiver(), (server) => server.stop());
    const pool = later(new pg.Pool({ connectionString: postgres.url, max: 2 }), (each) => each.end());
    pool.on('error', () => {});
    const queue = later(
      new Queue('maintenance', { connection: { url: redis.url, maxRetriesPerRequest: 1 }, prefix: '{grantry-maintenance}' }),
      (each) => each.close(),
    );
    queue.on('error', () => {});
    const web = createGrantryClient({ baseUrl: `http://127.0.0.1:${port}`, apiKey: rootKey });
    const as = sandbox.providers.authorizationServer;
    as.switches.accessTokenTtlS = 3_600;
    await register(web, as, receiver);
    let users = 0;

    return {
      as,
      web,
      broker,
      postgres,
      redis,
      receiver,
      dataDir,
      livingLeases,
      sql: async <T extends pg.QueryResultRow>(text: string, values?: unknown[]) => (await pool.query<T>(text, values)).rows,
      clientOf: (baseUrl) => createGrantryClient({ baseUrl, apiKey: rootKey }),
      loadWorker: () => loadWorker(program, { ...env, PORT: '0' }),
      async connect() {
        users += 1;
        const user = `user-${users}`;
        const link = await web.createConnectLink({ integration: 'as', end_user: { id: user } });
        const page = await createBrowser().open(link.url);
        await (await page.submit()).submit({ user }, 'Approve');
        const { connection_id, error } = await web.getConnectLink(link.id);
        if (connection_id === null) throw new Error(`not connected: ${JSON.stringify(error)}`);
        return { id: connection_id, user };
      },
      async sweep() {
        const gone = { removeOnComplete: true, removeOnFail: true };
        await queue.addBulk(['sweep-refreshes', 'sweep-webhooks'].map((name) => ({ name, data: {}, opts: gone })));
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

type Web = { env: Record<string, string>; packageRoot: string; livingLeases: Set<string> };

function startWeb({ env, packageRoot, livingLeases }: Web): Promise<RunningBroker> {
  const config = readConfig({ ...noLimits, ...env, GRANTRY_ROLE: 'web' });
  return startBroker({
    config,
    log: createLog('silent'),
    packageRoot,
    adapt(world) {
      const { read, due, postpone, handOutAgain, counts, commit, fail, claim } = world.store.refreshes;
      const noted: typeof claim = (connection, lease) => {
        livingLeases.add(lease);
        return claim(connection, lease);
      };
      return { ...world, store: { ...world.store, refreshes: { read, due, postpone, handOutAgain, counts, commit, fail, claim: noted } } };
    },
  });
}

async function register(web: GrantryClient, as: Stage['as'], receiver: Receiver): Promise<void> {
  await web.call('PUT', '/v1/providers/sandbox-as', { body: as.definition });
  const integration = await web.call<{ redirect_uri: string }>('POST', '/v1/integrations', {
    body: { id: 'as', provider: 'sandbox-as', ...as.client },
  });
  as.registerRedirectUri(integration.redirect_uri);
  await web.call('POST', '/v1/webhook-endpoints', { body: { url: receiver.url } });
}
