import { randomUUID } from 'node:crypto';
import { grantFor } from '../grants/index.ts';
import { Credential } from '../protocol/credential.ts';
import { type ErrorCode, errorTable, GrantryError } from '../protocol/errors.ts';
import type { GrantContext } from '../protocol/grant.ts';
import { findProvider } from './catalog.ts';
import { openCredential } from './credentials.ts';
import { getIntegrationOf, grantContext, openClient } from './grant-context.ts';
import { markRecovered, redirectUriOf } from './integrations.ts';
import { connectionInputsPlace } from './places.ts';
import type { ConnectionRecord, IntegrationRecord } from './records.ts';
import { recordFailure } from './refresh-failure.ts';
import { type RefreshOutcome, type Renewed, saveRenewed, settled } from './refresh-outcome.ts';
import { openInputs } from './secrets.ts';
import type { Claim, Store } from './store.ts';
import type { World } from './world.ts';

export type { RefreshOutcome } from './refresh-outcome.ts';

/**
 * The one function that refreshes, for the request path and for the jobs. Per token version there is one refresh, ever:
 * the lease and the intent are committed in one statement before anything is sent, the write is fenced by the version.
 */

/** What of a connection says which refresh is meant: its version, and how many attempts at it the caller knows of. */
export type RefreshTarget = Pick<ConnectionRecord, 'project_id' | 'id' | 'token_version' | 'failure_count'>;

/** How long a caller waits for a refresh of another process: a little more than the door's deadline. */
const patienceMs = 12_000;
/** How long a caller waits for all of it; the refresh itself goes on without a caller. */
const callerPatienceMs = 25_000;

const underWay = new WeakMap<Store, Map<string, Promise<RefreshOutcome>>>();

function underWayOf({ store }: Pick<World, 'store'>): Map<string, Promise<RefreshOutcome>> {
  const known = underWay.get(store);
  if (known !== undefined) return known;
  const fresh = new Map<string, Promise<RefreshOutcome>>();
  underWay.set(store, fresh);
  return fresh;
}

/** Resolves when no refresh of this process is under way any more: what a process waits for before it ends. */
export async function refreshesSettled(world: Pick<World, 'store'>): Promise<void> {
  await Promise.allSettled(underWayOf(world).values());
}

/** Refreshes the given version of a connection, or waits for whoever does. */
export function refreshConnection(world: World, row: RefreshTarget): Promise<RefreshOutcome> {
  const running = underWayOf(world);
  const key = `${row.id}/${row.token_version}`;
  const mine = running.get(key) ?? claimOrWait(world, row).finally(() => running.delete(key));
  running.set(key, mine);
  return withPatience(mine);
}

async function withPatience(refresh: Promise<RefreshOutcome>): Promise<RefreshOutcome> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<RefreshOutcome>((resolve) => {
    const error = new GrantryError('unavailable', { detail: 'The refresh is not done yet.', retryAfterS: 5 });
    timer = setTimeout(() => resolve({ kind: 'failed', error }), callerPatienceMs);
  });
  return Promise.race([refresh, tooLong]).finally(() => clearTimeout(timer));
}

async function claimOrWait(world: World, row: RefreshTarget): Promise<RefreshOutcome> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const claim = await world.store.refreshes.claim(row.project_id, row.id, row.token_version, randomUUID(), row.failure_count);
    if (claim !== undefined) {
      const outcome = await refreshClaimed(world, claim);
      if (outcome.kind !== 'overtaken') return outcome;
    }
    const now = await world.store.connections.get(row.project_id, row.id);
    const outcome = settled(now, row.token_version);
    if (outcome !== undefined) return outcome;
    // The one who had the lease has failed since the caller looked: its failure is ours too.
    if (now !== undefined && now.failure_count > row.failure_count) return { kind: 'failed', error: failureOf(now, world.now()) };
    if (performance.now() > deadline) {
      return { kind: 'failed', error: new GrantryError('provider_unavailable', { detail: 'Another refresh is still running.', retryAfterS: 5 }) };
    }
    await world.wakeups.wait(row.id, 250);
  }
}

const isErrorCode = (text: string): text is ErrorCode => Object.hasOwn(errorTable, text);

function failureOf({ last_error, retry_at }: ConnectionRecord, now: Date): GrantryError {
  const code = last_error?.code ?? '';
  const retryAfterS = Math.max(1, Math.ceil(((retry_at?.getTime() ?? 0) - now.getTime()) / 1000));
  return new GrantryError(isErrorCode(code) ? code : 'provider_unavailable', { retryAfterS });
}

/**
 * The grant's world of an existing connection: the definition and registration that hold now, its own inputs.
 * Throws `conflict` when integration, definition or method are gone, `integrity_error`.
 */
export async function connectionContext(world: World, row: ConnectionRecord): Promise<{ ctx: GrantContext; integration: IntegrationRecord }> {
  const [integration, provider, inputs] = await Promise.all([
    getIntegrationOf(world, row.project_id, row.integration_id),
    findProvider(world, row.project_id, row.provider_id),
    openInputs(world, connectionInputsPlace(row), row.inputs_sealed),
  ]);
  if (provider === undefined) throw new GrantryError('conflict', { detail: `The definition of "${row.provider_id}" no longer exists.` });
  if (!Object.hasOwn(provider.definition.methods, row.method)) {
    throw new GrantryError('conflict', {
      detail: `The definition of "${row.provider_id}" no longer has the method "${row.method}" of this connection.`,
    });
  }
  const client = await openClient(world, integration);
  const redirectUri = redirectUriOf(world, { ...integration, method: row.method }, provider) ?? undefined;
  return {
    ctx: grantContext(world, {
      definition: provider.definition,
      method: row.method,
      client,
      inputs,
      requestedScopes: row.requested_scopes,
      redirectUri,
    }),
    integration,
  };
}

async function refreshClaimed(world: World, claim: Claim): Promise<RefreshOutcome | { kind: 'overtaken' }> {
  const row = claim.connection;
  let integration: IntegrationRecord | undefined;
  let renewed: Renewed;
  try {
    const context = await connectionContext(world, row);
    integration = context.integration;
    const { ctx } = context;
    const grant = grantFor(ctx.method);
    if (grant.refresh === undefined) throw new GrantryError('unsupported', { detail: 'This grant cannot be refreshed.' });
    const credential = await openCredential(world, row);
    const sentAt = world.now();
    renewed = { ctx, sentAt, credential: keepRefreshEnd(row, credential, await grant.refresh(ctx, credential), sentAt) };
  } catch (error) {
    return recordFailure(world, claim, integration, error);
  }
  const saved = await saveRenewed(world, claim, renewed);
  await markRecovered(world, integration);
  return saved;
}

/** An answer that keeps the refresh token and is silent about its end leaves the end that is known. */
function keepRefreshEnd({ refresh_expires_at }: ConnectionRecord, old: Credential, renewed: Credential, sentAt: Date): Credential {
  const fields = renewed.reveal();
  if (refresh_expires_at === null || fields.refreshLifetimeS !== null || fields.refresh_token !== old.reveal().refresh_token) return renewed;
  return new Credential({ ...fields, refreshLifetimeS: Math.round((refresh_expires_at.getTime() - sentAt.getTime()) / 1000) });
}
