import { retryRevocations } from './revocations.ts';
import type { World } from './world.ts';

export type HousekeepingReport = {
  expiredLinks: number;
  endedConnections: number;
  revocationsTried: number;
  chained: number;
  deleted: Record<string, number>;
};

/** Links are ended in batches, so that no statement holds locks for long; what is left over comes with the next round. */
const linkBatch = 1_000;
const mostLinkBatches = 20;

/** As fast as the limits let links be made, and faster: unfinished ones would take the room of new ones. */
async function expireLinks(world: World): Promise<number> {
  let ended = 0;
  for (let n = 0; n < mostLinkBatches; n += 1) {
    const batch = await world.store.links.expireOverdue(linkBatch);
    ended += batch;
    if (batch < linkBatch) break;
  }
  return ended;
}

const dayMs = 86_400_000;
const deliveryRetentionDays = 30;

/**
 * What has to be done now and then by any one process: end overdue links and connections that nothing can renew, tell providers, chain
 * what is due of the audit log, delete what has had its time. Events live for `eventRetentionDays`, their deliveries for 30 days and no longer than the event.
 */
export async function keepHouse(world: World, { eventRetentionDays = 90 }: { eventRetentionDays?: number } = {}): Promise<HousekeepingReport> {
  const daysAgo = (days: number) => new Date(world.now().getTime() - days * dayMs);
  return {
    expiredLinks: await expireLinks(world),
    endedConnections: await world.store.connections.endExpired(1_000),
    revocationsTried: await retryRevocations(world, 100),
    chained: await world.store.audit.chain(),
    deleted: await world.store.housekeeping.sweep({ eventsBefore: daysAgo(eventRetentionDays), deliveriesBefore: daysAgo(deliveryRetentionDays) }),
  };
}
