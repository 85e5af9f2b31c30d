import { createGrowingPause } from './growing-pause.ts';
import type { StoredJob } from './own-job.ts';

/** What is asked of BullMQ's backend here. */
type Taking = {
  moveToActive(...asked: never[]): Promise<unknown>;
  /** These two bring the next job with them. */
  moveToCompleted(...asked: never[]): Promise<{ result?: unknown }>;
  moveToFailed(...asked: never[]): Promise<{ result?: unknown }>;
};

/** What is left of a job that was taken. */
export type Own = (job: StoredJob, id: string) => StoredJob;

const longestPauseMs = 1_000;

/**
 * Has the backend hand over no more of a taken job than `own` leaves. BullMQ asks again at once when taking a job fails with anything but
 * ECONNREFUSED (Redis out of memory: 3,500 times a second). This makes it wait, longer and longer while nothing else comes: one job that
 * cannot be read holds up nobody.
 */
export function takeWithCare<B extends Taking>(backend: B, { own, sleep }: { own: Own; sleep: (ms: number) => Promise<unknown> }): B {
  const cleaned = (taken: unknown) => {
    if (!Array.isArray(taken)) return;
    if (taken[0]) taken[0] = own(taken[0], String(taken[1]));
    // How long to wait for others: nothing of ours limits how fast jobs are taken.
    taken[2] = 0;
  };
  const taking: Taking = backend;
  const take = taking.moveToActive.bind(backend);
  const complete = taking.moveToCompleted.bind(backend);
  const fail = taking.moveToFailed.bind(backend);
  const pause = createGrowingPause({ longestMs: longestPauseMs, sleep });
  taking.moveToActive = async (...asked) => {
    try {
      const taken = await take(...asked);
      cleaned(taken);
      pause.succeeded();
      return taken;
    } catch (error) {
      await pause.failed();
      throw error;
    }
  };
  taking.moveToCompleted = async (...asked) => {
    const ended = await complete(...asked);
    cleaned(ended.result);
    return ended;
  };
  taking.moveToFailed = async (...asked) => {
    const ended = await fail(...asked);
    cleaned(ended.result);
    return ended;
  };
  return backend;
}
