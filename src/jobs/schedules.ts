/** What a queue does by itself, and the care that it goes on doing it: whoever writes to Redis can take a schedule away, or change it. */

type Known = { next?: number | undefined; every?: number | undefined };

/** What is asked of BullMQ's queue here. */
export type ScheduledQueue = {
  getJobScheduler(name: string): Promise<Known | undefined>;
  upsertJobScheduler(name: string, repeat: { every: number }, template: { name: string; data: object; opts: object }): Promise<unknown>;
  add(name: string, data: object, opts: { deduplication: { id: string; ttl: number } }): Promise<unknown>;
};

export type Schedules = {
  /** How many were missing: `onWiped` comes before they are made again. */
  renewMissing(onWiped: () => Promise<void>): Promise<number>;
  /** Everything runs once now. Several processes that begin within ten seconds are one run. */
  begin(): Promise<void>;
};

export type SchedulesOptions = {
  queue: ScheduledQueue;
  /** Names of jobs, and after how many milliseconds again. */
  intervals: Readonly<Record<string, number>>;
  /** What is kept of them when they are done. */
  kept: object;
  /** Hears that one of them was changed by somebody else. */
  onStrange(): void;
};

const patienceMs = (every: number): number => Math.max(60_000, 5 * every);

/** Its next run is long past. */
const isStuck = ({ next = 0 }: Known, every: number): boolean => next < Date.now() - patienceMs(every);

/** It runs later, or far more often, than any of ours would. */
const isStrange = ({ next = 0, every: known = 0 }: Known, every: number): boolean => next > Date.now() + patienceMs(every) || known * 10 < every;

export function createSchedules({ queue, intervals, kept, onStrange }: SchedulesOptions): Schedules {
  const schedules = Object.entries(intervals);

  const renew = (name: string, every: number) => queue.upsertJobScheduler(name, { every }, { name, data: {}, opts: kept });

  /** One that is there is left alone: renewed in the moment of a wipe, it would hide it. */
  async function renewMissing(onWiped: () => Promise<void>): Promise<number> {
    const known = await Promise.all(schedules.map(async ([name, every]) => ({ name, every, found: await queue.getJobScheduler(name) })));
    const missing = known.filter(({ found }) => found === undefined).length;
    if (known.some(({ found, every }) => found !== undefined && isStrange(found, every))) onStrange();
    if (missing > 0) await onWiped();
    for (const { name, every, found } of known) if (found === undefined || isStuck(found, every)) await renew(name, every);
    return missing;
  }

  return {
    renewMissing,
    async begin() {
      if ((await renewMissing(async () => {})) === schedules.length) return;
      // Another version may have had other intervals.
      for (const [name, every] of schedules) await renew(name, every);
      for (const [name] of schedules) await queue.add(name, {}, { deduplication: { id: `begin-${name}`, ttl: 10_000 } });
    },
  };
}
