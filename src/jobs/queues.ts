import { setTimeout as sleep } from 'node:timers/promises';
import { type BackendFactory, createPostgresBackend, createRedisBackend, type IQueueBackend, type QueueBaseOptions, withBackend } from 'bullmq';
import { takeWithCare } from './careful-backend.ts';
import { type Backend, postgresConnections, redisConnections } from './connections.ts';
import { ownJob, type StoredJob } from './own-job.ts';
import { createSchedules } from './schedules.ts';
import { createSuspicion, type Suspicion } from './spoiled.ts';

/** BullMQ: one queue, its schedules and this process's worker at it. */

/** A job as it comes from the queue, from which anybody may have sent it: parse the payload. */
export type Job = { name: string; payload: unknown };

/** What is to be done on a queue. */
export type Work = {
  /** Also the queue's name: letters and hyphens. */
  name: string;
  /** How many jobs this process runs at a time. */
  concurrency: number;
  /** What is to be done by itself: names of jobs, and after how many milliseconds again. */
  schedules: Readonly<Record<string, number>>;
  /** One job. Jobs are delivered at least once, so it must be safe twice. Rejections are stored: no secret in them. */
  run(job: Job): Promise<void>;
};

/** While a job with this id waits or runs, another one is not added, except once in five minutes. No `:` in it. */
export type NewJob = { name: string; id: string; payload: Readonly<Record<string, string | number>> };

export type Depth = { waiting: number; active: number; delayed: number };

export type OpenQueue = {
  /** Adds jobs; rejects when the server is away. */
  add(jobs: readonly NewJob[]): Promise<void>;
  depth(): Promise<Depth>;
  /**
   * Sees to it that the schedules are there: the next run stays where it is, or is now when there was none. `wiped`: one was not
   * there, though it had been; then `onWiped` comes first, so that the first run finds what it has put right.
   */
  schedule(onWiped?: () => Promise<void>): Promise<'kept' | 'wiped'>;
  /** The first `schedule` of a process: everything runs once now in any case. Several processes that begin within ten seconds are one run. */
  begin(): Promise<void>;
  /** Empties the queue, and says so, when it holds what cannot be read, or is held: somebody else has written to it. Never on Postgres. */
  heal(): Promise<boolean>;
  /** What stands in `INFO` of the Redis server; empty on Postgres. */
  serverInfo(): Promise<string>;
  /** Takes no further job, gives those in flight `graceMs` to end, and closes the connections whether or not the other side answers. */
  close(graceMs: number): Promise<void>;
};

export type QueueOptions = {
  backend: Backend;
  work: Work;
  telemetry?: Telemetry | undefined;
  now(): Date;
  /** Hears of connections that broke and commands that failed; without it they would end the process. */
  onError(error: unknown): void;
  /** Ends the waiting for a server that is away. */
  signal: AbortSignal;
};

/** What BullMQ tells of its jobs. */
export type Telemetry = NonNullable<QueueBaseOptions['telemetry']>;

/** A job that somebody else has put at an id of ours keeps nothing back for longer. */
const idMs = 300_000;
/** What is kept of finished scheduled jobs, for a look at what happened. */
const kept = { removeOnComplete: { count: 50, age: 3_600 }, removeOnFail: { count: 100, age: 86_400 } };
/** A finished job that is kept would block its id. What became of it stands in Postgres. */
const gone = { removeOnComplete: true, removeOnFail: true };
/** A worker that was killed has its jobs given to others after this. */
const patience = { lockDuration: 20_000, stalledInterval: 15_000 };

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop);
  });
  return await Promise.race([work, aborted]).finally(() => signal.removeEventListener('abort', stop));
}

const settledWithin = (ms: number, work: readonly Promise<unknown>[]) => {
  const waiting = new AbortController();
  const late = sleep(ms, undefined, { signal: waiting.signal }).catch(() => {});
  return Promise.race([Promise.allSettled(work), late]).finally(() => waiting.abort());
};

async function openOn<B extends IQueueBackend, C>(
  factory: BackendFactory<B, C>,
  connections: { queue: C; worker: C },
  { work, telemetry, now, onError, signal }: QueueOptions,
): Promise<Omit<OpenQueue, 'serverInfo' | 'heal'> & { backend: B; prefix: string; suspicion: Suspicion }> {
  const suspicion = createSuspicion();
  const report = (error: unknown): void => {
    suspicion.note(error);
    onError(error);
  };
  const ownOpts = Object.keys(work.schedules).length === 0 ? gone : {};
  const own = (job: StoredJob, id: string) => ownJob(job, id, work.schedules, ownOpts);
  const careful: typeof factory = (...args) => takeWithCare(factory(...args), { own, sleep });
  const { Queue, Worker } = withBackend(careful);
  // All keys of a queue carry one hash tag: in a Redis Cluster they lie in one slot.
  const prefix = `{grantry-${work.name}}`;
  const traced = telemetry && { telemetry };
  const queue = new Queue(work.name, {
    connection: connections.queue,
    prefix,
    streams: { events: { maxLen: 1_000 } },
    defaultJobOptions: kept,
    ...traced,
  });
  const inFlight = new Set<Promise<void>>();
  const worker = new Worker(
    work.name,
    async (job) => {
      const run = work.run({ name: job.name, payload: job.data }).finally(() => inFlight.delete(run));
      inFlight.add(run);
      await run;
    },
    { connection: connections.worker, prefix, concurrency: work.concurrency, autorun: false, runRetryDelay: 2_000, ...patience, ...kept, ...traced },
  );
  queue.on('error', report);
  worker.on('error', report);

  async function close(graceMs: number): Promise<void> {
    const closing = worker.close(graceMs === 0);
    await settledWithin(graceMs, [...inFlight]);
    await settledWithin(2_000, [closing, queue.close()]);
    await settledWithin(1_000, [worker.disconnect(), queue.disconnect()]);
  }

  try {
    await unlessAborted(Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]), signal);
  } catch (error) {
    await close(0);
    throw error;
  }
  worker.run().catch(report);
  const schedules = createSchedules({ queue, intervals: work.schedules, kept, onStrange: suspicion.raise });

  return {
    backend: queue.getBackend(),
    prefix: `${prefix}:${work.name}:`,
    suspicion,
    async add(jobs) {
      const turn = Math.floor(now().getTime() / idMs);
      await suspicion.during(
        queue.addBulk(jobs.map(({ name, id, payload }) => ({ name, data: payload, opts: { ...gone, jobId: `${id}-${turn}` } }))),
      );
    },
    async depth() {
      const counts = await suspicion.during(queue.getJobCounts('waiting', 'prioritized', 'active', 'delayed'));
      const { waiting = 0, prioritized = 0, active = 0, delayed = 0 } = counts;
      return { waiting: waiting + prioritized, active, delayed };
    },
    schedule: async (onWiped = async () => {}) => ((await suspicion.during(schedules.renewMissing(onWiped))) > 0 ? 'wiped' : 'kept'),
    begin: () => suspicion.during(schedules.begin()),
    close,
  };
}

/** Opens the queue and begins to work at it. Rejects when the server refuses us; one that is away is waited for (Redis) or reported (Postgres). */
export async function openQueue(options: QueueOptions): Promise<OpenQueue> {
  const { kind, url } = options.backend;
  if (kind === 'postgres') {
    const { backend: _, prefix: __, suspicion: ___, ...queue } = await openOn(createPostgresBackend, postgresConnections(url), options);
    return { ...queue, heal: async () => false, serverInfo: async () => '' };
  }
  const { backend, prefix, suspicion, ...queue } = await openOn(createRedisBackend, redisConnections(url), options);
  return {
    ...queue,
    heal: async () => suspicion.heal(await backend.connection.client, prefix),
    serverInfo: async () => (await backend.connection.client).info(),
  };
}
