import { and, desc, eq, lt } from 'drizzle-orm';
import { newId } from '../../broker/ids.ts';
import type { NewEvent } from '../../broker/records.ts';
import type { Events } from '../../broker/store.ts';
import { type Database, pageOf, type Transaction } from './database.ts';
import { events } from './schema.ts';

/** Writes events within the transaction of the change that they tell of. */
export async function insertEvents(tx: Database | Transaction, news: readonly NewEvent[]): Promise<void> {
  if (news.length === 0) return;
  // Ids of one millisecond are in no order: sorted, so that the timeline tells what happened in the order in which it did.
  const ids = news.map(() => newId('evt')).sort();
  await tx.insert(events).values(
    news.map((event, index) => ({
      id: ids[index] ?? newId('evt'),
      project_id: event.project_id,
      type: event.type,
      integration_id: event.integration_id ?? null,
      link_id: event.link_id ?? null,
      connection_id: event.connection_id ?? null,
      data: event.data ?? {},
    })),
  );
}

export function eventStore(db: Database): Events {
  return {
    async list(project, filter, { limit, after }) {
      const rows = await db
        .select()
        .from(events)
        .where(
          and(
            eq(events.project_id, project),
            filter.connection === undefined ? undefined : eq(events.connection_id, filter.connection),
            after === undefined ? undefined : lt(events.id, after),
          ),
        )
        .orderBy(desc(events.id))
        .limit(limit + 1);
      return pageOf(rows, limit);
    },
  };
}
