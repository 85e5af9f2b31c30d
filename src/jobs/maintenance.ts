import { keepHouse } from '../broker/housekeeping.ts';
import type { World } from '../broker/world.ts';
import type { Work } from './queues.ts';

/** The housekeeping as a job: every minute, by one worker at a time; its rows are claimed, so two at once do no harm. */
export function maintenance(world: World, everyMs = 60_000): Work {
  return {
    name: 'maintenance',
    concurrency: 1,
    everyMs,
    async run() {
      const { deleted, ...done } = await keepHouse(world);
      const report = { ...done, ...deleted };
      const isIdle = Object.values(report).every((count) => count === 0);
      world.log[isIdle ? 'debug' : 'info'](report, 'housekeeping done');
    },
  };
}
