import { and, desc, eq, gte, inArray, lt, sql } from 'drizzle-orm';
import { idFloor, newId } from '../../broker/ids.ts';
import type { NewEvent } from '../../broker/records.ts';
import type { EventFilter, Events, PendingEntry } from '../../broker/store.ts';
import type { AuditAction } from '../../protocol/audit-actions.ts';
import { entryOfBroker, pendEntries } from './audit.ts';
import { type Database, pageOf, type Transaction } from './database.ts';
import { events } from './schema.ts';

/** Events, and with each the deliveries to the webhook endpoints that want it: one statement, in the transaction of the change. */

/** What `json_to_recordset` reads of the rows that `eventRows` makes. */
export const eventColumns = 'id text, project_id text, type text, integration_id text, link_id text, connection_id text, data jsonb';

/**
 * Common table expressions that write the events of the relation `source` (of `eventColumns`, at least) and their deliveries, and tell
 * whoever delivers; to be embedded in the statement of a change. They are named `written_events` and `written_deliveries`. An endpoint that is
 * being deleted in this moment is passed over: waiting for it, or failing with it, is not the change's business.
 */
export const eventWrites = (source: string): string => `
  written_events as (
    insert into events (id, project_id, type, integration_id, link_id, connection_id, data)
    select id, project_id, type, integration_id, link_id, connection_id, data from ${source}),
  wanted_events as (
    select 'whd_' || substr(w.id, 5) || '_' || right(e.id, 10) as id, w.project_id, e.id as endpoint_id, w.id as event_id, w.type as event_type
    from ${source} w join webhook_endpoints e on e.project_id = w.project_id and e.status = 'enabled'
      and (cardinality(e.event_types) = 0 or w.type = any(e.event_types))
    for key share of e skip locked),
  written_deliveries as (
    insert into webhook_deliveries (id, project_id, endpoint_id, event_id, event_type)
    select id, project_id, endpoint_id, event_id, event_type from wanted_events
    returning pg_notify('grantry_webhooks', ''))`;

/** News with ids. Ids of one millisecond are in no order: sorted, so that the timeline tells what happened in the order in which it did. */
export function eventRows<News extends NewEvent>(news: readonly News[]): (News & { id: string; data: Record<string, unknown> })[] {
  const ids = news.map(() => newId('evt')).sort();
  return news.map((event, index) => ({ ...event, id: ids[index] ?? newId('evt'), data: event.data ?? {} }));
}

/** What the broker does by itself, and is in the audit log therefore: nobody's call is there for it. */
const audited = new Set<string>([
  'connection.reauthorization_required',
  'connection.revoked',
  'connection.revocation_failed',
  'integration.misconfigured',
  'integration.recovered',
  'webhook_endpoint.disabled',
] satisfies AuditAction[]);

function auditOf({ project_id, type, integration_id, connection_id, data }: NewEvent): PendingEntry[] {
  if (!audited.has(type)) return [];
  const reason = typeof data?.reason === 'string' ? { reason: data.reason } : {};
  const target = type.startsWith('connection.') ? connection_id : type.startsWith('integration.') ? integration_id : data?.endpoint;
  const action = type as AuditAction; // one of the set above
  return [entryOfBroker({ project_id, action, target_id: typeof target === 'string' ? target : null, details: reason })];
}

/** Writes events within the transaction of the change that they tell of, and what of it belongs into the audit log. */
export async function insertEvents(tx: Database | Transaction, news: readonly NewEvent[]): Promise<void> {
  if (news.length === 0) return;
  const rows = JSON.stringify(eventRows(news));
  await tx.execute(sql`
    with news as (select * from json_to_recordset(${rows}::json) as n(${sql.raw(eventColumns)})),
    ${sql.raw(eventWrites('news'))}
    select 1`);
  await pendEntries(tx, news.flatMap(auditOf));
}

/** The clock that the ids come from may differ a little from Postgres's, which decides. */
const clocksDifferMs = 3_600_000;
const floorOf = (time: Date, offsetMs: number) => idFloor('evt', new Date(time.getTime() + offsetMs));

const matching = ({ connection, types, after, before }: EventFilter) => [
  connection === undefined ? undefined : eq(events.connection_id, connection),
  types === undefined ? undefined : inArray(events.type, [...types]),
  ...(after === undefined ? [] : [gte(events.created_at, after), gte(events.id, floorOf(after, -clocksDifferMs))]),
  ...(before === undefined ? [] : [lt(events.created_at, before), lt(events.id, floorOf(before, clocksDifferMs))]),
];

export function eventStore(db: Database): Events {
  return {
    async list(project, filter, { limit, after }) {
      const rows = await db
        .select()
        .from(events)
        .where(and(eq(events.project_id, project), ...matching(filter), after === undefined ? undefined : lt(events.id, after)))
        .orderBy(desc(events.id))
        .limit(limit + 1);
      return pageOf(rows, limit);
    },
  };
}
