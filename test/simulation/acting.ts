import { saveConnection } from '../../src/broker/connecting.ts';
import { ageFromNow } from '../../src/broker/credentials.ts';
import { grantContext, openClient } from '../../src/broker/grant-context.ts';
import { updateIntegration } from '../../src/broker/integrations.ts';
import { getToken } from '../../src/broker/tokens.ts';
import type { World } from '../../src/broker/world.ts';
import { Credential } from '../../src/protocol/credential.ts';
import { isGrantryError } from '../../src/protocol/errors.ts';
import type { Running } from './broker-process.ts';
import { linkOf, project } from './link.ts';
import type { Provider } from './provider.ts';
import type { Stage } from './stage.ts';

/** What people and their software do with the broker meanwhile. */

const codeOf = (error: unknown): string => (isGrantryError(error) ? error.code : String(error));

/** A caller asks for a token, as the API does. */
export async function ask(
  { time, ledger, trace }: Stage,
  { world, life }: Running,
  id: string,
  wish: { minTtlS: number; force: boolean },
): Promise<void> {
  const startMs = time.nowMs();
  try {
    const row = await world.store.tokens.byProject(project, id);
    if (row === undefined) return ledger.refused(id, 'not_found', startMs);
    const token = await getToken(world, row, wish);
    if (!life.alive || !('access_token' in token)) return;
    trace?.(life.name, `hands out ${token.access_token}`);
    ledger.handedOut(id, token.access_token, startMs);
  } catch (error) {
    trace?.(life.name, `refuses a caller: ${codeOf(error)}`);
    ledger.refused(id, codeOf(error), startMs);
  }
}

/** The end user goes through a connect link again. */
export async function reconnect({ trace }: Stage, { world, life }: Running, { id, provider }: { id: string; provider: Provider }): Promise<void> {
  const integration = await world.store.integrations.get(project, provider.host);
  const old = await world.store.connections.get(project, id);
  if (integration === undefined || old === undefined) return;
  const definition = world.shipped.get(integration.provider_id)!;
  const ageMs = ageFromNow(world);
  const tokens = provider.authorize(id);
  trace?.(life.name, `is authorized again for ${id}: ${tokens.access_token}`);
  const credential = new Credential({
    kind: 'oauth2',
    token_type: 'bearer',
    ...tokens,
    scopes: [],
    lifetimeS: provider.lifetimeS,
    refreshLifetimeS: null,
    extras: {},
  });
  const link = linkOf(old.id, integration.id);
  const ctx = grantContext(world, { definition, method: 'web', client: await openClient(world, integration), inputs: {} });
  await saveConnection(world, { link, integration, ctx, credential, inputs: {}, account: undefined, ageMs });
}

export async function patch({ time }: Stage, { world }: Running, id: string): Promise<void> {
  await world.store.connections.setMetadata(project, id, { patched: time.nowMs() });
}

const about = (integration: string, id: string) => ({ project_id: project, integration_id: integration, connection_id: id });

/** The broker's part of a deletion; the provider is not told. */
export async function remove(_: Stage, { world }: Running, { id, provider }: { id: string; provider: Provider }): Promise<void> {
  await world.store.connections.remove(project, id, 'nothing', [{ ...about(provider.host, id), type: 'connection.deleted' }]);
}

/** The security stop. */
export async function stop(_: Stage, { world }: Running, { id, provider }: { id: string; provider: Provider }): Promise<void> {
  await world.store.connections.requireReauthorization(project, id, 'stopped', [
    { ...about(provider.host, id), type: 'connection.reauthorization_required', data: { reason: 'stopped' } },
  ]);
}

/** The admin gives the secret that the provider knows now. */
export async function mendSecret(world: World, provider: Provider): Promise<void> {
  await updateIntegration(world, project, provider.host, { client_secret: provider.secret });
}
