import { keepHouse } from '../broker/housekeeping.ts';
import { probeUnused } from '../broker/probes.ts';
import { type Pace, turnKeys } from '../broker/rotate-keys.ts';
import type { World } from '../broker/world.ts';
import type { Work } from './queues.ts';

/** What is done by itself, now and then, by one worker at a time; everything is claimed row by row, so two at once do no harm. */

export type Upkeep = {
  world: World;
  eventRetentionDays: number;
  rotation: Omit<Pace, 'ms'>;
  /** How often the house is kept, and unused connections are probed. */
  houseEveryMs?: number;
  sweepEveryMs?: number;
  sweepRefreshes(ms: number): Promise<number>;
  sweepWebhooks(ms: number): Promise<number>;
};

const mostProbes = 100;

export function maintenance({
  world,
  eventRetentionDays,
  rotation,
  houseEveryMs = 60_000,
  sweepEveryMs = 5_000,
  sweepRefreshes,
  sweepWebhooks,
}: Upkeep): Work {
  async function housekeeping(): Promise<void> {
    const { deleted, ...done } = await keepHouse(world, { eventRetentionDays });
    const report = { ...done, ...deleted };
    const isIdle = Object.values(report).every((count) => count === 0);
    world.log[isIdle ? 'debug' : 'info'](report, 'housekeeping done');
  }
  // A sweep that has much to do ends before the next one begins.
  const sweepMs = sweepEveryMs * 0.9;
  const tasks: Record<string, { everyMs: number; run(): Promise<unknown> }> = {
    'sweep-refreshes': { everyMs: sweepEveryMs, run: () => sweepRefreshes(sweepMs) },
    'sweep-webhooks': { everyMs: sweepEveryMs, run: () => sweepWebhooks(sweepMs) },
    'rotate-keys': { everyMs: sweepEveryMs, run: () => turnKeys(world, { ms: sweepMs, ...rotation }) },
    housekeeping: { everyMs: houseEveryMs, run: housekeeping },
    probes: { everyMs: houseEveryMs, run: () => probeUnused(world, mostProbes) },
  };
  return {
    name: 'maintenance',
    // A long one holds up none of the others.
    concurrency: Object.keys(tasks).length,
    schedules: Object.fromEntries(Object.entries(tasks).map(([name, { everyMs }]) => [name, everyMs])),
    async run({ name }) {
      if (Object.hasOwn(tasks, name)) await tasks[name]?.run();
    },
  };
}
