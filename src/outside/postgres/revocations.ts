import { eq, sql } from 'drizzle-orm';
import type { Revocations } from '../../broker/store.ts';
import type { Database } from './database.ts';
import { insertEvents } from './events.ts';
import { revocations } from './schema.ts';

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
