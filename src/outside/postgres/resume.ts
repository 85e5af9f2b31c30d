import { sql } from 'drizzle-orm';
import type { Database } from './database.ts';

/** Few enough that no statement holds its locks for long, or comes near the timeout. */
const batch = 1_000;

/** What waits for a registration: refreshes that were put off, and those that were refused. The planner has a partial index for each. */
const waits = [sql`put_off_since is not null`, sql`deleted_at is null and status = 'refresh_failing' and last_error ->> 'code' = 'invalid_client'`];

/**
 * Makes due what waited for a registration that the provider accepts now. Batch after batch, for they may be many. When the process dies on the way nothing is lost: the rest comes by itself
 * when its pause is over, after five minutes where it was refused, after a quarter of an hour at the longest where it was put off.
 * Each batch is locked in the order of the ids, as everybody locks several connections. How long they have been waiting stays noted.
 */
export async function resume(db: Database, project: string, integration: string): Promise<void> {
  for (const these of waits) {
    for (let after = '', more = true; more; ) {
      const { rows } = await db.execute<{ id: string }>(sql`
        with waiting as (
          select id from connections
          where project_id = ${project} and integration_id = ${integration} and ${these} and id > ${after}
          order by id limit ${batch} for update)
        update connections c set retry_at = null, queued_until = null, refresh_due_at = least(c.refresh_due_at, now())
        from waiting where c.id = waiting.id
        returning c.id`);
      more = rows.length === batch;
      after = rows.reduce((last, { id }) => (id > last ? id : last), after);
    }
  }
}
