import { and, eq, isNull, type SQL, sql } from 'drizzle-orm';
import { idFloor } from '../../broker/ids.ts';
import type { Housekeeping, Idempotency, Retention } from '../../broker/store.ts';
import type { Database } from './database.ts';
import { idempotencyKeys } from './schema.ts';

export function idempotencyStore(db: Database): Idempotency {
  const t = idempotencyKeys;
  const is = (project: string, caller: string, key: string) => and(eq(t.project_id, project), eq(t.caller, caller), eq(t.key, key));
  return {
    async begin(project, caller, key, requestHash) {
      const mine = await db
        .insert(t)
        .values({ project_id: project, caller, key, request_hash: requestHash })
        // One that never answered within two minutes died with its process.
        .onConflictDoUpdate({
          target: [t.project_id, t.caller, t.key],
          set: { created_at: sql`now()` },
          setWhere: sql`${t.status} is null and ${t.request_hash} = excluded.request_hash and ${t.created_at} < now() - interval '2 minutes'`,
        })
        .returning({ key: t.key });
      if (mine.length === 1) return undefined;
      const [row] = await db
        .select()
        .from(t)
        .where(is(project, caller, key));
      // Given up or swept in this very moment: whoever comes again gets it.
      if (row === undefined) return { kind: 'running' };
      if (!row.request_hash.equals(requestHash)) return { kind: 'mismatch' };
      if (row.status === null || row.answer_sealed === null) return { kind: 'running' };
      return { kind: 'answered', status: row.status, answer_sealed: row.answer_sealed };
    },
    async finish(project, caller, key, answer) {
      await db
        .update(t)
        .set(answer)
        .where(is(project, caller, key));
    },
    async abandon(project, caller, key) {
      await db.delete(t).where(and(is(project, caller, key), isNull(t.status)));
    },
  };
}

/** Batches per table and sweep: what is left over comes with the next one. */
const mostBatches = 20;

/** How much of a table one statement deletes: so little that it holds no lock for long. */
type Batch = { most: number; statement(most: number): SQL };

/** What is deleted, and when its time is over. Ids sort by time, so old events and deliveries stand at the beginning of their keys. */
function batchesOf({ eventsBefore, deliveriesBefore }: Retention): Record<string, Batch> {
  return {
    rate_counts: {
      most: 5_000,
      statement: (most) =>
        sql`delete from rate_counts where key in (select key from rate_counts where expire < extract(epoch from now()) * 1000 limit ${most} for update skip locked)`,
    },
    code_ledger: {
      most: 5_000,
      statement: (most) =>
        sql`delete from code_ledger where code_hash in (select code_hash from code_ledger where seen_at < now() - interval '24 hours' limit ${most})`,
    },
    idempotency_keys: {
      most: 5_000,
      statement: (most) =>
        sql`delete from idempotency_keys where ctid in (select ctid from idempotency_keys where created_at < now() - interval '24 hours' limit ${most})`,
    },
    test_steps: {
      most: 5_000,
      statement: (most) =>
        sql`delete from test_steps where id in (select id from test_steps where created_at < now() - interval '24 hours' limit ${most})`,
    },
    connect_links: {
      most: 1_000,
      statement: (most) =>
        sql`delete from connect_links where id in (select id from connect_links where finished_at < now() - interval '30 days' limit ${most})`,
    },
    connections: {
      most: 1_000,
      statement: (most) =>
        sql`delete from connections c where c.id in (select d.id from connections d where d.deleted_at < now() - interval '30 days' limit ${most})`,
    },
    // Before the events, of which they are deleted with: those go quicker then.
    webhook_deliveries: {
      most: 2_000,
      statement: (most) =>
        sql`delete from webhook_deliveries where id in (select id from webhook_deliveries
          where id < ${idFloor('whd', deliveriesBefore)} and status in ('delivered', 'failed') and coalesce(last_attempt_at, created_at) < ${deliveriesBefore.toISOString()}
          order by id limit ${most} for update skip locked)`,
    },
    events: {
      most: 2_000,
      statement: (most) =>
        sql`delete from events where id in (select id from events where id < ${idFloor('evt', eventsBefore)} order by id limit ${most} for update skip locked)`,
    },
  };
}

export function housekeepingStore(db: Database): Housekeeping {
  async function empty({ most, statement }: Batch): Promise<number> {
    let deleted = 0;
    for (let n = 0; n < mostBatches; n += 1) {
      const { rowCount } = await db.execute(statement(most));
      deleted += rowCount ?? 0;
      if ((rowCount ?? 0) < most) break;
    }
    return deleted;
  }
  return {
    async sweep(retention) {
      const counts: Record<string, number> = {};
      for (const [table, batch] of Object.entries(batchesOf(retention))) counts[table] = await empty(batch);
      return counts;
    },
  };
}
