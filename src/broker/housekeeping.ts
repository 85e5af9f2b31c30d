import { retryRevocations } from './revocations.ts';
import type { World } from './world.ts';

export type HousekeepingReport = { expiredLinks: number; endedConnections: number; revocationsTried: number; deleted: Record<string, number> };

/** What has to be done now and then by any one process: end overdue links and connections that nothing can renew, tell providers, delete what has had its time. */
export async function keepHouse(world: World): Promise<HousekeepingReport> {
  return {
    expiredLinks: await world.store.links.expireOverdue(1_000),
    endedConnections: await world.store.connections.endExpired(1_000),
    revocationsTried: await retryRevocations(world, 100),
    deleted: await world.store.housekeeping.sweep(),
  };
}
