import type { World } from '../broker/world.ts';
import type { Keeper } from './keeper.ts';
import type { NewJob } from './queues.ts';

/** Brings what Postgres says is due to a queue, batch after batch. */

export type Sweep<Due> = {
  /** Hands out due rows, each to one caller. */
  take(limit: number): Promise<readonly Due[]>;
  jobOf(due: Due): NewJob;
  queue: Pick<Keeper, 'add' | 'depth'>;
  /** Called when what was taken could not be added. */
  giveBack(): Promise<void>;
};

const batch = 500;
/** More jobs than this in the queue say nothing new, and would have to be remembered there. */
const mostWaiting = 2_000;
/** While the queue is full, it is looked at again after this. */
const pauseMs = 100;

/** Feeds the queue for up to `ms`; ends sooner when nothing is due. Rejects when the queue or Postgres is away. Returns how many jobs were added. */
export async function sweep<Due>(
  world: Pick<World, 'elapsedMs' | 'sleep'>,
  { take, jobOf, queue, giveBack }: Sweep<Due>,
  ms: number,
): Promise<number> {
  const untilMs = world.elapsedMs() + ms;
  let added = 0;
  do {
    if ((await queue.depth()).waiting >= mostWaiting) {
      await world.sleep(pauseMs);
      continue;
    }
    const due = await take(batch);
    if (due.length > 0) {
      await queue.add(due.map(jobOf)).catch(async (error: unknown) => {
        await giveBack();
        throw error;
      });
    }
    added += due.length;
    if (due.length < batch) return added;
  } while (world.elapsedMs() < untilMs);
  return added;
}
