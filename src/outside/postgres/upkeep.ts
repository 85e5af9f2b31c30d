import { and, eq, isNull, sql } from 'drizzle-orm';
import type { Housekeeping, Idempotency } from '../../broker/store.ts';
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

/** What is deleted, and when its time is over. Batches, so that no statement holds locks for long. */
const sweeps: Record<string, string> = {
  code_ledger: `delete from code_ledger where code_hash in (select code_hash from code_ledger where seen_at < now() - interval '24 hours' limit 5000)`,
  idempotency_keys: `delete from idempotency_keys where ctid in (select ctid from idempotency_keys where created_at < now() - interval '24 hours' limit 5000)`,
  connect_links: `delete from connect_links where id in (select id from connect_links where finished_at < now() - interval '30 days' limit 1000)`,
  connections: `delete from connections c where c.id in (select d.id from connections d where d.deleted_at < now() - interval '30 days' limit 1000)`,
  refresh_intents: `delete from refresh_intents where ctid in (select r.ctid from refresh_intents r join connections c on c.id = r.connection_id where r.token_version < c.token_version and r.sent_at < now() - interval '1 day' limit 5000)`,
};

export function housekeepingStore(db: Database): Housekeeping {
  return {
    async sweep() {
      const counts: Record<string, number> = {};
      for (const [table, statement] of Object.entries(sweeps)) {
        const result = await db.execute(sql.raw(statement));
        counts[table] = result.rowCount ?? 0;
      }
      return counts;
    },
  };
}
