import { grantFor } from '../grants/index.ts';
import { isGrantryError } from '../protocol/errors.ts';
import { findProvider } from './catalog.ts';
import { withClientSecrets } from './client-secrets.ts';
import { openCredential } from './credentials.ts';
import { grantContext } from './grant-context.ts';
import { connectionInputsPlace } from './places.ts';
import type { ConnectionRecord, NewEvent, RevocationRecord } from './records.ts';
import { openInputs } from './secrets.ts';
import type { NewRevocation } from './store.ts';
import type { World } from './world.ts';

/** After this many attempts (about a day) the provider is no longer asked. */
const mostAttempts = 30;
const leaseS = 60;
/** Few enough that each has had its answer, or its deadline, well inside the lease. */
const atOnce = 10;

/** A provider that asks to wait for longer is asked again all the same. */
const longestWaitS = 3_600;

/**
 * What became of one attempt to tell a provider: a number of seconds keeps the credential for another one; `reconnected`: the connection has got this
 * version otherwise, and many providers end everything of an account with one revocation.
 */
async function tell(
  world: World,
  row: RevocationRecord,
  connection: ConnectionRecord | undefined,
): Promise<'revoked' | 'impossible' | 'reconnected' | { afterS: number }> {
  if (connection !== undefined && connection.token_version >= row.token_version) return 'reconnected';
  const at = { project_id: row.project_id, id: row.connection_id };
  try {
    const integration = await world.store.integrations.get(row.project_id, row.integration_id);
    const provider = integration && (await findProvider(world, row.project_id, integration.provider_id));
    if (integration === undefined || provider === undefined) return 'impossible';
    const inputs = await openInputs(world, connectionInputsPlace(at), row.inputs_sealed);
    const credential = await openCredential(world, {
      ...at,
      token_version: row.token_version,
      credential_sealed: row.credential_sealed,
      scopes: [],
      extras: row.extras,
      issued_at: row.created_at,
      expires_at: null,
      refresh_expires_at: null,
    });
    return await withClientSecrets(world, integration, async (client) => {
      const ctx = grantContext(world, { definition: provider.definition, method: row.method, client, inputs });
      const { revoke } = grantFor(ctx.method);
      if (revoke === undefined) return 'impossible';
      await revoke(ctx, credential);
      return 'revoked';
    });
  } catch (error) {
    if (!isGrantryError(error)) throw error;
    world.log.warn({ connection: row.connection_id, code: error.code }, 'revocation failed');
    // A definition that would be refused today may be mended.
    return error.retryable || error.code === 'invalid_definition' ? { afterS: Math.min(longestWaitS, error.details.retryAfterS ?? 0) } : 'impossible';
  }
}

/** One attempt; the row goes when it is done, or when there is no more use in trying. */
async function attempt(world: World, row: RevocationRecord): Promise<void> {
  // One that is there was stopped, and its refresh came late: it has ended for its own reason, which was told.
  const connection = await world.store.connections.get(row.project_id, row.connection_id);
  const result = await tell(world, row, connection);
  if (typeof result === 'object' && row.attempts < mostAttempts) {
    if (result.afterS > 0) await world.store.revocations.postpone(row, result.afterS);
    return;
  }
  const about = { project_id: row.project_id, integration_id: row.integration_id, connection_id: row.connection_id };
  const event: NewEvent =
    result === 'revoked'
      ? { ...about, type: 'connection.revoked', data: { why: 'The connection was deleted and the provider was told.' } }
      : {
          ...about,
          type: 'connection.revocation_failed',
          data: {
            why: typeof result === 'object' ? 'The provider did not answer for a day.' : 'The provider offers no way, or refused.',
            next: 'The end user can remove the access in her account there.',
          },
        };
  await world.store.revocations.done(row, connection === undefined ? [event] : []);
}

/** One attempt to tell a provider of a credential that is queued; what fails, in whatever way, is tried again by the housekeeping. Never rejects. */
export async function attemptRevocation(world: World, row: RevocationRecord): Promise<void> {
  await attempt(world, row).catch((error: unknown) => {
    world.log.error(
      { connection: row.connection_id, error: error instanceof Error ? error.name : typeof error },
      'revocation broke; it will be tried again',
    );
  });
}

/**
 * Gives a credential back that no connection will use: once this resolves, its provider is told even when this process ends, or the
 * provider is away. The first attempt begins at once, and nobody waits for it.
 */
export async function giveBackLater(world: World, revocation: NewRevocation): Promise<void> {
  const queued = await world.store.revocations.queue(revocation);
  if (queued !== undefined) void attemptRevocation(world, queued);
}

/** Tries what is due; returns how many were tried. */
export async function retryRevocations(world: World, limit: number): Promise<number> {
  for (let tried = 0; ; ) {
    const due = await world.store.revocations.claimDue(Math.min(atOnce, limit - tried), leaseS);
    await Promise.all(due.map((row) => attemptRevocation(world, row)));
    tried += due.length;
    if (due.length < atOnce || tried >= limit) return tried;
  }
}
