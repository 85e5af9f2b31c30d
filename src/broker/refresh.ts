import { randomUUID } from 'node:crypto';
import { grantFor } from '../grants/index.ts';
import { Credential } from '../protocol/credential.ts';
import { type ErrorCode, GrantryError, isGrantryError } from '../protocol/errors.ts';
import { findProvider } from './catalog.ts';
import { openCredential, storeCredential } from './credentials.ts';
import { getIntegrationOf, grantContext, openClient } from './grant-context.ts';
import { markMisconfigured, markRecovered, redirectUriOf } from './integrations.ts';
import { connectionInputsPlace } from './places.ts';
import type { ConnectionRecord, ConnectionStatus, IntegrationRecord, NewEvent } from './records.ts';
import { openInputs } from './secrets.ts';
import type { Claim, StoredCredential } from './store.ts';
import type { World } from './world.ts';
import type { GrantContext } from '../protocol/grant.ts';

/**
 * The one function that refreshes, for the request path and for the jobs. Per token version there is one refresh, ever:
 * the lease and the intent are committed in one statement before anything is sent, the write is fenced by the version.
 */

export type RefreshOutcome =
  /** This call or another one brought a newer credential. */
  | { kind: 'refreshed'; connection: ConnectionRecord }
  | { kind: 'failed'; error: GrantryError }
  /** The connection was deleted meanwhile. */
  | { kind: 'gone' };

const inFlight = new Map<string, Promise<RefreshOutcome>>();

/** How long a caller waits for somebody else's refresh: a little more than the door's deadline. */
const patienceMs = 12_000;

/** Refreshes the given version of a connection, or waits for whoever does. */
export function refreshConnection(world: World, row: Pick<ConnectionRecord, 'project_id' | 'id' | 'token_version'>): Promise<RefreshOutcome> {
  const key = `${row.id}/${row.token_version}`;
  const running = inFlight.get(key);
  if (running !== undefined) return running;
  const mine = claimOrWait(world, row).finally(() => inFlight.delete(key));
  inFlight.set(key, mine);
  return mine;
}

/** What the state of a connection says to a caller that wanted the given version refreshed; undefined: nothing yet. */
function settled(now: ConnectionRecord | undefined, version: number): RefreshOutcome | undefined {
  if (now === undefined) return { kind: 'gone' };
  if (now.token_version > version) return { kind: 'refreshed', connection: now };
  if (now.status === 'reauthorization_required' || now.status === 'revoked') return { kind: 'failed', error: new GrantryError('invalid_grant') };
  return undefined;
}

async function claimOrWait(world: World, { project_id, id, token_version }: Pick<ConnectionRecord, 'project_id' | 'id' | 'token_version'>): Promise<RefreshOutcome> {
  const deadline = performance.now() + patienceMs;
  let failuresBefore: number | undefined;
  for (;;) {
    const claim = await world.store.refreshes.claim(project_id, id, token_version, randomUUID());
    if (claim !== undefined) return refreshClaimed(world, claim);
    const now = await world.store.connections.get(project_id, id);
    const outcome = settled(now, token_version);
    if (outcome !== undefined) return outcome;
    // The one who had the lease has failed since we began to wait: its failure is ours too.
    failuresBefore ??= now?.failure_count;
    if (now !== undefined && failuresBefore !== undefined && now.failure_count > failuresBefore) {
      return { kind: 'failed', error: new GrantryError('provider_unavailable', { retryAfterS: retryAfterS(now, world.now()) }) };
    }
    if (performance.now() > deadline) return { kind: 'failed', error: new GrantryError('provider_unavailable', { detail: 'Another refresh is still running.', retryAfterS: 5 }) };
    await world.wakeups.wait(id, 250);
  }
}

const retryAfterS = ({ retry_at }: ConnectionRecord, now: Date): number => Math.max(1, Math.ceil(((retry_at?.getTime() ?? 0) - now.getTime()) / 1000));

/** The grant's world of an existing connection: the definition and registration that hold now, its own inputs. */
export async function connectionContext(world: World, row: ConnectionRecord): Promise<{ ctx: GrantContext; integration: IntegrationRecord }> {
  const [integration, provider, inputs] = await Promise.all([
    getIntegrationOf(world, row.project_id, row.integration_id),
    findProvider(world, row.project_id, row.provider_id),
    openInputs(world, connectionInputsPlace(row), row.inputs_sealed),
  ]);
  if (provider === undefined) throw new GrantryError('conflict', { detail: `The definition of "${row.provider_id}" no longer exists.` });
  const client = await openClient(world, integration);
  const redirectUri = redirectUriOf(world, { ...integration, method: row.method }, provider) ?? undefined;
  return { ctx: grantContext(world, { definition: provider.definition, method: row.method, client, inputs, requestedScopes: row.requested_scopes, redirectUri }), integration };
}

async function refreshClaimed(world: World, claim: Claim): Promise<RefreshOutcome> {
  const row = claim.connection;
  let integration: IntegrationRecord | undefined;
  let next: StoredCredential;
  try {
    const context = await connectionContext(world, row);
    integration = context.integration;
    const grant = grantFor(context.ctx.method);
    if (grant.refresh === undefined) throw new GrantryError('unsupported', { detail: 'This grant cannot be refreshed.' });
    const credential = await openCredential(world, row);
    const sentAt = world.now();
    const renewed = keepRefreshEnd(row, credential, await grant.refresh(context.ctx, credential), sentAt);
    next = await storeCredential(world, { ...row, token_version: row.token_version + 1 }, { method: context.ctx.method, credential: renewed, sentAt });
  } catch (error) {
    return failed(world, claim, integration, error);
  }
  const saved = await commitFirst(world, claim, next);
  if (integration !== undefined) await markRecovered(world, integration);
  return saved;
}

/** An answer that keeps the refresh token and is silent about its end leaves the end that is known. */
function keepRefreshEnd({ refresh_expires_at }: ConnectionRecord, old: Credential, renewed: Credential, sentAt: Date): Credential {
  const fields = renewed.reveal();
  if (refresh_expires_at === null || fields.refreshLifetimeS !== null || fields.refresh_token !== old.reveal().refresh_token) return renewed;
  return new Credential({ ...fields, refreshLifetimeS: Math.round((refresh_expires_at.getTime() - sentAt.getTime()) / 1000) });
}

/** The new credential is the only copy there is: until it is saved nothing else is done, and a Postgres that is away is waited for. */
async function commitFirst(world: World, claim: Claim, next: StoredCredential): Promise<RefreshOutcome> {
  const row = claim.connection;
  const about = { project_id: row.project_id, integration_id: row.integration_id, connection_id: row.id };
  const events: NewEvent[] = [{ ...about, type: 'connection.refreshed', data: { token_version: row.token_version + 1, expires_in: next.times.lifetimeS } }];
  if (row.status === 'refresh_failing') events.push({ ...about, type: 'connection.recovered', data: { failing_since: row.failing_since?.toISOString() ?? null } });
  for (let attempt = 0; ; attempt += 1) {
    try {
      const saved = await world.store.refreshes.commit(claim, next, events);
      if (saved !== undefined) return { kind: 'refreshed', connection: saved };
      return settled(await world.store.connections.get(row.project_id, row.id), row.token_version) ?? { kind: 'gone' };
    } catch (error) {
      if (attempt >= 40) throw error;
      world.log.error({ connection: row.id, attempt }, 'the new credential could not be saved yet; trying again');
      await new Promise((resolve) => setTimeout(resolve, Math.min(1000, 50 * 2 ** attempt)));
    }
  }
}

/** Full jitter below an exponentially growing bound; seconds. */
function backoffS(world: World, failures: number): number {
  const boundS = Math.min(900, 5 * 2 ** Math.min(failures, 10));
  return 1 + (world.random(2).readUInt16BE(0) / 65_536) * boundS;
}

/** What a failure means for the connection. */
function verdict(world: World, claim: Claim, error: GrantryError): { status: ConnectionStatus; reason: string | null; retryInS: number | null; outcome: 'sent' | 'refused' | 'failed' } {
  if (error.code === 'invalid_grant') {
    const reason = claim.ambiguous ? 'crash_during_rotation' : 'invalid_grant';
    return { status: 'reauthorization_required', reason, retryInS: null, outcome: 'refused' };
  }
  // After these nobody knows whether the provider has rotated the token.
  const unknown: ErrorCode[] = ['no_answer', 'bad_provider_answer'];
  const told = Math.min(error.details.retryAfterS ?? 0, 3_600);
  const waitS = error.code === 'invalid_client' ? 300 : Math.max(told, backoffS(world, claim.connection.failure_count));
  return { status: 'refresh_failing', reason: null, retryInS: waitS, outcome: unknown.includes(error.code) ? 'sent' : 'failed' };
}

async function failed(world: World, claim: Claim, integration: IntegrationRecord | undefined, cause: unknown): Promise<RefreshOutcome> {
  const row = claim.connection;
  const error = isGrantryError(cause) ? cause : new GrantryError('internal_error', { cause });
  if (!isGrantryError(cause)) world.log.error({ connection: row.id, error: cause instanceof Error ? cause.name : typeof cause }, 'refresh broke');
  const { status, reason, retryInS, outcome } = verdict(world, claim, error);
  const about = { project_id: row.project_id, integration_id: row.integration_id, connection_id: row.id };
  const events: NewEvent[] = [];
  if (status === 'reauthorization_required') {
    events.push({ ...about, type: 'connection.reauthorization_required', data: { reason, next: 'Make a connect link with this connection_id.' } });
  } else if (row.status !== 'refresh_failing') {
    events.push({ ...about, type: 'connection.refresh_failing', data: { error: error.code, retryable: error.retryable, next_attempt_in: Math.round(retryInS ?? 0) } });
  }
  const counted = await world.store.refreshes.fail(claim, { outcome, status, reason, error: { code: error.code, retryable: error.retryable }, retryInS }, events);
  if (!counted) {
    // Somebody else moved on meanwhile: their word counts, not our failure.
    const now = settled(await world.store.connections.get(row.project_id, row.id), row.token_version);
    if (now !== undefined) return now;
  }
  if (error.code === 'invalid_client' && integration !== undefined) await markMisconfigured(world, integration);
  world.log.warn({ connection: row.id, code: error.code, status }, 'refresh failed');
  return { kind: 'failed', error: retryInS === null ? error : new GrantryError(error.code, { ...error.details, retryAfterS: Math.ceil(retryInS), cause }) };
}
