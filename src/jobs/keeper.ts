import { setTimeout as sleep } from 'node:timers/promises';
import type { Meter } from '../broker/meter.ts';
import type { Log } from '../broker/world.ts';
import { GrantryError } from '../protocol/errors.ts';
import type { Backend } from './connections.ts';
import type { Depth, Job, NewJob, OpenQueue, Telemetry, Work } from './queues.ts';
import { createTrouble, kindOf } from './trouble.ts';

export type Keeper = {
  /** Adds jobs. Throws `unavailable` while the queue is not open; else what the server says. */
  add(jobs: readonly NewJob[]): Promise<void>;
  /** How many jobs there are. Throws as `add`. */
  depth(): Promise<Depth>;
  /** Takes no further job and lets those in flight end, for up to 20 s. */
  stop(): Promise<void>;
};

export type KeeperOptions = {
  backend: Backend;
  work: Work;
  log: Log;
  now: () => Date;
  meter: Pick<Meter, 'jobEnded'>;
  telemetry?: Telemetry | undefined;
  /** Called when the server has lost what it had, before anything is scheduled there again; called again soon when it rejects. */
  onWiped?: () => Promise<void>;
  /** How often the queue is looked at, unless its schedules are shorter. */
  lookEveryMs?: number | undefined;
};

const graceMs = 20_000;
/** Warns of a Redis that drops keys when its memory is full: it would drop jobs. */
async function checkServer(queue: OpenQueue, log: Log): Promise<void> {
  const policy = /^maxmemory_policy:(\S+)/m.exec(await queue.serverInfo())?.[1];
  if (policy !== undefined && policy !== 'noeviction') {
    log.warn(
      { policy },
      'Redis evicts keys when its memory is full: set maxmemory-policy to noeviction, or jobs may be lost until the next schedule',
    );
  }
}

/**
 * Keeps a queue at work as long as the process lives: opens it, opens it again when the server refuses, and renews its schedules from this
 * process's own timer, so that a wiped server has them back soon. Returns at once; nobody waits for a server that is away.
 */
export function keepQueue({ backend, work, log, now, meter, telemetry, onWiped, lookEveryMs = 5_000 }: KeeperOptions): Keeper {
  const stopping = new AbortController();
  const { signal } = stopping;
  const trouble = createTrouble({ log, what: work.name, now });
  const pause = (ms: number) => sleep(ms, undefined, { signal }).catch(() => {});
  const shortestMs = Math.min(lookEveryMs, ...Object.values(work.schedules));
  let queue: OpenQueue | undefined;

  /** A name that is none of ours may be anything. */
  const nameOf = ({ name }: Job) => (Object.hasOwn(work.schedules, name) ? { job: name } : {});

  /** What a job throws is stored by the queue, stack and all: only its kind goes there. */
  async function run(job: Job): Promise<void> {
    const begunMs = performance.now();
    try {
      await work.run(job);
      meter.jobEnded(work.name, 'done', performance.now() - begunMs);
    } catch (error) {
      meter.jobEnded(work.name, 'failed', performance.now() - begunMs);
      log.error({ queue: work.name, ...nameOf(job), ...kindOf(error) }, 'a job failed');
      throw new Error(Object.values(kindOf(error)).join(' '));
    }
  }

  async function open(): Promise<OpenQueue | undefined> {
    const { openQueue } = await import('./queues.ts');
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        return await openQueue({ backend, work: { ...work, run }, telemetry, now, onError: trouble.report, signal });
      } catch (error) {
        if (signal.aborted) break;
        trouble.report(error);
        await pause(Math.min(10_000, 500 * 2 ** attempt));
      }
    }
    return undefined;
  }

  async function renew(opened: OpenQueue): Promise<void> {
    try {
      if (await opened.heal()) {
        log.warn({ queue: work.name }, 'the queue held what is not ours, and was emptied; it is filled again');
        await onWiped?.();
      }
      if ((await opened.schedule(onWiped)) === 'wiped') log.warn({ queue: work.name }, 'the queue had been wiped; its schedules are back');
      trouble.over();
    } catch (error) {
      trouble.report(error);
    }
  }

  async function keep(): Promise<void> {
    const opened = await open();
    if (opened === undefined) return;
    queue = opened;
    try {
      await checkServer(opened, log).catch(trouble.report);
      await opened.begin().then(trouble.over, trouble.report);
      while (!signal.aborted) {
        await pause(shortestMs);
        if (!signal.aborted) await renew(opened);
      }
    } finally {
      queue = undefined;
      await opened.close(graceMs);
    }
  }

  function atWork(): OpenQueue {
    if (queue === undefined) throw new GrantryError('unavailable', { detail: 'The queue is not open.' });
    return queue;
  }

  const kept = keep().catch((error: unknown) => log.error({ queue: work.name, ...kindOf(error) }, 'the queue could not be kept'));
  return {
    add: async (jobs) => atWork().add(jobs),
    depth: async () => atWork().depth(),
    async stop() {
      stopping.abort();
      await kept;
    },
  };
}
