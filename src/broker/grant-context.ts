import type { Definition, Method } from '../protocol/definition/schema.ts';
import { GrantryError } from '../protocol/errors.ts';
import type { ClientRegistration, GrantContext } from '../protocol/grant.ts';
import { methodOf } from './catalog.ts';
import { integrationPlace } from './places.ts';
import type { IntegrationRecord } from './records.ts';
import { openInputs } from './secrets.ts';
import type { World } from './world.ts';

export { openClient } from './client-secrets.ts';

/** The values that the admin gave with the integration. */
export const openIntegrationInputs = (world: World, integration: IntegrationRecord): Promise<Record<string, string>> =>
  openInputs(world, integrationPlace(integration, 'inputs'), integration.inputs_sealed);

/** The integration, which a project's link or connection names. Throws `conflict` when it is gone. */
export async function getIntegrationOf(world: World, project: string, id: string): Promise<IntegrationRecord> {
  const integration = await world.store.integrations.get(project, id);
  if (integration === undefined) throw new GrantryError('conflict', { detail: `The integration "${id}" no longer exists.` });
  return integration;
}

/** What a grant is given. */
export function grantContext(
  world: World,
  {
    definition,
    method,
    client,
    inputs,
    requestedScopes,
    redirectUri,
  }: {
    definition: Definition;
    method: string;
    client: ClientRegistration;
    inputs: Readonly<Record<string, string>>;
    requestedScopes?: readonly string[];
    redirectUri?: string | undefined;
  },
): GrantContext<Method> {
  return {
    ...(requestedScopes !== undefined && { requestedScopes }),
    ...(redirectUri !== undefined && { redirectUri }),
    definition,
    method: methodOf(definition, method).method,
    client,
    inputs,
    allowPrivateHosts: world.allowPrivateHosts,
    door: world.door,
    now: world.now,
    random: world.random,
  };
}
