import { refreshUrl } from '../grants/refresh.ts';
import type { Credential } from '../protocol/credential.ts';
import { hasOpenHost } from '../protocol/definition/inputs.ts';
import type { Method } from '../protocol/definition/schema.ts';
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

/** A refresh that may come to be: who would ask which host of the provider, and how it is made ready. */
export type Prospect = {
  view: RefreshView;
  /** Undefined when it cannot be carried out. */
  caller: Caller | undefined;
  plan(): Promise<RefreshPlan>;
};

/** What a refresh will do, made ready before the lease is taken: nothing here is sent. */
export type RefreshPlan = ReadyPlan | { kind: 'impossible'; view: RefreshView; caller: undefined; error: unknown };
export type ReadyPlan = {
  kind: 'ready';
  view: RefreshView;
  caller: Caller;
  ctx: GrantContext;
  integration: IntegrationRecord;
  credential: Credential;
};

/** Opens nothing where the definition alone names the host: a host that has no time costs little then. Throws `unavailable`. */
export async function prospectOf(world: World, view: RefreshView): Promise<Prospect> {
  const caller = callerInSight(world, view);
  if (caller !== undefined) return { view, caller, plan: () => planRefresh(world, view) };
  const plan = await planRefresh(world, view);
  return { view, caller: plan.caller, plan: async () => plan };
}

/** By method: the host that its definition names, null when that takes values of the integration or the connection. */
const namedHosts = new WeakMap<Method, string | null>();

function namedHost(method: Method): string | null {
  const known = namedHosts.get(method);
  if (known !== undefined) return known;
  const endpoint = 'token_endpoint' in method ? (method.refresh.endpoint ?? method.token_endpoint) : '{';
  const host = endpoint.includes('{') ? null : new URL(endpoint).hostname;
  namedHosts.set(method, host);
  return host;
}

function callerInSight(world: World, { connection, integration, ownVersion }: RefreshView): Caller | undefined {
  const { project_id, integration_id, provider_id, method: name } = connection;
  const methods = definitionInMemory(world, project_id, provider_id, ownVersion)?.methods ?? {};
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
  const host = method === undefined || integration === undefined ? null : namedHost(method);
  return host === null ? undefined : { host, project: project_id, integration: integration_id, address: ownVersion === null ? 'shipped' : 'own' };
}

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
