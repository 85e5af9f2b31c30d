import { z } from 'zod';
import type { Turn } from '../broker/refresh.ts';
import { deliverWebhook } from '../broker/webhooks.ts';
import type { World } from '../broker/world.ts';
import type { NewJob, Work } from './queues.ts';
import { createDropped } from './trouble.ts';
import { createTurns } from './turns.ts';

/** Deliveries as jobs: the queue says only which one to look at. */

const payload = z.strictObject({ delivery_id: z.string().regex(/^whd_[0-9a-z_]{1,60}$/) });
const concurrency = 50;
/** Whoever takes longer to answer than this may be one that never does: it leaves room. */
const slowMs = 1_000;

/** The job of one attempt. */
export const deliveryJob = ({ id, attempts }: { id: string; attempts: number }): NewJob => ({
  name: 'deliver',
  id: `${id}-${attempts}`,
  payload: { delivery_id: id },
});

/** `onPutOff` hears after how many milliseconds a delivery that found no turn is due again. */
export function webhooks(world: World, { onPutOff }: { onPutOff: (ms: number) => void }): Work {
  const turns = createTurns({ slots: concurrency, elapsedMs: world.elapsedMs, sleep: world.sleep, slowMs });
  const take = async (host: string): Promise<Turn> => {
    const turn = await turns.take(host);
    if (turn.kind === 'later') onPutOff(turn.ms);
    return turn;
  };
  const dropped = createDropped(world, 'webhooks');
  return {
    name: 'webhooks',
    concurrency,
    schedules: {},
    async run(job) {
      const parsed = payload.safeParse(job.payload);
      if (!parsed.success) return dropped();
      await deliverWebhook(world, parsed.data.delivery_id, take);
    },
  };
}
