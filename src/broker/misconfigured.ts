import { type GrantryError, isGrantryError } from '../protocol/errors.ts';
import type { ConnectionRecord, IntegrationRecord, NewEvent } from './records.ts';
import { tracked } from './under-way.ts';
import type { World } from './world.ts';

/** What is known of a client registration: whether the provider accepts it, and who may ask while it does not. */

/** While the provider refuses a registration, one request in so many seconds finds out whether it still does. */
const trialEveryS = 60;
/** So many failures in a row of one connection alone are its own trouble. */
const oddAfter = 3;

/** `connection`: the one that was refused, as it was before; undefined: there is none yet. */
export type Refusal = { error: GrantryError; connection?: Pick<ConnectionRecord, 'id' | 'last_error' | 'failure_count'> };

/**
 * True when a request with this registration makes sense now. While it is misconfigured that is one for all its connections, now and
 * then; whoever hears true should send.
 */
export async function mayTry(world: Pick<World, 'store'>, { project_id, id, status }: IntegrationRecord): Promise<boolean> {
  return status === 'active' || world.store.integrations.takeTrial(project_id, id, trialEveryS);
}

/**
 * Notes that the provider does not accept our client registration; its connections stay as they are. To be called when the refusal
 * stands in its connection, so that of two that are refused at once one at least sees the other.
 *
 * A provider that says so is believed, but for a connection that was refused several times with this very registration, which others were
 * accepted with since: providers with a host for each customer must not stop all other connections over and over. A 401 that names
 * nobody may mean the customer's authorization: it counts when another connection was refused too and none was accepted in between. So one
 * customer who has withdrawn stops nobody, and an integration with a single connection never gets there: its connection says `invalid_client`.
 */
export async function markMisconfigured(world: World, integration: IntegrationRecord, { error, connection }: Refusal): Promise<void> {
  if (integration.status === 'active' && connection !== undefined && isOdd(integration, connection)) return;
  if (error.details.nature === 'unexplained' && !(await isRefusedElsewhere(world, integration, connection?.id))) return;
  await markStatus(world, integration, 'misconfigured', {
    why: 'The provider refused the client id or secret.',
    next: 'Change client_id, client_secret or client_secrets; connections go on by themselves.',
  });
}

function isOdd({ updated_at }: IntegrationRecord, { last_error, failure_count }: NonNullable<Refusal['connection']>): boolean {
  return failure_count >= oddAfter && last_error?.code === 'invalid_client' && new Date(last_error.at) > updated_at;
}

/** False too when it cannot be found out now: the next refusal asks again. */
async function isRefusedElsewhere({ store }: World, integration: IntegrationRecord, connection: string | undefined): Promise<boolean> {
  try {
    return await store.integrations.isRefusedElsewhere(integration, connection);
  } catch (error) {
    if (!isGrantryError(error, 'unavailable')) throw error;
    return false;
  }
}

/** Notes that the provider accepted it again; what waited for that is resumed. */
export async function markRecovered(world: World, integration: IntegrationRecord): Promise<void> {
  if (await markStatus(world, integration, 'active', { why: 'The provider accepted the client registration again.' }))
    resumeWaiting(world, integration);
}

/**
 * Makes due what waited for a registration. Nobody waits for it: there may be hundreds of thousands. What it does not reach, as Postgres is
 * away, or the process ends, comes by itself when its pause is over.
 */
export function resumeWaiting(world: World, { project_id, id }: Pick<IntegrationRecord, 'project_id' | 'id'>): void {
  const resumed = world.store.integrations.resume(project_id, id).catch((error: unknown) => {
    const why = isGrantryError(error) ? error.code : error instanceof Error ? error.name : typeof error;
    world.log.warn({ integration: id, error: why }, 'not all that waited for an integration could be resumed; the rest comes by itself');
  });
  void tracked(world, resumed);
}

/** True when this call changed it. Only a note: what it accompanies (a refusal told, a credential saved) stands whether or not it can be written now. */
async function markStatus(
  world: World,
  integration: IntegrationRecord,
  status: IntegrationRecord['status'],
  data: Record<string, string>,
): Promise<boolean> {
  if (integration.status === status) return false;
  const { project_id, id } = integration;
  const type = status === 'active' ? 'integration.recovered' : 'integration.misconfigured';
  const event: NewEvent = { project_id, type, integration_id: id, data };
  try {
    return await world.store.integrations.setStatus(integration, status, [event]);
  } catch (error) {
    if (!isGrantryError(error, 'unavailable')) throw error;
    world.log.warn({ integration: id, status }, 'the status of an integration could not be noted');
    return false;
  }
}
