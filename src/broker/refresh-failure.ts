import { type ErrorCode, GrantryError, isGrantryError } from '../protocol/errors.ts';
import { markMisconfigured } from './integrations.ts';
import type { ConnectionStatus, IntegrationRecord, NewEvent } from './records.ts';
import type { RefreshOutcome } from './refresh-outcome.ts';
import type { Claim } from './store.ts';
import type { World } from './world.ts';

/** What the failure of a refresh means for its connection. */

type Verdict = {
  status: ConnectionStatus;
  reason: string | null;
  /** Seconds until the next attempt makes sense; null: none does. */
  retryInS: number | null;
  /** `sent`: nobody knows whether the provider has processed the request. */
  outcome: 'sent' | 'refused' | 'failed';
};

const misconfiguredPauseS = 300;
/** A provider that asks for a longer wait is asked again after this. */
const longestToldPauseS = 3_600;
const answerUnknown: readonly ErrorCode[] = ['no_answer', 'bad_provider_answer'];

/** The longest pause: what passes by itself is tried again soon, what somebody has to mend need not be. */
const longestPauseS = { passing: 900, lasting: 21_600 };

/** Full jitter below an exponentially growing bound; seconds. */
function backoffS(world: World, failures: number, { retryable }: GrantryError): number {
  const boundS = Math.min(retryable ? longestPauseS.passing : longestPauseS.lasting, 5 * 2 ** Math.min(failures, 13));
  return 1 + (world.random(2).readUInt16BE(0) / 65_536) * boundS;
}

type Failed = { claim: Claim; integration: IntegrationRecord | undefined };

/** A registration that is refused is tried again by one for all; a customer who alone is refused with it need not be asked about as often. */
function pauseS(world: World, { claim, integration }: Failed, error: GrantryError): number {
  const growingS = backoffS(world, claim.connection.failure_count, error);
  const told = Math.min(error.details.retryAfterS ?? 0, longestToldPauseS);
  if (error.code !== 'invalid_client') return Math.max(told, growingS);
  const isAlone = error.details.nature === 'unexplained' && integration?.status === 'active';
  return isAlone ? Math.max(misconfiguredPauseS, growingS) : misconfiguredPauseS;
}

function verdictOn(world: World, failed: Failed, error: GrantryError): Verdict {
  const { ambiguous } = failed.claim;
  if (error.code === 'invalid_grant') {
    return { status: 'reauthorization_required', reason: ambiguous ? 'crash_during_rotation' : 'invalid_grant', retryInS: null, outcome: 'refused' };
  }
  return {
    status: 'refresh_failing',
    reason: null,
    retryInS: pauseS(world, failed, error),
    outcome: answerUnknown.includes(error.code) ? 'sent' : 'failed',
  };
}

/**
 * Notes the failure, with its event, and says what the caller is told. `overtaken`: the version or the lease had moved on, so
 * the failure says nothing and nothing was noted.
 */
export async function recordFailure(
  world: World,
  claim: Claim,
  integration: IntegrationRecord | undefined,
  cause: unknown,
): Promise<RefreshOutcome | { kind: 'overtaken' }> {
  const row = claim.connection;
  const error = isGrantryError(cause) ? cause : new GrantryError('internal_error', { cause });
  if (!isGrantryError(cause)) world.log.error({ connection: row.id, error: cause instanceof Error ? cause.name : typeof cause }, 'refresh broke');
  const { status, reason, retryInS, outcome } = verdictOn(world, { claim, integration }, error);
  const lastError = { code: error.code, retryable: error.retryable };
  const counted = await world.store.refreshes.fail(
    claim,
    { outcome, status, reason, error: lastError, retryInS },
    eventsOf(claim, error, { status, reason, retryInS }),
  );
  if (error.code === 'invalid_client' && integration !== undefined) await markMisconfigured(world, integration, { error, connection: row });
  if (!counted) return { kind: 'overtaken' };
  world.log.warn({ connection: row.id, code: error.code, status }, 'refresh failed');
  return {
    kind: 'failed',
    error: retryInS === null ? error : new GrantryError(error.code, { ...error.details, retryAfterS: Math.ceil(retryInS), cause }),
  };
}

function eventsOf(
  { connection: row }: Claim,
  error: GrantryError,
  { status, reason, retryInS }: Pick<Verdict, 'status' | 'reason' | 'retryInS'>,
): NewEvent[] {
  const about = { project_id: row.project_id, integration_id: row.integration_id, connection_id: row.id };
  if (status === 'reauthorization_required') {
    return [{ ...about, type: 'connection.reauthorization_required', data: { reason, next: 'Make a connect link with this connection_id.' } }];
  }
  if (row.status === 'refresh_failing') return [];
  const data = { error: error.code, detail: error.message, retryable: error.retryable, next_attempt_in: Math.round(retryInS ?? 0) };
  return [{ ...about, type: 'connection.refresh_failing', data }];
}
