import { and, eq, inArray, isNull, lt, or, sql } from 'drizzle-orm';
import type { Probes } from '../../broker/store.ts';
import { stopped } from './connections.ts';
import type { Database } from './database.ts';
import { insertEvents } from './events.ts';
import { connections as t } from './schema.ts';

/** Which connections are used, and the probes of those that are not. Several are locked in the order of their ids. */

/** A use is written down at most once in so long. */
const usedEvery = sql.raw(`interval '1 hour'`);
/** Few enough that no statement holds its locks for long. */
const batch = 1_000;

export function probeStore(db: Database): Probes {
  return {
    // updated_at stays: nothing of the connection has changed.
    async used(ids) {
      await db.execute(sql`
        with used as (
          select id, integration_id, project_id from connections
          where id = any(${sql.param([...ids])}::text[]) and deleted_at is null and (last_used_at is null or last_used_at < now() - ${usedEvery})
          order by id for no key update)
        update connections c set last_used_at = now(), probe_due_at = now() + make_interval(secs => i.probe_unused_after_s)
        from used join integrations i on i.project_id = used.project_id and i.id = used.integration_id
        where c.id = used.id`);
    },
    // One that is not active is looked at again later: it may have come back by then.
    async due(limit) {
      const { rows } = await db.execute<{ project_id: string; id: string; status: string }>(sql`
        with picked as (
          select id, integration_id, project_id from connections where probe_due_at <= now()
          order by probe_due_at limit ${limit}
          for no key update skip locked)
        update connections c set probe_due_at = now() + make_interval(secs => i.probe_unused_after_s)
        from picked join integrations i on i.project_id = picked.project_id and i.id = picked.integration_id
        where c.id = picked.id
        returning c.project_id, c.id, case when i.probe_unused_after_s is null then 'unwanted' else c.status end as status`);
      return rows.filter(({ status }) => status === 'active').map(({ project_id, id }) => ({ project_id, id }));
    },
    refused: ({ project_id, id, token_version }, events) =>
      db.transaction(async (tx) => {
        const rows = await tx
          .update(t)
          .set(stopped('probe_refused'))
          .where(
            and(
              eq(t.project_id, project_id),
              eq(t.id, id),
              isNull(t.deleted_at),
              eq(t.token_version, token_version),
              inArray(t.status, ['active', 'refresh_failing']),
              or(isNull(t.lease_until), lt(t.lease_until, sql`now()`)),
            ),
          )
          .returning({ id: t.id });
        if (rows.length === 0) return false;
        await insertEvents(tx, events);
        return true;
      }),
    async postpone(ids, inS) {
      await db.execute(sql`
        with late as (
          select id from connections where id = any(${sql.param([...ids])}::text[]) and probe_due_at is not null
          order by id for no key update)
        update connections c set probe_due_at = least(c.probe_due_at, now() + make_interval(secs => ${inS}::float8))
        from late where c.id = late.id`);
    },
  };
}

/**
 * Gives the connections of an integration the times for their probes that its pause asks for now. Batch after batch: they may be many.
 * Those that have been unused for longer than that already are spread over a day, or the pause.
 */
export async function rescheduleProbes(db: Database, project: string, integration: string): Promise<void> {
  for (let after = '', more = true; more; ) {
    const { rows } = await db.execute<{ id: string }>(sql`
      with these as (
        select id from connections
        where project_id = ${project} and integration_id = ${integration} and deleted_at is null and id > ${after}
        order by id limit ${batch} for no key update)
      update connections c set probe_due_at = case when i.probe_unused_after_s is not null then greatest(
        coalesce(c.last_used_at, c.issued_at) + make_interval(secs => i.probe_unused_after_s),
        now() + make_interval(secs => random() * least(i.probe_unused_after_s, 86400))) end
      from these join integrations i on i.project_id = ${project} and i.id = ${integration}
      where c.id = these.id
      returning c.id`);
    more = rows.length === batch;
    after = rows.reduce((last, { id }) => (id > last ? id : last), after);
  }
}
