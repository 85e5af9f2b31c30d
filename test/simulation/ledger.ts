import type { ConnectionRecord } from '../../src/broker/records.ts';
import type { Cause, Step } from './memory-tables.ts';
import type { Processed, Provider } from './provider.ts';
import type { Guarantee, Violation } from './violations.ts';
import type { Life } from './virtual-time.ts';

/** What really happened, written down by those who stand outside the broker, and checked as it happens. */

/** `open`: under way; `unknown`: the sender was told that nobody knows what came of it. */
export type Verdict = 'open' | 'known_success' | 'known_failure' | 'unknown';
export type SentRequest = {
  readonly life: Life;
  readonly host: string;
  readonly connection: string;
  readonly version: number;
  readonly claimedMs: number;
  readonly sentMs: number;
  readonly refreshToken: string;
  verdict: Verdict;
  /** The provider gave new tokens for it, whoever got to hear of that. */
  carriedOut: boolean;
};

/** A connection as it was from one change to the next. */
type Spell = { fromMs: number; row: ConnectionRecord; accessToken: string | undefined };

/** A credential that has arrived at its process. */
type Arrived = {
  readonly life: Life;
  readonly connection: string;
  readonly version: number;
  readonly accessToken: string;
  fate: 'held' | 'saved' | 'overtaken';
  /** Since when the process knows that Postgres did not take it. */
  troubleMs: number | undefined;
  spilled: boolean;
  /** The disk did not take it. */
  noRoom: boolean;
};

export type Ledger = ReturnType<typeof createLedger>;

const leaseMs = 45_000;
/** So soon after a failure to save it, a credential is on the disk. */
const spillMs = 1_000;

/**
 * How many requests a process may send to a host that has been down for so long: five until the breaker opens, those that were under way
 * together with them, and trials at growing distances, of 2.5 s at least.
 */
const mostRequests = (downMs: number, together: number): number => 5 + together + 2 + Math.log2(1 + downMs / 2_500);

export function createLedger({
  nowMs,
  secretsOf,
  providerOf,
}: {
  nowMs: () => number;
  secretsOf: (row: ConnectionRecord) => { access_token: string } | undefined;
  providerOf: (connection: string) => Provider;
}) {
  const violations: Violation[] = [];
  const requests: SentRequest[] = [];
  const spells = new Map<string, Spell[]>();
  const told = new Map<string, string>();
  const claims = new Map<string, { life: Life; atMs: number; version: number }[]>();
  /** By access token. */
  const arrived = new Map<string, Arrived>();

  function claimsOf(connection: string) {
    const known = claims.get(connection) ?? [];
    claims.set(connection, known);
    return known;
  }

  function violated(guarantee: Guarantee, message: string): void {
    violations.push({ guarantee, atMs: nowMs(), message });
  }

  /** Nobody could know what had become of it, or it had certainly come to nothing. */
  function isExcused({ life, verdict, claimedMs }: SentRequest): boolean {
    if (verdict === 'unknown' || verdict === 'known_failure' || !life.alive) return true;
    // It was stopped for so long that others had to take it for dead.
    return nowMs() - claimedMs >= leaseMs && life.pausedUntilMs > claimedMs;
  }

  /** A request for this version of which nobody knows what came of it. */
  const leavesDoubt = ({ connection, version, verdict, life }: SentRequest, { id, token_version }: ConnectionRecord): boolean =>
    connection === id && version === token_version && (verdict === 'unknown' || (verdict !== 'known_failure' && !life.alive));

  const during = (connection: string, startMs: number): Spell[] => {
    const all = spells.get(connection) ?? [];
    return all.filter((_, index) => (all[index + 1]?.fromMs ?? Infinity) >= startMs);
  };
  const isInUse = ({ row }: Spell): boolean => row.deleted_at === null && (row.status === 'active' || row.status === 'refresh_failing');

  /** Nobody will save it any more: something else has to have come first. */
  function overtaken(each: Arrived): void {
    each.fate = 'overtaken';
    const row = spells.get(each.connection)?.at(-1)?.row;
    if (row === undefined || row.deleted_at !== null || row.reason === 'stopped' || row.token_version !== each.version) return;
    violated('answers_are_saved', `the credential after version ${each.version} of ${each.connection} was given up, and nothing had come first`);
  }

  function watchTimeline({ cause, before, after, events }: Step): void {
    for (const { type, connection_id } of events) {
      if (connection_id !== after.id) violated('true_timeline', `an event of ${after.id} names ${connection_id}`);
      if (type === 'connection.reauthorization_required') told.set(after.id, 'reauthorization_required');
      else if (type === 'connection.refresh_failing') told.set(after.id, 'refresh_failing');
      else if (type === 'connection.recovered' || type === 'connection.reconnected') told.set(after.id, 'active');
      else if (type === 'connection.deleted') told.set(after.id, 'revoked');
    }
    if (told.get(after.id) !== after.status) {
      violated('true_timeline', `${after.id} went from ${before.status} to ${after.status} by ${cause}, and its events say ${told.get(after.id)}`);
    }
    const types = events.map(({ type }) => type);
    if (cause === 'commit' && !types.includes('connection.refreshed')) violated('true_timeline', `a refresh of ${after.id} is not told`);
    if (after.status === 'reauthorization_required' && before.status !== after.status && after.reason === null) {
      violated('told_losses', `${after.id} needs a reauthorization, and nobody says why`);
    }
  }

  const own: readonly Cause[] = ['claim', 'commit', 'fail', 'hand_out', 'put_off', 'resume'];

  function watchChanges({ cause, before, after }: Step): void {
    if (before.deleted_at !== null) violated('nothing_undone', `${after.id} was deleted, and ${cause} changed it`);
    if (cause !== 'metadata' && cause !== 'remove' && before.metadata !== after.metadata)
      violated('nothing_undone', `${cause} changed the metadata of ${after.id}`);
    if (cause === 'commit' && before.status === 'reauthorization_required' && before.reason === 'stopped') {
      violated('nothing_undone', `a refresh undid the security stop of ${after.id}`);
    }
    if (cause === 'fail' && before.status === 'reauthorization_required')
      violated('nothing_undone', `a failure changed ${after.id}, which had been stopped`);
    if (!own.includes(cause) || before.credential_sealed === after.credential_sealed) return;
    const provider = providerOf(after.id);
    const [old, next] = [before, after].map((row) => provider.grantOf(secretsOf(row)?.access_token ?? ''));
    if (old !== next) violated('nothing_undone', `${cause} replaced the grant ${old?.id} of ${after.id} by ${next?.id}`);
    if (after.token_version !== before.token_version + 1)
      violated('nothing_undone', `${cause} wrote version ${after.token_version} of ${after.id} over ${before.token_version}`);
  }

  return {
    violations,
    requests,
    arrived,
    violated,
    during,

    /** A connection as it begins. */
    begin(row: ConnectionRecord): void {
      spells.set(row.id, [{ fromMs: nowMs(), row, accessToken: secretsOf(row)?.access_token }]);
      told.set(row.id, row.status);
    },

    /** Every change of a connection, and who asked for it. */
    step(step: Step, caller: Life | undefined): void {
      const { cause, before, after } = step;
      watchTimeline(step);
      watchChanges(step);
      if (cause === 'fail' && after.reason === 'invalid_grant' && requests.some((each) => leavesDoubt(each, after))) {
        violated('told_losses', `${after.id} is said to be refused, though an earlier request for it may have been carried out`);
      }
      if (cause === 'claim') {
        const atMs = nowMs();
        if (caller !== undefined) claimsOf(after.id).push({ life: caller, atMs, version: after.token_version });
        const isLater = (at: Date | null) => at !== null && at.getTime() > epochMs + atMs;
        if (isLater(before.lease_until)) violated('one_refresh_per_version', `${after.id} was claimed while somebody else had it`);
        if (isLater(before.retry_at)) {
          violated('patience', `${after.id} was claimed before its next attempt was to be made`);
        }
      }
      const accessToken = secretsOf(after)?.access_token;
      if (before.status !== after.status || before.token_version !== after.token_version || before.deleted_at !== after.deleted_at) {
        spells.get(after.id)?.push({ fromMs: nowMs(), row: after, accessToken });
      }
      const saved = arrived.get(accessToken ?? '');
      if (saved !== undefined) saved.fate = 'saved';
    },

    /** A refresh leaves for its provider. */
    sent(life: Life, host: string, connection: string, refreshToken: string): SentRequest {
      const claim = claims.get(connection)?.findLast((each) => each.life === life);
      const version = claim?.version ?? 0;
      if (claim === undefined) violated('one_refresh_per_version', `${life.name} refreshes ${connection} without a claim`);
      const request: SentRequest = {
        life,
        host,
        connection,
        version,
        claimedMs: claim?.atMs ?? nowMs(),
        sentMs: nowMs(),
        refreshToken,
        verdict: 'open',
        carriedOut: false,
      };
      for (const earlier of requests) {
        if (earlier.connection !== connection || earlier.version !== version || isExcused(earlier)) continue;
        violated(
          'one_refresh_per_version',
          `${life.name} refreshes version ${version} of ${connection}, which ${earlier.life.name} has (${earlier.verdict})`,
        );
      }
      requests.push(request);
      return request;
    },

    /** The provider has carried out, or refused, a request. */
    processed(request: SentRequest, { reuse, tokens }: Processed): void {
      request.carriedOut = tokens !== undefined;
      if (reuse !== true) return;
      const first = requests.find((each) => each.carriedOut && each.refreshToken === request.refreshToken);
      // This one may be the one that nobody waited for any more.
      if (first === undefined || !(isExcused(first) || isExcused(request)))
        violated('no_reuse', `${request.life.name} used a refresh token of ${request.connection} again`);
    },

    arrivedAt({ life, connection, version }: SentRequest, accessToken: string): void {
      arrived.set(accessToken, { life, connection, version, accessToken, fate: 'held', troubleMs: undefined, spilled: false, noRoom: false });
    },
    /** Saving was tried: refused because something else came first, or failed for now. */
    notSaved(accessToken: string | undefined, how: 'overtaken' | 'trouble'): void {
      const each = arrived.get(accessToken ?? '');
      if (each?.fate !== 'held') return;
      if (how === 'overtaken') overtaken(each);
      else each.troubleMs ??= nowMs();
    },
    spilled(connection: string, version: number, how: 'kept' | 'no_room' | 'dropped'): void {
      for (const each of arrived.values()) {
        if (each.connection !== connection || each.version !== version || each.fate !== 'held') continue;
        if (how === 'kept') each.spilled = true;
        else if (how === 'no_room') each.noRoom = true;
        else overtaken(each);
      }
    },
    died(life: Life): void {
      for (const each of arrived.values()) {
        if (each.life !== life || each.fate !== 'held' || each.spilled) continue;
        const isLate = !each.noRoom && each.troubleMs !== undefined && nowMs() - each.troubleMs > spillMs && life.pausedUntilMs < each.troubleMs;
        if (isLate) violated('answers_are_saved', `the new credential of ${each.connection} was in the memory of ${life.name} alone`);
        each.fate = 'overtaken';
      }
    },

    /** A provider was down: nobody may have gone on and on. `together`: its connections, each of which may have a request under way. */
    wasDown(host: string, fromMs: number, toMs: number, together: number): void {
      const counts = new Map<Life, number>();
      for (const { life, ...request } of requests) {
        if (request.host === host && request.sentMs >= fromMs && request.sentMs < toMs) counts.set(life, (counts.get(life) ?? 0) + 1);
      }
      for (const [{ name }, count] of counts) {
        if (count > mostRequests(toMs - fromMs, together))
          violated('no_hammering', `${name} sent ${count} requests to ${host}, which was down for ${toMs - fromMs} ms`);
      }
    },

    /** A caller has its token. */
    handedOut(connection: string, accessToken: string, startMs: number): void {
      const spell = during(connection, startMs).find((each) => isInUse(each) && each.accessToken === accessToken);
      if (spell === undefined) return violated('honest_tokens', `${connection} was not ${accessToken} since ${startMs} ms, when its caller came`);
      const provider = providerOf(connection);
      if (provider.grantOf(accessToken)?.connection !== connection) violated('honest_tokens', `${accessToken} is not of ${connection}`);
      const ends = provider.tokenEndsMs(accessToken) ?? 0;
      const believed = spell.row.expires_at?.getTime() ?? Infinity;
      if (ends <= startMs && believed <= epochMs + startMs)
        violated('honest_tokens', `${accessToken} of ${connection} had ended before its caller came`);
    },
    /** A caller was refused. */
    refused(connection: string, code: string, startMs: number): void {
      const all = during(connection, startMs);
      const isTrue =
        code === 'not_found'
          ? all.some(({ row }) => row.deleted_at !== null)
          : code === 'reauthorization_required'
            ? all.some(({ row }) => row.status === 'reauthorization_required')
            : ['provider_unavailable', 'unavailable', 'misconfigured'].includes(code);
      if (!isTrue) violated('honest_refusals', `a caller of ${connection} was told ${code}`);
    },
  };
}

/** Where virtual time begins. */
export const epochMs = Date.UTC(2030, 0, 1);
