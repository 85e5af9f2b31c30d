import { methodOrigins } from '../../protocol/definition/origins.ts';
import type { Definition, Method } from '../../protocol/definition/schema.ts';
import { GrantryError } from '../../protocol/errors.ts';
import type { GrantContext, Pending } from '../../protocol/grant.ts';
import { findSoundProvider, methodOf } from '../catalog.ts';
import { getIntegrationOf, grantContext, openClient } from '../grant-context.ts';
import { eventsOf } from '../links.ts';
import { linkInputsPlace, linkPlace } from '../places.ts';
import type { IntegrationRecord, LinkErrorCode, LinkRecord } from '../records.ts';
import { openInputs } from '../secrets.ts';
import type { World } from '../world.ts';
import { type Trace, traced } from './trace.ts';

export const linkMethod = (link: Pick<LinkRecord, 'snapshot'>): Method => methodOf(link.snapshot.definition, link.snapshot.method).method;

export const linkInputs = (world: World, link: LinkRecord): Promise<Record<string, string>> =>
  openInputs(world, linkInputsPlace(link), link.inputs_sealed);

/**
 * What a flow that has begun remembers: the grant's part, and the values that it began with. The link's own inputs stay as they were, so that
 * whoever begins again is asked again.
 */
export type Begun = { pending: Pending; inputs: Record<string, string> };

/** A link is not for trying out keys at a provider: after so many starts it ends. */
export const mostTries = 10;

export const sealBegun = (world: World, link: LinkRecord, begun: Begun): Promise<string> =>
  world.seal.seal(linkPlace(link, 'pending'), JSON.stringify(begun));

/** Undefined when the flow was not started in full. */
export async function openBegun(world: World, link: LinkRecord): Promise<Begun | undefined> {
  return link.pending_sealed === null ? undefined : JSON.parse(await world.seal.open(linkPlace(link, 'pending'), link.pending_sealed));
}

/**
 * A server that the definition does not name any more, at that place, is sent nothing: our registration may have been changed together with the addresses, for a
 * reason. Throws `conflict`.
 */
async function checkServers(world: World, link: LinkRecord, { provider_id, method }: IntegrationRecord): Promise<void> {
  const today = (await findSoundProvider(world, link.project_id, provider_id))?.definition;
  const servers = today !== undefined && Object.hasOwn(today.methods, method) ? originsOf(today, method) : new Map();
  if ([...originsOf(link.snapshot.definition, link.snapshot.method)].every(([place, server]) => servers.get(place) === server)) return;
  throw new GrantryError('conflict', { detail: 'The provider definition names other servers than when the link was made.' });
}

const originsOf = (definition: Definition, name: string) => methodOrigins(definition, methodOf(definition, name).method);

/**
 * What the grant of a link is given: the definition as it was when the link was made, and our registration as it is. A test is watched.
 * Throws `conflict` when the integration is gone, is another app now, or its definition names other servers; `as_they_were`: whoever asks sends them
 * nothing of ours.
 */
export async function linkContext(
  world: World,
  link: LinkRecord,
  inputs: Record<string, string>,
  servers: 'as_today' | 'as_they_were' = 'as_today',
): Promise<{ ctx: GrantContext; integration: IntegrationRecord; trace: Trace | undefined }> {
  const integration = await getIntegrationOf(world, link.project_id, link.integration_id);
  if (integration.client_id !== link.snapshot.client_id) {
    throw new GrantryError('conflict', { detail: 'The client registration was changed after the link was made.' });
  }
  if (servers === 'as_today') await checkServers(world, link, integration);
  const client = await openClient(world, integration);
  const ctx = grantContext(world, { definition: link.snapshot.definition, method: link.snapshot.method, client, inputs });
  if (link.purpose !== 'test') return { ctx, integration, trace: undefined };
  return { integration, ...(await traced(world, link, { ctx, integration })) };
}

/** How a flow ended, for the pages: `failed` has written its reason into the link. */
export type Failed = { kind: 'failed'; link: LinkRecord; code: LinkErrorCode };

/** Ends a link with a stable code, an event and a sentence for support. */
export async function failLink(world: World, link: LinkRecord, code: LinkErrorCode, detail: string): Promise<Failed> {
  const ended = await world.store.links.fail(
    link.id,
    code,
    detail,
    eventsOf(link, [
      {
        project_id: link.project_id,
        type: 'connect_link.failed',
        integration_id: link.integration_id,
        link_id: link.id,
        ...(link.reconnects !== null && { connection_id: link.reconnects }),
        data: { error: code, detail, next: 'Make a new connect link.' },
      },
    ]),
  );
  if (ended) world.log.info({ link: link.id, integration: link.integration_id, code }, 'connect link failed');
  return { kind: 'failed', link, code };
}
