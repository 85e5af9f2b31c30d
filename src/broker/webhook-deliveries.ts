import { GrantryError } from '../protocol/errors.ts';
import type { Page, PageRequest } from './store.ts';
import type { DeliveryFilter, DeliveryRecord } from './webhook-records.ts';
import type { World } from './world.ts';

/** What was, is and will be sent to a project's webhook endpoints; newest first. */

export const listWebhookDeliveries = (world: World, project: string, filter: DeliveryFilter, page: PageRequest): Promise<Page<DeliveryRecord>> =>
  world.store.webhooks.listDeliveries(project, filter, page);

export async function getWebhookDelivery(world: World, project: string, id: string): Promise<DeliveryRecord> {
  const record = await world.store.webhooks.getDelivery(project, id);
  if (record === undefined) throw new GrantryError('not_found');
  return record;
}

/** Sends it again, at once and for another day if need be. Throws `not_found`, `conflict`. */
export async function redeliverWebhook(world: World, project: string, id: string): Promise<DeliveryRecord> {
  const outcome = await world.store.webhooks.redeliver(project, id);
  if (outcome === 'missing') throw new GrantryError('not_found');
  if (outcome === 'pending') throw new GrantryError('conflict', { detail: 'This delivery is still being attempted.' });
  if (outcome === 'disabled') throw new GrantryError('conflict', { detail: 'The endpoint is disabled; enable it first.' });
  return outcome;
}
