import { and, eq, sql } from 'drizzle-orm';
import type { RevocationRecord } from '../../broker/records.ts';
import type { NewRevocation, Revocations } from '../../broker/store.ts';
import type { Database, Transaction } from './database.ts';
import { insertEvents } from './events.ts';
import { revocations } from './schema.ts';

/** Whoever queues it tries at once; the housekeeping only takes over when that try has had its time. */
const next_attempt_at = sql`now() + interval '60 seconds'`;

/** `over`: which of those that are there gives way. Undefined when none does. */
export async function queueRevocation(
  db: Database | Transaction,
  { connection_id, ...rest }: NewRevocation,
  over: 'earlier' | 'earlier_or_same',
): Promise<RevocationRecord | undefined> {
  const set = { ...rest, attempts: 0, next_attempt_at, created_at: sql`now()` };
  const isEarlier =
    over === 'earlier' ? sql`${revocations.token_version} < excluded.token_version` : sql`${revocations.token_version} <= excluded.token_version`;
  const rows = await db
    .insert(revocations)
    .values({ connection_id, ...rest, next_attempt_at })
    .onConflictDoUpdate({ target: revocations.connection_id, set, setWhere: isEarlier })
    .returning();
  return rows[0];
}

export function revocationStore(db: Database): Revocations {
  return {
    queue: (revocation) => queueRevocation(db, revocation, 'earlier'),
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
    async postpone({ connection_id, token_version }, seconds) {
      await db
        .update(revocations)
        .set({ next_attempt_at: sql`greatest(${revocations.next_attempt_at}, now() + make_interval(secs => ${seconds}))` })
        .where(and(eq(revocations.connection_id, connection_id), eq(revocations.token_version, token_version)));
    },
    done: ({ connection_id, token_version }, events) =>
      db.transaction(async (tx) => {
        const rows = await tx
          .delete(revocations)
          .where(and(eq(revocations.connection_id, connection_id), eq(revocations.token_version, token_version)))
          .returning({ id: revocations.connection_id });
        if (rows.length === 1) await insertEvents(tx, events);
      }),
  };
}
