import { setTimeout as sleep } from 'node:timers/promises';
import { type BackendFactory, createPostgresBackend, createRedisBackend, type IQueueBackend, type QueueBaseOptions, withBackend } from 'bullmq';
import { type Backend, postgresConnections, redisConnections } from './connections.ts';

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

/** While a job with this id waits or runs, another one is not added. No `:` in it. */
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
  /** What stands in `INFO` of the Redis server; empty on Postgres. */
  serverInfo(): Promise<string>;
  /** Takes no further job, gives those in flight `graceMs` to end, and closes the connections whether or not the other side answers. */
  close(graceMs: number): Promise<void>;
};

export type QueueOptions = {
  backend: Backend;
  work: Work;
  telemetry?: Telemetry | undefined;
  /** Hears of connections that broke and commands that failed; without it they would end the process. */
  onError(error: unknown): void;
  /** Ends the waiting for a server that is away. */
  signal: AbortSignal;
};

/** What BullMQ tells of its jobs. */
export type Telemetry = NonNullable<QueueBaseOptions['telemetry']>;

const failurePauseMs = 1_000;
/** What is kept of finished scheduled jobs, for a look at what happened. */
const kept = { removeOnComplete: { count: 50, age: 3_600 }, removeOnFail: { count: 100, age: 86_400 } };
/** A finished job that is kept would block its id. What became of it stands in Postgres. */
const gone = { removeOnComplete: true, removeOnFail: true };
/** A worker that was killed has its jobs given to others after this. */
const patience = { lockDuration: 20_000, stalledInterval: 15_000 };

/** BullMQ asks again at once when taking a job fails with anything but ECONNREFUSED (Redis out of memory: 3,500 times a second). This makes it wait. */
function unhurried<B extends IQueueBackend, C>(factory: BackendFactory<B, C>): BackendFactory<B, C> {
  return (...args) => {
    const backend = factory(...args);
    const take = backend.moveToActive.bind(backend);
    backend.moveToActive = async (...job) => {
      try {
        return await take(...job);
      } catch (error) {
        await sleep(failurePauseMs);
        throw error;
      }
    };
    return backend;
  };
}

/** Its next run is long past. */
const isStuck = ({ next = 0 }: { next?: number }, every: number): boolean => next < Date.now() - Math.max(60_000, 5 * every);

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
  { work, telemetry, onError, signal }: QueueOptions,
): Promise<Omit<OpenQueue, 'serverInfo'> & { backend: B }> {
  const { Queue, Worker } = withBackend(unhurried(factory));
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
  queue.on('error', onError);
  worker.on('error', onError);

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
  worker.run().catch(onError);
  const schedules = Object.entries(work.schedules);

  const renew = (name: string, every: number) => queue.upsertJobScheduler(name, { every }, { name, data: {}, opts: kept });

  /** How many were missing. One that is there is left alone: renewed in the moment of a wipe, it would hide it. */
  async function renewMissing(onWiped: () => Promise<void>): Promise<number> {
    const known = await Promise.all(schedules.map(async ([name, every]) => ({ name, every, found: await queue.getJobScheduler(name) })));
    const missing = known.filter(({ found }) => found === undefined).length;
    if (missing > 0) await onWiped();
    for (const { name, every, found } of known) if (found === undefined || isStuck(found, every)) await renew(name, every);
    return missing;
  }

  return {
    backend: queue.getBackend(),
    async add(jobs) {
      await queue.addBulk(jobs.map(({ name, id, payload }) => ({ name, data: payload, opts: { ...gone, jobId: id } })));
    },
    async depth() {
      const { waiting = 0, prioritized = 0, active = 0, delayed = 0 } = await queue.getJobCounts('waiting', 'prioritized', 'active', 'delayed');
      return { waiting: waiting + prioritized, active, delayed };
    },
    schedule: async (onWiped = async () => {}) => ((await renewMissing(onWiped)) > 0 ? 'wiped' : 'kept'),
    async begin() {
      if ((await renewMissing(async () => {})) === schedules.length) return;
      // Another version may have had other intervals.
      for (const [name, every] of schedules) await renew(name, every);
      for (const [name] of schedules) await queue.add(name, {}, { deduplication: { id: `begin-${name}`, ttl: 10_000 } });
    },
    close,
  };
}

/** Opens the queue and begins to work at it. Rejects when the server refuses us; one that is away is waited for (Redis) or reported (Postgres). */
export async function openQueue(options: QueueOptions): Promise<OpenQueue> {
  const { kind, url } = options.backend;
  if (kind === 'postgres') {
    const { backend: _, ...queue } = await openOn(createPostgresBackend, postgresConnections(url), options);
    return { ...queue, serverInfo: async () => '' };
  }
  const { backend, ...queue } = await openOn(createRedisBackend, redisConnections(url), options);
  return { ...queue, serverInfo: async () => (await backend.connection.client).info() };
}
