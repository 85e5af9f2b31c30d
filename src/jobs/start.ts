import { keepHouse } from '../broker/housekeeping.ts';
import type { World } from '../broker/world.ts';

export type Jobs = { stop(): Promise<void> };

export async function startJobs({ world }: { world: World; databaseUrl: string; redisUrl: string | undefined }): Promise<Jobs> {
  let running: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    running = keepHouse(world).catch((error: unknown) => world.log.error({ error: error instanceof Error ? error.name : typeof error }, 'housekeeping failed'));
  }, 60_000);
  return {
    async stop() {
      clearInterval(timer);
      await running;
    },
  };
}
