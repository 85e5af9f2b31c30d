import { expect, vi } from 'vitest';
import { silentMeter } from '../../src/broker/meter.ts';
import { type Keeper, keepQueue } from '../../src/jobs/keeper.ts';
import type { Telemetry } from '../../src/jobs/queues.ts';
import { createLog } from '../../src/outside/log.ts';
import { type Line, layLine } from '../harness/line.ts';
import type { Place } from './backends.ts';

/** Recovery takes some attempts. */
export const patience = { timeout: 20_000, interval: 50 };

export type Trial = {
  place: Place;
  line: Line;
  /** Everything that was logged since it was last emptied. */
  logged: string[];
  /** Keeps a queue that is reached through the line. */
  keep(run: () => Promise<void>, options?: { everyMs?: number; now?: () => Date; telemetry?: Telemetry; onWiped?: () => Promise<void> }): Keeper;
  /** Stops every keeper, then wipes the place, so that nobody writes to it afterwards. */
  clear(): Promise<void>;
  end(): Promise<void>;
};

/** A queue named `trial` in a place of its own. */
export async function startTrial(place: Place): Promise<Trial> {
  const line = await layLine(place.backend.url, place.defaultPort);
  const logged: string[] = [];
  const keepers: Keeper[] = [];
  return {
    place,
    line,
    logged,
    keep(run, { everyMs = 200, now = () => new Date(), telemetry, onWiped } = {}) {
      const keeper = keepQueue({
        backend: { kind: place.backend.kind, url: line.url },
        work: { name: 'trial', concurrency: 1, schedules: { trial: everyMs }, run: () => run() },
        meter: silentMeter,
        telemetry,
        log: createLog('info', { write: (text) => logged.push(text) }),
        now,
        ...(onWiped && { onWiped }),
      });
      keepers.push(keeper);
      return keeper;
    },
    async clear() {
      await Promise.all(keepers.splice(0).map((keeper) => keeper.stop()));
      await place.wipe();
      logged.length = 0;
    },
    async end() {
      await line.cut();
      await place.leave();
    },
  };
}

/** A job that counts its runs. */
export function counter() {
  const counted = {
    runs: 0,
    async run() {
      counted.runs += 1;
    },
    /** Waits for so many more. */
    async more(times = 2) {
      const { runs } = counted;
      await vi.waitFor(() => expect(counted.runs).toBeGreaterThanOrEqual(runs + times), patience);
    },
  };
  return counted;
}
