import type { World } from '../broker/world.ts';
import type { Backend } from './connections.ts';
import { keepQueue } from './keeper.ts';
import { maintenance } from './maintenance.ts';

export type Jobs = {
  /** Takes no further job and lets those in flight end, for up to 20 s. */
  stop(): Promise<void>;
};

export type JobsOptions = {
  world: World;
  databaseUrl: string;
  /** Without it the queues live in the database. */
  redisUrl: string | undefined;
  /** How often the house is kept. */
  houseEveryMs?: number;
};

/** Starts the background work of this process. Waits for no server: a queue whose server is away begins when it comes. */
export async function startJobs({ world, databaseUrl, redisUrl, houseEveryMs }: JobsOptions): Promise<Jobs> {
  const { log, now } = world;
  const backend: Backend = redisUrl === undefined ? { kind: 'postgres', url: databaseUrl } : { kind: 'redis', url: redisUrl };
  if (backend.kind === 'postgres')
    log.info({}, 'jobs run on Postgres; a REDIS_URL would add pace (about four times as many jobs a second) and take their load off the database');
  const keepers = [maintenance(world, houseEveryMs)].map((work) => keepQueue({ backend, work, log, now }));
  return {
    async stop() {
      await Promise.all(keepers.map((keeper) => keeper.stop()));
    },
  };
}
