import { and, eq, isNull, sql } from 'drizzle-orm';
import type pg from 'pg';
import type { ConnectionRecord } from '../../broker/records.ts';
import type { Refreshes, Revocations } from '../../broker/store.ts';
import { credentialColumns, healthy } from './connections.ts';
import type { Database } from './database.ts';
import { insertEvents } from './events.ts';
import { connections, refreshIntents, revocations } from './schema.ts';

const t = connections;

/** Longer than any call of the provider may take (10 s), so that two never hold a version at once. */
const leaseS = 45;

/**
 * One statement: the lease is taken and the intent committed before anything is sent. An intent of this version whose
 * outcome nobody knows makes this attempt an ambiguous one.
 */
const claimText = `
  with claimed as (
    update connections set refresh_lease = $4, lease_until = now() + make_interval(secs => ${leaseS})
    where id = $1 and project_id = $2 and token_version = $3 and deleted_at is null and status in ('active', 'refresh_failing')
      and (lease_until is null or lease_until < now()) and failure_count = $5
    returning *),
  intent as (
    insert into refresh_intents as r (connection_id, token_version, lease, outcome)
    select id, token_version, refresh_lease, 'sent' from claimed
    on conflict (connection_id, token_version) do update
      set lease = excluded.lease, attempts = r.attempts + 1, ambiguous = r.ambiguous or r.outcome = 'sent', outcome = 'sent', sent_at = now()
    returning ambiguous)
  select claimed.*, intent.ambiguous from claimed, intent`;

/** Refusals of the old refresh token say nothing once the new one has arrived; every other stop holds. */
const refusals = new Set<string | null>(['invalid_grant', 'crash_during_rotation']);
const isStopped = ({ status, reason }: Pick<ConnectionRecord, 'status' | 'reason'>): boolean =>
  status === 'revoked' || (status === 'reauthorization_required' && !refusals.has(reason));

export function refreshStore(db: Database, pool: pg.Pool): Refreshes {
  return {
    async claim(project, id, version, lease, failures) {
      const { rows } = await pool.query<ConnectionRecord & { ambiguous: boolean }>({
        name: 'refresh_claim',
        text: claimText,
        values: [id, project, version, lease, failures],
      });
      const row = rows[0];
      return row && { connection: row, lease, ambiguous: row.ambiguous };
    },
    commit: ({ connection, lease }, next, events, recovered) =>
      db.transaction(async (tx) => {
        // The fence is the version alone: a late answer is saved even when the lease has passed, as long as nobody else was first.
        const [held] = await tx
          .select({ status: t.status, reason: t.reason })
          .from(t)
          .where(and(eq(t.id, connection.id), eq(t.token_version, connection.token_version), isNull(t.deleted_at)))
          .for('update');
        if (held === undefined || isStopped(held)) return undefined;
        const rows = await tx
          .update(t)
          .set({
            ...credentialColumns(next),
            ...healthy,
            token_version: connection.token_version + 1,
            last_refreshed_at: sql`now()`,
            refresh_count: sql`${t.refresh_count} + 1`,
            updated_at: sql`now()`,
          })
          .where(eq(t.id, connection.id))
          .returning();
        await tx
          .update(refreshIntents)
          .set({ outcome: 'refreshed', lease })
          .where(and(eq(refreshIntents.connection_id, connection.id), eq(refreshIntents.token_version, connection.token_version)));
        await insertEvents(tx, held.status === 'active' ? events : [...events, recovered]);
        await tx.execute(sql`select pg_notify('grantry_refresh', ${connection.id})`);
        return rows[0];
      }),
    fail: ({ connection, lease }, { outcome, status, reason, error, retryInS }, events) =>
      db.transaction(async (tx) => {
        const rows = await tx
          .update(t)
          .set({
            status,
            reason,
            reason_since: reason === null ? null : sql`now()`,
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

export function revocationStore(db: Database): Revocations {
  return {
    get: async (connectionId) => (await db.select().from(revocations).where(eq(revocations.connection_id, connectionId)))[0],
    async claimDue(limit, leaseSeconds) {
      const due = db
        .select({ id: revocations.connection_id })
        .from(revocations)
        .where(sql`${revocations.next_attempt_at} <= now()`)
        .orderBy(revocations.next_attempt_at)
        .limit(limit)
        .for('update', { skipLocked: true });
      return db
        .update(revocations)
        .set({
          attempts: sql`${revocations.attempts} + 1`,
          // The lease is the backoff: 1 min, 2, 4, ... an hour, unless the attempt is reported done before.
          next_attempt_at: sql`now() + make_interval(secs => least(3600, ${leaseSeconds} * power(2, ${revocations.attempts})))`,
        })
        .where(sql`${revocations.connection_id} in ${due}`)
        .returning();
    },
    done: (connectionId, events) =>
      db.transaction(async (tx) => {
        const rows = await tx.delete(revocations).where(eq(revocations.connection_id, connectionId)).returning({ id: revocations.connection_id });
        if (rows.length === 1) await insertEvents(tx, events);
      }),
  };
}
