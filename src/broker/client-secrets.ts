import { type GrantryError, isGrantryError } from '../protocol/errors.ts';
import type { ClientRegistration, GrantContext } from '../protocol/grant.ts';
import { integrationPlace } from './places.ts';
import type { IntegrationRecord } from './records.ts';
import { openOptional } from './secrets.ts';
import type { Store } from './store.ts';
import type { World } from './world.ts';

/**
 * An integration may have several client secrets, in order, while one is being replaced at the provider: whichever the provider
 * knows is found out by asking, and remembered by this process.
 */

type Registered = Pick<IntegrationRecord, 'project_id' | 'id' | 'secret_version'>;

/** Which of the secrets was accepted last; of that secret_version only. Bounded: what was noted longest ago is forgotten first. */
const accepted = new WeakMap<Store, Map<string, { version: number; index: number }>>();
const mostRemembered = 1_000;

/** No further secret is tried later than this: one more try, which may be two requests, has to end well inside the lease of a refresh (45 s). */
const latestTryMs = 10_000;

/** Refusals that leave open whether it is the secret: the code or the refresh token may have been looked at. */
const openQuestions: ReadonlySet<GrantryError['details']['nature']> = new Set(['unexplained', 'unentitled']);

const keyOf = ({ project_id, id }: Registered): string => JSON.stringify([project_id, id]);

function acceptedIndex({ store }: Pick<World, 'store'>, integration: Registered): number {
  const known = accepted.get(store)?.get(keyOf(integration));
  return known?.version === integration.secret_version ? known.index : 0;
}

function remember({ store }: Pick<World, 'store'>, integration: Registered, index: number): void {
  const known = accepted.get(store) ?? new Map<string, { version: number; index: number }>();
  accepted.set(store, known);
  const key = keyOf(integration);
  known.delete(key);
  known.set(key, { version: integration.secret_version, index });
  for (const oldest of known.keys()) {
    if (known.size <= mostRemembered) break;
    known.delete(oldest);
  }
}

/** All client secrets of an integration, in their order. */
export async function openSecrets(world: Pick<World, 'seal'>, integration: IntegrationRecord): Promise<string[]> {
  const [first, further] = await Promise.all([
    openOptional(world, integrationPlace(integration, 'client_secret'), integration.client_secret_sealed),
    openOptional(world, integrationPlace(integration, 'further_secrets'), integration.further_secrets_sealed),
  ]);
  const others: string[] = further === undefined ? [] : JSON.parse(further);
  return first === undefined ? [] : [first, ...others];
}

/** Seals client secrets for an integration's row and version. */
export async function sealSecrets(
  world: Pick<World, 'seal'>,
  row: Registered,
  [first, ...further]: readonly string[],
): Promise<Pick<IntegrationRecord, 'client_secret_sealed' | 'further_secrets_sealed'>> {
  return {
    client_secret_sealed: first === undefined ? null : await world.seal.seal(integrationPlace(row, 'client_secret'), first),
    further_secrets_sealed: further.length === 0 ? null : await world.seal.seal(integrationPlace(row, 'further_secrets'), JSON.stringify(further)),
  };
}

/** Opens our registration at the provider, with the secret that was accepted last, else the first. */
export async function openClient(world: Pick<World, 'seal' | 'store'>, integration: IntegrationRecord): Promise<ClientRegistration> {
  const index = integration.further_secrets_sealed === null ? 0 : acceptedIndex(world, integration);
  const [secret, key] = await Promise.all([
    index === 0
      ? openOptional(world, integrationPlace(integration, 'client_secret'), integration.client_secret_sealed)
      : openSecrets(world, integration).then((secrets) => secrets[index]),
    openOptional(world, integrationPlace(integration, 'private_key'), integration.private_key_sealed),
  ]);
  return {
    client_id: integration.client_id,
    ...(secret !== undefined && { client_secret: secret }),
    ...(key !== undefined && { private_key_jwk: JSON.parse(key) }),
  };
}

/**
 * Asks the provider with the secret that was accepted last; when it says that it refuses the client, with each of the others in their order, once.
 * Throws the last `invalid_client`, and every other failure at once.
 */
export async function withClientSecrets<T>(
  world: World,
  integration: IntegrationRecord,
  work: (client: ClientRegistration) => Promise<T>,
): Promise<T> {
  return inOrder(world, integration, { first: await openClient(world, integration), work });
}

/** The same for a context that was made with `openClient` before: nothing is opened twice. */
export function withSecretsOf<T>(
  world: World,
  { integration, ctx }: { integration: IntegrationRecord; ctx: GrantContext },
  work: (ctx: GrantContext) => Promise<T>,
): Promise<T> {
  return inOrder(world, integration, { first: ctx.client, work: (client) => work(client === ctx.client ? ctx : { ...ctx, client }) });
}

/**
 * A code or a refresh token serves once, and is asked with again all the same where the provider says that it is the client that it refuses: it
 * authenticates the client before it looks at either (RFC 6749 sections 4.1.3 and 6), so it has not used them up. After a 401 that does not
 * say so nothing is sent again: it may mean the code, which is never redeemed twice (section 4.1.2).
 */
async function inOrder<T>(
  world: World,
  integration: IntegrationRecord,
  { first, work }: { first: ClientRegistration; work: (client: ClientRegistration) => Promise<T> },
): Promise<T> {
  if (integration.further_secrets_sealed === null) return work(first);
  const begunMs = world.elapsedMs();
  let refusal: GrantryError;
  try {
    return await work(first);
  } catch (error) {
    refusal = clientRefusal(error);
  }
  for (const [index, client_secret] of (await openSecrets(world, integration)).entries()) {
    if (client_secret === first.client_secret) continue;
    if (world.elapsedMs() - begunMs > latestTryMs) break;
    try {
      const done = await work({ ...first, client_secret });
      remember(world, integration, index);
      return done;
    } catch (error) {
      refusal = clientRefusal(error);
    }
  }
  throw refusal;
}

/** What may be tried again with another secret; throws everything else. */
function clientRefusal(error: unknown): GrantryError {
  if (isGrantryError(error, 'invalid_client') && !openQuestions.has(error.details.nature)) return error;
  throw error;
}
