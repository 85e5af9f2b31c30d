import { isGrantryError } from '../protocol/errors.ts';
import type { ConnectionRecord, IntegrationRecord, NewEvent } from './records.ts';
import type { World } from './world.ts';

/** What is known of a client registration: whether the provider accepts it, and who may ask while it does not. */

/** While the provider refuses a registration, one request in so many seconds finds out whether it still does. */
const trialEveryS = 60;
/** So many failures in a row of one connection alone are its own trouble. */
const oddAfter = 3;

type Refused = Pick<ConnectionRecord, 'last_error' | 'failure_count'>;

/**
 * True when a request with this registration makes sense now. While it is misconfigured that is one for all its connections, now and
 * then; whoever hears true should send.
 */
export async function mayTry(world: Pick<World, 'store'>, { project_id, id, status }: IntegrationRecord): Promise<boolean> {
  return status === 'active' || world.store.integrations.takeTrial(project_id, id, trialEveryS);
}

/**
 * Notes that the provider does not accept our client registration; its connections stay as they are.
 *
 * @param refused the connection that was refused, as it was before. Refused several times with this very registration, which others were
 *   accepted with since, it says nothing about the registration: providers with a host for each customer, or with a 401 for whatever
 *   they dislike, must not stop all other connections over and over. Once says nothing yet: that is noted of those that were put off, too.
 */
export async function markMisconfigured(world: World, integration: IntegrationRecord, refused?: Refused): Promise<void> {
  if (integration.status === 'active' && refused !== undefined && isOdd(integration, refused)) return;
  await markStatus(world, integration, 'misconfigured', {
    why: 'The provider refused the client id or secret.',
    next: 'Change client_id, client_secret or client_secrets; connections go on by themselves.',
  });
}

function isOdd({ updated_at }: IntegrationRecord, { last_error, failure_count }: Refused): boolean {
  return failure_count >= oddAfter && last_error?.code === 'invalid_client' && new Date(last_error.at) > updated_at;
}

/** Notes that the provider accepted it again. */
export function markRecovered(world: World, integration: IntegrationRecord): Promise<void> {
  return markStatus(world, integration, 'active', { why: 'The provider accepted the client registration again.' });
}

/** Only a note: what it accompanies (a refusal told, a credential saved) stands whether or not it can be written now. */
async function markStatus(
  world: World,
  integration: IntegrationRecord,
  status: IntegrationRecord['status'],
  data: Record<string, string>,
): Promise<void> {
  if (integration.status === status) return;
  const { project_id, id } = integration;
  const type = status === 'active' ? 'integration.recovered' : 'integration.misconfigured';
  const event: NewEvent = { project_id, type, integration_id: id, data };
  try {
    await world.store.integrations.setStatus(integration, status, [event]);
  } catch (error) {
    if (!isGrantryError(error, 'unavailable')) throw error;
    world.log.warn({ integration: id, status }, 'the status of an integration could not be noted');
  }
}
