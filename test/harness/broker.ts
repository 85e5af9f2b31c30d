import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { inject } from 'vitest';
import type { World } from '../../src/broker/world.ts';
import { createGrantryClient, type GrantryClient, GrantryProblem } from '../../src/client/client.ts';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/outside/log.ts';
import { migrateDatabase } from '../../src/outside/postgres/database.ts';
import { type RunningBroker, startBroker } from '../../src/process.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';
import { noLimits } from './no-limits.ts';

/** A whole broker on a database of its own, listening on localhost, with the sandbox providers beside it. */

export const packageRoot = fileURLToPath(new URL('../..', import.meta.url));

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export type TestBroker = {
  broker: RunningBroker;
  url: string;
  /** The holder of the root key, in the default project. */
  root: GrantryClient;
  database: TestDatabase;
  /** Everything that was logged. */
  logged: string[];
  sql<T extends pg.QueryResultRow = pg.QueryResultRow>(text: string, values?: unknown[]): Promise<T[]>;
  /** A client with a fresh API key. */
  clientWith(scopes: string[], project?: string): Promise<GrantryClient & { key: string }>;
  stop(): Promise<void>;
};

const migrate = (url: string) => migrateDatabase(url, join(packageRoot, 'drizzle'));

export type TestBrokerOptions = {
  database?: TestDatabase;
  env?: Record<string, string>;
  adapt?: (world: World) => World;
  /** Starts another build of the broker than the sources. */
  start?: typeof startBroker;
};

export async function startTestBroker({ database, env = {}, adapt, start = startBroker }: TestBrokerOptions = {}): Promise<TestBroker> {
  const own = database ?? (await createTestDatabase({ migrate }));
  const dataDir = await mkdtemp(join(tmpdir(), 'grantry-test-'));
  const port = await freePort();
  const config = readConfig({
    DATABASE_URL: own.url,
    GRANTRY_DATA_DIR: env.GRANTRY_DATA_DIR ?? dataDir,
    GRANTRY_ALLOW_PRIVATE_HOSTS: 'true',
    GRANTRY_ROLE: 'web',
    PORT: String(port),
    HOST: '127.0.0.1',
    LOG_LEVEL: 'debug',
    ...noLimits,
    ...env,
  });
  const logged: string[] = [];
  const broker = await start({
    config,
    log: createLog(config.logLevel, { write: (line) => logged.push(line) }),
    packageRoot,
    compiledProviders: inject('compiledProviders'),
    ...(adapt !== undefined && { adapt }),
  });
  const url = broker.publicUrl;
  const root = createGrantryClient({ baseUrl: url, apiKey: broker.rootKey });
  const pool = new pg.Pool({ connectionString: own.url, max: 2 });
  pool.on('error', () => {});
  return {
    broker,
    url,
    root,
    database: own,
    logged,
    sql: async <T extends pg.QueryResultRow>(text: string, values?: unknown[]) => (await pool.query<T>(text, values)).rows,
    async clientWith(scopes, project) {
      const admin = project === undefined ? root : createGrantryClient({ baseUrl: url, apiKey: broker.rootKey, project });
      const { key } = await admin.call<{ key: string }>('POST', '/v1/api-keys', { body: { name: scopes.join(), scopes } });
      return Object.assign(createGrantryClient({ baseUrl: url, apiKey: key }), { key });
    },
    async stop() {
      await broker.stop();
      await pool.end();
      if (database === undefined) await own.drop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** A broker, the sandbox, and the sandbox's definitions and integrations in place. */
export async function startWholeSandbox(options: Parameters<typeof startTestBroker>[0] = {}): Promise<TestBroker & { sandbox: Sandbox }> {
  const test = await startTestBroker(options);
  const sandbox = await startSandbox({ publicUrl: test.url });
  return {
    ...test,
    sandbox,
    async stop() {
      await test.stop();
      await sandbox.stop();
    },
  };
}

/** The problem that a call is answered with. */
export async function problemOf(call: Promise<unknown>): Promise<GrantryProblem> {
  const outcome = await call.then(
    (answer) => new Error(`The call succeeded: ${JSON.stringify(answer)}`),
    (error: unknown) => error,
  );
  if (outcome instanceof GrantryProblem) return outcome;
  throw outcome;
}
