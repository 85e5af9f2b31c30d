import { refreshUrl } from '../grants/refresh.ts';
import type { Credential } from '../protocol/credential.ts';
import { hasOpenHost } from '../protocol/definition/inputs.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import type { GrantContext } from '../protocol/grant.ts';
import { definitionInMemory, findProvider } from './catalog.ts';
import { openCredential } from './credentials.ts';
import { grantContext, openClient } from './grant-context.ts';
import type { Caller } from './host-health.ts';
import { redirectUriOf } from './integrations.ts';
import { connectionInputsPlace } from './places.ts';
import type { ConnectionRecord, IntegrationRecord } from './records.ts';
import { openInputs } from './secrets.ts';
import type { RefreshView } from './store.ts';
import type { World } from './world.ts';

/** What a refresh will do, made ready before the lease is taken: nothing here is sent. */
export type RefreshPlan = {
  view: RefreshView;
  /** Who will ask which host of the provider; undefined when the plan cannot be carried out. */
  caller: Caller | undefined;
} & ({ kind: 'ready'; ctx: GrantContext; integration: IntegrationRecord; credential: Credential } | { kind: 'impossible'; error: unknown });

/** Reads the definition and opens what is needed. Never rejects for what is wrong with the connection itself: that is a failure of the refresh. Throws `unavailable`. */
export async function planRefresh(world: World, view: RefreshView): Promise<RefreshPlan> {
  try {
    const { connection } = view;
    await world.seal.ready(connection.project_id);
    const { ctx, integration } = await contextOf(world, view);
    const credential = await openCredential(world, connection);
    return { kind: 'ready', view, ctx, integration, credential, caller: callerOf(view, ctx) };
  } catch (error) {
    if (isGrantryError(error, 'unavailable')) throw error;
    return { kind: 'impossible', view, error, caller: undefined };
  }
}

/** A shipped definition stays as it is, and to go through one takes as long as to open a credential. */
const openHosts = new WeakMap<GrantContext['method'], boolean>();

function isOpenHost({ definition, method }: GrantContext): boolean {
  const known = openHosts.get(method);
  if (known !== undefined) return known;
  const isOpen = hasOpenHost(definition, method);
  openHosts.set(method, isOpen);
  return isOpen;
}

/** An address that an input may choose is as much the project's own as one in its own definition. */
function callerOf({ connection: { project_id, integration_id }, ownVersion }: RefreshView, ctx: GrantContext): Caller {
  const isOwn = ownVersion !== null || isOpenHost(ctx);
  return { host: new URL(refreshUrl(ctx)).hostname, project: project_id, integration: integration_id, address: isOwn ? 'own' : 'shipped' };
}

/**
 * The grant's world of an existing connection: the definition and registration that hold now, its own inputs.
 * Throws `conflict` when integration, definition or method are gone, `integrity_error`.
 */
export async function connectionContext(world: World, row: ConnectionRecord): Promise<{ ctx: GrantContext; integration: IntegrationRecord }> {
  const view = await world.store.refreshes.read(row.id);
  if (view === undefined) throw new GrantryError('not_found');
  return contextOf(world, { ...view, connection: row });
}

async function contextOf(world: World, view: RefreshView): Promise<{ ctx: GrantContext; integration: IntegrationRecord }> {
  const { connection: row, integration, ownVersion } = view;
  if (integration === undefined) throw new GrantryError('conflict', { detail: `The integration "${row.integration_id}" no longer exists.` });
  const known = definitionInMemory(world, row.project_id, row.provider_id, ownVersion);
  const provider = known === undefined ? await findProvider(world, row.project_id, row.provider_id) : { definition: known, version: ownVersion };
  if (provider === undefined) throw new GrantryError('conflict', { detail: `The definition of "${row.provider_id}" no longer exists.` });
  if (!Object.hasOwn(provider.definition.methods, row.method)) {
    throw new GrantryError('conflict', {
      detail: `The definition of "${row.provider_id}" no longer has the method "${row.method}" of this connection.`,
    });
  }
  const [inputs, client] = await Promise.all([openInputs(world, connectionInputsPlace(row), row.inputs_sealed), openClient(world, integration)]);
  const redirectUri = redirectUriOf(world, { ...integration, method: row.method }, provider) ?? undefined;
  const ctx = grantContext(world, {
    definition: provider.definition,
    method: row.method,
    client,
    inputs,
    requestedScopes: row.requested_scopes,
    redirectUri,
  });
  return { ctx, integration };
}
