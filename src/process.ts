import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Diagnosis } from './broker/diagnosis.ts';
import { createHostHealth } from './broker/host-health.ts';
import { ensureDefaultProject } from './broker/projects.ts';
import { saveSpilled } from './broker/refresh-outcome.ts';
import { checkMasterKeys } from './broker/rotate-keys.ts';
import { sha256 } from './broker/secrets.ts';
import { refreshesSettled } from './broker/under-way.ts';
import type { Log, World } from './broker/world.ts';
import { type Config, configurationAdvice } from './config.ts';
import type { Jobs } from './jobs/start.ts';
import { openMasterKeys } from './master-keys.ts';
import { createAudit } from './outside/audit.ts';
import { checkCanary } from './outside/canary.ts';
import { diagnoseKeys, diagnosePostgres } from './outside/diagnosis.ts';
import { createDoor } from './outside/http.ts';
import type { KeyProvider } from './outside/key-provider.ts';
import { createKeyTurning } from './outside/key-turning.ts';
import { createLimits } from './outside/limits.ts';
import { createMetrics } from './outside/metrics.ts';
import { migrateDatabase, openPostgres, type Postgres } from './outside/postgres/database.ts';
import { createStore } from './outside/postgres/store.ts';
import { type OwnKeys, proveOwnRings } from './outside/project-keys.ts';
import { diagnoseProjectKeys } from './outside/project-keys-diagnosis.ts';
import { loadOrCreateRootKey } from './outside/root-key-file.ts';
import { createSeal } from './outside/seal.ts';
import { type Counter, createSharedLimits } from './outside/shared-limits.ts';
import { loadShippedProviders } from './outside/shipped-providers.ts';
import { createSpill } from './outside/spill.ts';
import { createUses } from './outside/uses.ts';
import { createWakeups } from './outside/wakeups.ts';
import { createWebServer } from './web/app.ts';
import { startMetricsServer } from './web/metrics-route.ts';

/** The process put together: the one place besides main.ts that sees all floors. */

export type RunningBroker = {
  /** Where it listens; undefined for a worker. */
  address: { host: string; port: number } | undefined;
  publicUrl: string;
  databaseUrl: string;
  /** Shown once, when it was made now. */
  newRootKey: string | undefined;
  rootKey: string;
  world: World;
  /** Stops taking work, ends what is under way, closes everything. */
  stop(): Promise<void>;
};

export type StartOptions = {
  config: Config;
  log: Log;
  /** The directory that holds providers/ and drizzle/. */
  packageRoot: string;
  /** What the build made of providers/; without it, they are parsed. */
  compiledProviders?: string;
  /** Changes the world before anything uses it: for tests that watch, or end, the process at a certain point. */
  adapt?: (world: World) => World;
};

/** So long each thing may take to close: a server that swallows packets answers no farewell. */
const usualClosingMs = 5_000;
/** These have limits of their own, and wait for work. */
const closingMs: Readonly<Record<string, number>> = { intake: 30_000, refreshes: 15_000, 'embedded postgres': 20_000 };

/** Things to undo, in reverse order, each tried whatever the others do. */
function createClosers(log: Log) {
  const closers: [string, () => Promise<unknown>][] = [];
  return {
    add: (name: string, close: () => Promise<unknown>) => closers.push([name, close]),
    async closeAll() {
      for (const [name, close] of closers.reverse()) {
        const late = sleep(closingMs[name] ?? usualClosingMs, 'late' as const, { ref: false });
        await Promise.race([close(), late])
          .then((outcome) => outcome === 'late' && log.error({ what: name }, 'could not be closed in time'))
          .catch((error: unknown) => log.error({ what: name, error: error instanceof Error ? error.name : typeof error }, 'could not be closed'));
      }
      closers.length = 0;
    },
  };
}

async function databaseUrl(config: Config, log: Log, onClose: (close: () => Promise<unknown>) => void): Promise<string> {
  if (config.database.kind === 'external') return config.database.url.reveal();
  const [{ startEmbeddedPostgres }, { brokerUrl }] = await Promise.all([
    import('./outside/embedded-postgres.ts'),
    import('./outside/embedded-postgres/broker-role.ts'),
  ]);
  const server = await startEmbeddedPostgres({ dataDir: config.database.dir, log: (message) => log.info({}, message) });
  onClose(() => server.stop());
  return brokerUrl(server.url);
}

/** Listens; the port that was really taken (0 asks for a free one). */
async function listen(server: Server, { host, port }: Pick<Config, 'host' | 'port'>): Promise<{ host: string; port: number }> {
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  return { host, port: typeof address === 'object' && address !== null ? address.port : port };
}

/** How long a stop waits for refreshes under way; before it go 23 s at most for jobs and requests, and after it 5 s are left of 40. */
const refreshGraceMs = 12_000;

/** Begins all of them now; the first failure is told when all have ended. */
async function stopTogether(stops: readonly (() => Promise<unknown>)[]): Promise<void> {
  const outcomes = await Promise.allSettled(stops.map((stop) => stop()));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

/** No new connection; requests under way get ten seconds to end. */
async function drain(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  // A connection whose request ends now is idle only afterwards, and its client would keep it open.
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  const cut = setTimeout(() => server.closeAllConnections(), 10_000);
  await closed;
  clearInterval(idle);
  clearTimeout(cut);
}

async function diagnose(
  config: Config,
  { provider, own, pool, store }: { provider: KeyProvider; own: OwnKeys; pool: Postgres['pool']; store: World['store'] },
): Promise<Diagnosis[]> {
  const advice = configurationAdvice(config);
  const configuration: Diagnosis = {
    check: 'configuration',
    ...(advice === undefined ? { outcome: 'ok', what: 'It is complete.' } : { outcome: 'warning', ...advice }),
  };
  const { diagnoseRedis } = await import('./jobs/diagnosis.ts');
  const redis = diagnoseRedis(config.queue.kind === 'redis' ? config.queue.url.reveal() : undefined);
  const projectKeys = diagnoseProjectKeys(provider, own, store);
  const ours = await Promise.all([
    configuration,
    diagnosePostgres(pool, () => new Date(), config.database.kind === 'embedded'),
    redis,
    diagnoseKeys(provider, store.dataKeys, config.keys.kind === 'file'),
  ]);
  return [...ours, ...(await projectKeys)];
}

/** Where all processes count together. Its connections are its own: what is counted takes none from those that look up tokens. */
async function openCounter(config: Config, url: string, { log, closers }: { log: Log; closers: ReturnType<typeof createClosers> }): Promise<Counter> {
  if (config.queue.kind === 'redis') {
    const { openRedis } = await import('./outside/redis.ts');
    const { redis, close } = await openRedis({
      url: config.queue.url.reveal(),
      onError: (error) => log.debug({ error: error.name }, 'the connection to Redis broke'),
    });
    closers.add('counter', async () => close());
    return { kind: 'redis', redis };
  }
  const { pool, close } = openPostgres({
    url,
    max: 2,
    silenceMs: 1_000,
    onError: (error) => log.debug({ error: error.name }, 'a database connection broke'),
  });
  closers.add('counter', close);
  return { kind: 'postgres', pool };
}

/** What a process that had to end could not save. A failure of it stops nobody; it is tried again. */
async function restoreSpilled(world: World): Promise<void> {
  try {
    const saved = await saveSpilled(world);
    if (saved > 0) world.log.info({ saved }, 'credentials that had been spilled to the disk were saved');
  } catch (error) {
    world.log.error({ error: error instanceof Error ? error.name : typeof error }, 'spilled credentials could not be saved yet');
  }
}

/** Starts everything that the configuration asks for. On failure nothing is left running. */
export async function startBroker({ config, log, packageRoot, compiledProviders, adapt = (world) => world }: StartOptions): Promise<RunningBroker> {
  const closers = createClosers(log);
  try {
    const { provider, own, close: closeKeys } = await openMasterKeys(config, log);
    closers.add('keys', closeKeys);
    const root =
      config.rootKey.kind === 'given' ? { key: config.rootKey.key, origin: 'found' as const } : await loadOrCreateRootKey(config.rootKey.dir);
    const providers = join(packageRoot, 'providers');
    const shipped = await loadShippedProviders(providers, compiledProviders);
    const url = await databaseUrl(config, log, (close) => closers.add('embedded postgres', close));
    await migrateDatabase(url, join(packageRoot, 'drizzle'));
    const postgres = openPostgres({ url, max: 10, onError: (error) => log.warn({ error: error.name }, 'a database connection broke') });
    closers.add('postgres', postgres.close);
    const store = createStore(postgres);
    await checkCanary(provider, store.dataKeys);
    await proveOwnRings(own, store.dataKeys);
    if (provider.holds !== undefined) await checkMasterKeys({ store }, provider.holds, provider.name);
    await ensureDefaultProject({ store });
    const door = createDoor({
      allowPrivateHosts: config.allowPrivateHosts,
      perHost: Math.max(64, config.refreshConcurrency),
      log: ({ outcome, ...event }) =>
        log.debug(
          { ...event, ...('status' in outcome ? { status: outcome.status } : { refused: outcome.code, cause: outcome.cause }) },
          'outbound request',
        ),
    });
    closers.add('door', door.close);
    const wakeups = await createWakeups({ databaseUrl: url, log });
    closers.add('wakeups', wakeups.close);

    let jobs: Jobs | undefined;
    const metrics = createMetrics({ shipped, read: () => store.refreshes.counts(), queues: async () => jobs?.depths() ?? [], log });
    const { meter } = metrics;
    const uses = createUses({ flush: (ids) => store.probes.used(ids), everyMs: 60_000, log });
    closers.add('uses', uses.close);
    const keyUses = createUses({ flush: (ids) => store.apiKeys.used(ids), everyMs: 60_000, log });
    closers.add('key uses', keyUses.close);
    const audit = createAudit({ store: store.audit, everyMs: 5_000, now: Date.now, log });
    closers.add('audit', audit.close);
    const elapsedMs = () => performance.now();
    const world: World = adapt({
      publicUrl: config.publicUrl,
      allowPrivateHosts: config.allowPrivateHosts,
      store,
      seal: createSeal({
        provider,
        store: store.dataKeys,
        onUnopened: ({ project, table, row, field }) => {
          meter.unopened(table);
          log.error({ project, table, row, field }, 'a stored secret does not open');
        },
      }),
      keys: createKeyTurning(provider, undefined, own),
      door: door.send,
      shipped,
      shippedText: (id) => readFile(join(providers, `${id}.yaml`), 'utf8'),
      diagnose: () => diagnose(config, { provider, own, pool: postgres.pool, store }),
      wakeups,
      hosts: createHostHealth({ elapsedMs, random: Math.random, meter }),
      spill: createSpill({ dir: join(config.dataDir, 'spill'), log }),
      uses,
      keyUses,
      audit,
      limits: createLimits({ allowances: config.limits, elapsedMs }),
      sharedLimits: createSharedLimits({
        counter: await openCounter(config, url, { log, closers }),
        allowances: config.limits,
        inMemory: createLimits({ allowances: config.limits, elapsedMs }),
        elapsedMs,
        onAway: (error) =>
          log.warn({ error: error instanceof Error ? error.name : typeof error }, 'limits are counted by this process alone for five seconds'),
      }),
      mostPendingLinks: config.mostPendingLinks,
      meter,
      log,
      now: () => new Date(),
      elapsedMs,
      sleep: (ms, signal) => sleep(ms, undefined, signal && { signal }).catch(() => {}),
      random: randomBytes,
    });
    await restoreSpilled(world);
    const restoring = setInterval(() => void restoreSpilled(world), 60_000).unref();
    closers.add('spill', async () => clearInterval(restoring));

    // What a provider gives is saved before Postgres and the door go; one that cannot be saved is not waited for for ever.
    closers.add('refreshes', () => Promise.race([refreshesSettled(world), sleep(refreshGraceMs, undefined, { ref: false })]));

    const running = {
      publicUrl: config.publicUrl,
      databaseUrl: url,
      rootKey: root.key.reveal(),
      newRootKey: root.origin === 'made' ? root.key.reveal() : undefined,
      world,
    };
    let address: RunningBroker['address'];
    if (config.otlpEndpoint !== undefined) {
      const { startTelemetry } = await import('./outside/telemetry.ts');
      closers.add('telemetry', startTelemetry({ endpoint: config.otlpEndpoint, serviceName: 'grantry', role: config.role, log }).stop);
    }
    // What takes work in stops at once and together: no request comes while jobs end, and no job while requests do.
    const intake: (() => Promise<unknown>)[] = [];
    closers.add('intake', () => stopTogether(intake));
    if (config.role !== 'worker') {
      const server = createWebServer({
        world,
        metrics: metrics.text,
        root: { hash: sha256(root.key.reveal()) },
        trustProxy: config.trustedProxies,
        mostSockets: config.mostSockets,
      });
      address = await listen(server, config);
      intake.push(() => drain(server));
    }
    if (config.role !== 'web') {
      const { startJobs } = await import('./jobs/start.ts');
      const started = await startJobs({
        world,
        databaseUrl: url,
        redisUrl: config.queue.kind === 'redis' ? config.queue.url.reveal() : undefined,
        refreshConcurrency: config.refreshConcurrency,
        eventRetentionDays: config.eventRetentionDays,
        rotation: config.rotation,
        traced: config.otlpEndpoint !== undefined,
      });
      jobs = started;
      intake.push(started.stop);
    }
    if (config.metricsPort !== undefined) {
      const server = await startMetricsServer({ host: config.host, port: config.metricsPort, text: metrics.text });
      closers.add('metrics', server.stop);
    }
    log.info({ role: config.role, ...(address && { host: address.host, port: address.port }), providers: shipped.size }, 'ready');
    return { ...running, address, stop: closers.closeAll };
  } catch (error) {
    await closers.closeAll();
    throw error;
  }
}
