import { z } from 'zod';
import { refreshDue } from '../broker/refresh.ts';
import type { DueRefresh } from '../broker/store.ts';
import type { World } from '../broker/world.ts';
import type { NewJob, Work } from './queues.ts';
import { createDropped } from './trouble.ts';
import { createTurns } from './turns.ts';

/** Refreshes ahead of time, as jobs: the queue says only which connection to look at. */

const payload = z.strictObject({ connection_id: z.string().regex(/^con_[0-9a-z]{1,40}$/), token_version: z.int().positive() });

/** The job of one due refresh. */
export const refreshJob = ({ connection_id, token_version }: DueRefresh): NewJob => ({
  name: 'refresh',
  id: `${connection_id}-${token_version}`,
  payload: { connection_id, token_version },
});

/** `concurrency`: how many refreshes this process has under way at most. `onPutOff` hears after how many milliseconds one that was put off is due again. */
export function refreshes(world: World, { concurrency, onPutOff }: { concurrency: number; onPutOff: (ms: number) => void }): Work {
  const turns = createTurns({ slots: concurrency, elapsedMs: world.elapsedMs, sleep: world.sleep });
  const dropped = createDropped(world, 'refresh');
  return {
    name: 'refresh',
    concurrency,
    schedules: {},
    async run(job) {
      const parsed = payload.safeParse(job.payload);
      if (!parsed.success) return dropped();
      const againInMs = await refreshDue(world, parsed.data, turns.take);
      if (againInMs !== undefined) onPutOff(againInMs);
    },
  };
}
