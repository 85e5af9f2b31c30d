import { and, eq, isNull, sql } from 'drizzle-orm';
import type pg from 'pg';
import type { ConnectionRecord, IntegrationRecord, NewEvent } from '../../broker/records.ts';
import type { Claim, DueCounts, DueRefresh, Refreshes, RefreshView, StoredCredential } from '../../broker/store.ts';
import { apartOnFailure, gather } from '../gathered.ts';
import { healthy } from './connections.ts';
import type { Database } from './database.ts';
import { eventRows, insertEvents } from './events.ts';
import { claimText, commitText, countsText, dueText, handOutAgainText, postponeText, readText, wakeText } from './refresh-statements.ts';
import { connections, refreshIntents } from './schema.ts';

/** What the refresh engine asks of Postgres; the statements are next door. */

const t = connections;

/** One list at a time costs least; a statement that hangs must not hold up the rest. */
const sharing = { most: 50, slowMs: 20, lanes: 6 };

type ReadRow = ConnectionRecord & { n: number; read_at: Date; own_version: number | null; integration: Record<string, unknown> | null };

/** to_jsonb writes instants as text. */
function integrationOf(json: Record<string, unknown> | null): IntegrationRecord | undefined {
  if (json === null) return undefined;
  const time = (value: unknown) => (typeof value === 'string' ? new Date(value) : null);
  return { ...json, trial_at: time(json.trial_at), created_at: time(json.created_at), updated_at: time(json.updated_at) } as IntegrationRecord; // a row of that table
}

function viewOf({ n: _, read_at, own_version, integration, ...connection }: ReadRow): RefreshView {
  return { connection, integration: integrationOf(integration), ownVersion: own_version, now: read_at };
}

type Asked = Pick<Claim, 'connection' | 'lease'>;
type Commit = { claim: Claim; next: StoredCredential; events: readonly NewEvent[]; recovered: NewEvent };
type Saved = Pick<
  ConnectionRecord,
  'issued_at' | 'expires_at' | 'refresh_expires_at' | 'refresh_due_at' | 'last_refreshed_at' | 'refresh_count' | 'updated_at' | 'metadata'
>;

const commitRow = ({ claim: { connection, lease }, next }: Commit, n: number) => ({
  n,
  id: connection.id,
  token_version: connection.token_version,
  lease,
  credential_sealed: next.credential_sealed,
  scopes: next.scopes,
  missing_scopes: next.missing_scopes,
  extras: next.extras,
  refreshable: next.refreshable,
  age_s: next.times.ageMs / 1000,
  lifetime_s: next.times.lifetimeS,
  refresh_lifetime_s: next.times.refreshLifetimeS,
  due_s: next.times.dueInS,
});

const newsRows = ({ events, recovered }: Commit, n: number) =>
  eventRows([...events.map((event) => ({ ...event, n, recovers: false })), { ...recovered, n, recovers: true }]);

const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : 1);

function renewed({ connection }: Claim, { times: _, ...next }: StoredCredential, saved: Saved): ConnectionRecord {
  return {
    ...connection,
    ...next,
    ...saved,
    token_version: connection.token_version + 1,
    ...healthy,
  };
}

export function refreshStore(db: Database, pool: Pick<pg.Pool, 'query'>): Refreshes {
  async function readAll(ids: readonly string[]): Promise<(RefreshView | undefined)[]> {
    const found: (RefreshView | undefined)[] = ids.map(() => undefined);
    const { rows } = await pool.query<ReadRow>({ name: 'refresh_read', text: readText, values: [ids] });
    for (const row of rows) found[row.n - 1] = viewOf(row);
    return found;
  }

  async function claimAll(asked: readonly Asked[]): Promise<(Claim | undefined)[]> {
    const taken: (Claim | undefined)[] = asked.map(() => undefined);
    const column = (of: (connection: ConnectionRecord) => unknown) => asked.map(({ connection }) => of(connection));
    const { rows } = await pool.query<{ n: number; ambiguous: boolean }>({
      name: 'refresh_claim',
      text: claimText,
      values: [
        column((row) => row.id),
        column((row) => row.project_id),
        column((row) => row.token_version),
        asked.map(({ lease }) => lease),
        column((row) => row.failure_count),
      ],
    });
    for (const { n, ambiguous } of rows) {
      const mine = asked[n - 1];
      if (mine !== undefined) taken[n - 1] = { ...mine, ambiguous };
    }
    return taken;
  }

  async function commitAll(commits: readonly Commit[]): Promise<(ConnectionRecord | undefined)[]> {
    const done: (ConnectionRecord | undefined)[] = commits.map(() => undefined);
    const { rows } = await pool.query<Saved & { n: number; id: string }>({
      name: 'refresh_commit',
      text: commitText,
      values: [JSON.stringify(commits.map(commitRow).sort(byId)), JSON.stringify(commits.flatMap(newsRows))],
    });
    // Who waits also looks by himself: one who is not woken comes a quarter of a second later.
    pool.query({ name: 'refresh_wake', text: wakeText, values: [rows.map(({ id }) => id)] }).catch(() => {});
    for (const { n, id: _, ...saved } of rows) {
      const commit = commits[n];
      if (commit !== undefined) done[n] = renewed(commit.claim, commit.next, saved);
    }
    return done;
  }

  async function postponeAll(asked: readonly (DueRefresh & { ms: number })[]): Promise<undefined[]> {
    await pool.query({
      name: 'refresh_postpone',
      text: postponeText,
      values: [asked.map((each) => each.connection_id), asked.map((each) => each.token_version), asked.map(({ ms }) => ms / 1000)],
    });
    return asked.map(() => undefined);
  }

  const postpone = gather(apartOnFailure(postponeAll), sharing);
  const read = gather(apartOnFailure(readAll), sharing);
  const claim = gather(apartOnFailure(claimAll), sharing);
  const commit = gather(apartOnFailure(commitAll), sharing);

  return {
    read,
    claim: (connection, lease) => claim({ connection, lease }),
    commit: (held, next, events, recovered) => commit({ claim: held, next, events, recovered }),
    async due(limit, holdS) {
      const { rows } = await pool.query<DueRefresh>({ name: 'refresh_due', text: dueText, values: [limit, holdS] });
      return rows;
    },
    postpone: (due, ms) => postpone({ ...due, ms }),
    async handOutAgain() {
      await pool.query(handOutAgainText);
    },
    async counts() {
      const { rows } = await pool.query<DueCounts>({ name: 'refresh_counts', text: countsText });
      return rows[0] ?? { due: 0, overdue: 0, oldestOverdueS: 0 };
    },
    fail: ({ connection, lease }, { outcome, status, reason, error, retryInS }, events) =>
      db.transaction(async (tx) => {
        const rows = await tx
          .update(t)
          .set({
            status,
            reason,
            reason_since: reason === null ? null : sql`now()`,
            queued_until: null,
            put_off_since: null,
            refresh_lease: null,
            lease_until: null,
            failure_count: sql`${t.failure_count} + 1`,
            failing_since: sql`coalesce(${t.failing_since}, now())`,
            retry_at: retryInS === null ? null : sql`now() + make_interval(secs => ${retryInS})`,
            refresh_due_at: retryInS === null ? null : sql`now() + make_interval(secs => ${retryInS})`,
            last_error: sql`jsonb_build_object('code', ${error.code}::text, 'retryable', ${error.retryable}::boolean, 'at', to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))`,
            updated_at: sql`now()`,
          })
          .where(and(eq(t.id, connection.id), eq(t.token_version, connection.token_version), eq(t.refresh_lease, lease), isNull(t.deleted_at)))
          .returning({ id: t.id });
        if (rows.length === 0) return false;
        await tx
          .update(refreshIntents)
          .set({ outcome })
          .where(
            and(
              eq(refreshIntents.connection_id, connection.id),
              eq(refreshIntents.token_version, connection.token_version),
              eq(refreshIntents.lease, lease),
            ),
          );
        await insertEvents(tx, events);
        await tx.execute(sql`select pg_notify('grantry_refresh', ${connection.id})`);
        return true;
      }),
  };
}
