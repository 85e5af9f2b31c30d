import { parseOutsideUrl } from '../protocol/address.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import { newId } from './ids.ts';
import type { EventType } from './records.ts';
import type { Page, PageRequest } from './store.ts';
import type { WebhookEndpointChange, WebhookEndpointRecord } from './webhook-records.ts';
import { newSigningSecret, openSecrets, sealSecrets, shownSecret } from './webhook-signature.ts';
import type { World } from './world.ts';

/** Where a project wants its events sent. */

const mostEndpoints = 50;

export type WebhookEndpointBody = { url: string; description?: string | null | undefined; event_types?: EventType[] | undefined };
/** The endpoint, and its secret, which is shown this once. */
export type WithSecret = { record: WebhookEndpointRecord; secret: string };

/** The address as the door will take it; the door checks again, for what a name stands for may change. Throws `invalid_request`. */
function checkUrl(world: World, url: string): void {
  try {
    parseOutsideUrl(url, world);
  } catch (error) {
    if (!isGrantryError(error, 'address_refused')) throw error;
    throw new GrantryError('invalid_request', {
      detail: `This address cannot be called. ${error.message}`,
      errors: [{ pointer: '/url', detail: error.message }],
      cause: error,
    });
  }
}

const unique = (types: readonly EventType[]) => [...new Set(types)];

/** Throws `invalid_request`, or `conflict` when there are too many. */
export async function createWebhookEndpoint(world: World, project: string, body: WebhookEndpointBody): Promise<WithSecret> {
  checkUrl(world, body.url);
  const secret = newSigningSecret(world);
  const identity = { id: newId('whe'), project_id: project };
  const record = await world.store.webhooks.insertEndpoint(
    {
      ...identity,
      url: body.url,
      description: body.description ?? null,
      event_types: unique(body.event_types ?? []),
      secrets_sealed: await sealSecrets(world, { ...identity, secret_version: 1 }, [secret]),
    },
    mostEndpoints,
  );
  if (record === undefined) throw new GrantryError('conflict', { detail: `A project has at most ${mostEndpoints} webhook endpoints.` });
  return { record, secret: shownSecret(secret) };
}

export const listWebhookEndpoints = (world: World, project: string, page: PageRequest): Promise<Page<WebhookEndpointRecord>> =>
  world.store.webhooks.listEndpoints(project, page);

function found(record: WebhookEndpointRecord | undefined): WebhookEndpointRecord {
  if (record === undefined) throw new GrantryError('not_found');
  return record;
}

export const getWebhookEndpoint = async (world: World, project: string, id: string): Promise<WebhookEndpointRecord> =>
  found(await world.store.webhooks.getEndpoint(project, id));

/** Changes what is given, keeps the rest. Throws `not_found`, `invalid_request`. */
export async function updateWebhookEndpoint(
  world: World,
  project: string,
  id: string,
  change: WebhookEndpointChange,
): Promise<WebhookEndpointRecord> {
  await getWebhookEndpoint(world, project, id);
  if (change.url !== undefined) checkUrl(world, change.url);
  const event_types = change.event_types && unique(change.event_types);
  return found(await world.store.webhooks.updateEndpoint(project, id, { ...change, event_types }));
}

/** A new secret; the one before signs too for `overlapS` more. Throws `not_found`, or `conflict` when somebody else did at the same moment. */
export async function rotateWebhookSecret(world: World, project: string, id: string, overlapS: number): Promise<WithSecret> {
  const old = await getWebhookEndpoint(world, project, id);
  const [previous] = (await openSecrets(world, old)).reveal();
  const secret = newSigningSecret(world);
  const secrets = previous === undefined || overlapS === 0 ? [secret] : [secret, previous];
  const next = { project_id: project, id, secret_version: old.secret_version + 1 };
  const rotation = { secrets_sealed: await sealSecrets(world, next, secrets), overlapS };
  const record = await world.store.webhooks.rotateSecrets(project, id, old.secret_version, rotation);
  if (record === undefined) throw new GrantryError('conflict', { detail: 'The endpoint was changed at the same moment; read it and try again.' });
  return { record, secret: shownSecret(secret) };
}

/** Throws `not_found`. */
export async function deleteWebhookEndpoint(world: World, project: string, id: string): Promise<void> {
  if (!(await world.store.webhooks.removeEndpoint(project, id))) throw new GrantryError('not_found');
}
