import type { World } from '../broker/world.ts';
import type { Backend } from './connections.ts';
import { keepQueue } from './keeper.ts';
import { maintenance, type Upkeep } from './maintenance.ts';
import type { Depth } from './queues.ts';
import { refreshes, refreshJob } from './refreshes.ts';
import { createSoon } from './soon.ts';
import { sweep } from './sweep.ts';
import { deliveryJob, webhooks } from './webhooks.ts';

export type Jobs = {
  /** Jobs by queue, for the metrics; a queue whose server is away is left out. */
  depths(): Promise<({ queue: string } & Depth)[]>;
  /** Takes no further job and lets those in flight end, for up to 20 s. */
  stop(): Promise<void>;
};

export type JobsOptions = {
  world: World;
  databaseUrl: string;
  /** Without it the queues live in the database. */
  redisUrl: string | undefined;
  /** How many refreshes this process has under way at most. */
  refreshConcurrency?: number;
  eventRetentionDays?: number;
  /** How fast keys are changed. */
  rotation?: Upkeep['rotation'];
  /** True: spans of the jobs are made, for whoever collects them. */
  traced?: boolean;
  /** How often the house is kept. */
  houseEveryMs?: number;
  /** How often due work is looked for. */
  sweepEveryMs?: number;
};

const usualRotation = { rowsPerS: 1_000, graceS: 86_400 };
/** So long after a sweep handed a refresh to the queue, the next one looks at it again; the same for deliveries, which take longer. */
const holdS = { refresh: 30, webhook: 60 };
/** Webhooks that are written together are looked for once. */
const gatherMs = 50;
/** What was put off is looked for when it is due again, with what else is by then; not more often than this beside the regular sweeps. */
const lateMs = 200;
const apartMs = 500;

/** Starts the background work of this process. Waits for no server: a queue whose server is away begins when it comes. */
export async function startJobs(options: JobsOptions): Promise<Jobs> {
  const {
    world,
    databaseUrl,
    redisUrl,
    refreshConcurrency = 200,
    eventRetentionDays = 90,
    rotation = usualRotation,
    traced = false,
    houseEveryMs,
    sweepEveryMs,
  } = options;
  const { log, now, meter, store } = world;
  const backend: Backend = redisUrl === undefined ? { kind: 'postgres', url: databaseUrl } : { kind: 'redis', url: redisUrl };
  if (backend.kind === 'postgres')
    log.info({}, 'jobs run on Postgres; a REDIS_URL would add pace (about four times as many jobs a second) and take their load off the database');

  const telemetry = traced ? (await import('./telemetry.ts')).createTelemetry() : undefined;
  const shared = { backend, log, now, meter, telemetry, lookEveryMs: sweepEveryMs };
  const soon = (run: (ms: number) => Promise<unknown>) => createSoon({ ...world, apartMs, run: () => void run(0).catch(() => {}) });
  const refreshesSoon = soon((ms) => sweepRefreshes(ms));
  const webhooksSoon = soon((ms) => sweepWebhooks(ms));
  const refresh = keepQueue({
    ...shared,
    onWiped: store.refreshes.handOutAgain,
    work: refreshes(world, { concurrency: refreshConcurrency, onPutOff: (ms) => refreshesSoon.within(ms + lateMs) }),
  });
  const webhook = keepQueue({
    ...shared,
    onWiped: store.webhooks.handOutAgain,
    work: webhooks(world, { onPutOff: (ms) => webhooksSoon.within(ms + lateMs) }),
  });
  const sweepRefreshes = (ms: number) =>
    sweep(
      world,
      { queue: refresh, jobOf: refreshJob, take: (limit) => store.refreshes.due(limit, holdS.refresh), giveBack: store.refreshes.handOutAgain },
      ms,
    );
  const sweepWebhooks = (ms: number) =>
    sweep(
      world,
      { queue: webhook, jobOf: deliveryJob, take: (limit) => store.webhooks.due(limit, holdS.webhook), giveBack: store.webhooks.handOutAgain },
      ms,
    );
  const upkeep = keepQueue({
    ...shared,
    work: maintenance({
      world,
      eventRetentionDays,
      rotation,
      sweepRefreshes,
      sweepWebhooks,
      ...(houseEveryMs !== undefined && { houseEveryMs }),
      ...(sweepEveryMs !== undefined && { sweepEveryMs }),
    }),
    // All queues lie in one place, and are lost together.
    onWiped: async () => {
      await Promise.all([store.refreshes.handOutAgain(), store.webhooks.handOutAgain()]);
    },
  });
  const queues = { refresh, webhooks: webhook, maintenance: upkeep };
  const unheard = world.wakeups.onWebhooks(() => {
    void sweepWebhooks(0).catch(() => {});
  }, gatherMs);

  return {
    async depths() {
      const known = await Promise.allSettled(Object.entries(queues).map(async ([queue, keeper]) => ({ queue, ...(await keeper.depth()) })));
      return known.flatMap((depth) => (depth.status === 'fulfilled' ? [depth.value] : []));
    },
    async stop() {
      unheard();
      refreshesSoon.stop();
      webhooksSoon.stop();
      await Promise.all(Object.values(queues).map((keeper) => keeper.stop()));
    },
  };
}
