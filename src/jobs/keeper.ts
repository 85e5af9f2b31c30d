import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../broker/world.ts';
import type { Backend } from './connections.ts';
import type { OpenQueue, Work } from './queues.ts';
import { createTrouble, kindOf } from './trouble.ts';

export type Keeper = {
  /** Takes no further job and lets those in flight end, for up to 20 s. */
  stop(): Promise<void>;
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
 * Keeps a queue at work as long as the process lives: opens it, opens it again when the server refuses, and renews its schedule from this
 * process's own timer, so that a wiped server has it back within `everyMs`. Returns at once; nobody waits for a server that is away.
 */
export function keepQueue({ backend, work, log, now }: { backend: Backend; work: Work; log: Log; now: () => Date }): Keeper {
  const stopping = new AbortController();
  const { signal } = stopping;
  const trouble = createTrouble({ log, what: work.name, now });
  const pause = (ms: number) => sleep(ms, undefined, { signal }).catch(() => {});

  /** What a job throws is stored by the queue, stack and all: only its kind goes there. */
  async function run(payload: unknown): Promise<void> {
    try {
      await work.run(payload);
    } catch (error) {
      log.error({ queue: work.name, ...kindOf(error) }, 'a job failed');
      throw new Error(Object.values(kindOf(error)).join(' '));
    }
  }

  async function open(): Promise<OpenQueue | undefined> {
    const { openQueue } = await import('./queues.ts');
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        return await openQueue({ backend, work: { ...work, run }, onError: trouble.report, signal });
      } catch (error) {
        if (signal.aborted) break;
        trouble.report(error);
        await pause(Math.min(10_000, 500 * 2 ** attempt));
      }
    }
    return undefined;
  }

  async function keep(): Promise<void> {
    const queue = await open();
    if (queue === undefined) return;
    try {
      await checkServer(queue, log).catch(trouble.report);
      await queue.begin().then(trouble.over, trouble.report);
      while (!signal.aborted) {
        await pause(work.everyMs);
        if (!signal.aborted) await queue.schedule().then(trouble.over, trouble.report);
      }
    } finally {
      await queue.close(graceMs);
    }
  }

  const kept = keep().catch((error: unknown) => log.error({ queue: work.name, ...kindOf(error) }, 'the queue could not be kept'));
  return {
    async stop() {
      stopping.abort();
      await kept;
    },
  };
}
