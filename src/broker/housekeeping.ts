import { retryRevocations } from './revocations.ts';
import type { World } from './world.ts';

export type HousekeepingReport = {
  expiredLinks: number;
  endedConnections: number;
  revocationsTried: number;
  chained: number;
  deleted: Record<string, number>;
};

const dayMs = 86_400_000;
const deliveryRetentionDays = 30;

/**
 * What has to be done now and then by any one process: end overdue links and connections that nothing can renew, tell providers, chain
 * what is due of the audit log, delete what has had its time. Events live for `eventRetentionDays`, their deliveries for 30 days and no longer than the event.
 */
export async function keepHouse(world: World, { eventRetentionDays = 90 }: { eventRetentionDays?: number } = {}): Promise<HousekeepingReport> {
  const daysAgo = (days: number) => new Date(world.now().getTime() - days * dayMs);
  return {
    expiredLinks: await world.store.links.expireOverdue(1_000),
    endedConnections: await world.store.connections.endExpired(1_000),
    revocationsTried: await retryRevocations(world, 100),
    chained: await world.store.audit.chain(),
    deleted: await world.store.housekeeping.sweep({ eventsBefore: daysAgo(eventRetentionDays), deliveriesBefore: daysAgo(deliveryRetentionDays) }),
  };
}
