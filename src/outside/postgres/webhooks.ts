import { and, desc, eq, getTableColumns, inArray, isNotNull, lt, ne, sql } from 'drizzle-orm';
import type { DeliveryFilter, WebhookStore } from '../../broker/webhook-records.ts';
import { type Database, one, pageOf, type Transaction } from './database.ts';
import { insertEvents } from './events.ts';
import { webhookDeliveries as d, webhookEndpoints as e, events, projects } from './schema.ts';

/**
 * Webhook endpoints and their deliveries. Whoever locks both takes the endpoint first, so that no two wait for each other.
 * `next_attempt_at` is also the lease of a delivery that was handed out or is under way.
 */

/** What one statement deletes or ends at most; the rest comes with further ones. */
const batch = 5_000;

const open = inArray(d.status, ['pending', 'queued']);
const isDue = sql<boolean>`coalesce(${d.status} = 'queued' or (${d.status} = 'pending' and ${d.next_attempt_at} <= now()), false)`;
const inSeconds = (seconds: number) => sql`now() + make_interval(secs => ${seconds}::float8)`;

/** Deliveries of an endpoint that takes nothing have failed. Those over the batch do when their time comes. */
async function endOpen(tx: Transaction, project: string, endpoint: string): Promise<void> {
  const some = tx
    .select({ id: d.id })
    .from(d)
    .where(and(eq(d.project_id, project), eq(d.endpoint_id, endpoint), isNotNull(d.next_attempt_at)))
    .limit(batch);
  await tx.update(d).set({ status: 'failed', next_attempt_at: null, last_error: 'endpoint_disabled' }).where(inArray(d.id, some));
}

/** The literals let a plan for any parameters use the indexes of what failed, and of what has a next attempt, which is all that is open. */
const inStatus = {
  failed: sql`${d.status} = 'failed'`,
  pending: and(open, isNotNull(d.next_attempt_at)),
  delivered: eq(d.status, 'delivered'),
};

const matching = ({ endpoint, event, status }: DeliveryFilter) =>
  and(
    endpoint === undefined ? undefined : eq(d.endpoint_id, endpoint),
    event === undefined ? undefined : eq(d.event_id, event),
    status === undefined ? undefined : inStatus[status],
  );

export function webhookStore(db: Database): WebhookStore {
  const endpointOf = (project: string, id: string) => and(eq(e.project_id, project), eq(e.id, id));
  const deliveryOf = (project: string, id: string) => and(eq(d.project_id, project), eq(d.id, id));

  return {
    insertEndpoint: (endpoint, most) =>
      db.transaction(async (tx) => {
        // One at a time in a project, or the count would be another one by now. Does not hold up what refers to the project.
        await tx.select({ id: projects.id }).from(projects).where(eq(projects.id, endpoint.project_id)).for('no key update');
        const there = await tx.select({ id: e.id }).from(e).where(eq(e.project_id, endpoint.project_id)).limit(most);
        if (there.length >= most) return undefined;
        return one(await tx.insert(e).values(endpoint).returning());
      }),
    getEndpoint: async (project, id) => (await db.select().from(e).where(endpointOf(project, id)))[0],
    async listEndpoints(project, { limit, after }) {
      const rows = await db
        .select()
        .from(e)
        .where(and(eq(e.project_id, project), after === undefined ? undefined : lt(e.id, after)))
        .orderBy(desc(e.id))
        .limit(limit + 1);
      return pageOf(rows, limit);
    },
    updateEndpoint: (project, id, { url, description, event_types, status }) =>
      db.transaction(async (tx) => {
        const [row] = await tx
          .update(e)
          .set({
            ...(description !== undefined && { description }),
            ...(event_types !== undefined && { event_types }),
            // What was wrong was wrong with the other address.
            ...(url !== undefined && { url, failing_since: sql`case when ${e.url} = ${url} then ${e.failing_since} end` }),
            ...(status === 'enabled' && { status, disabled_reason: null, failing_since: null }),
            ...(status === 'disabled' && { status, disabled_reason: sql`coalesce(${e.disabled_reason}, 'request')` }),
            updated_at: sql`now()`,
          })
          .where(endpointOf(project, id))
          .returning();
        if (row !== undefined && status === 'disabled') await endOpen(tx, project, id);
        return row;
      }),
    rotateSecrets: async (project, id, version, { secrets_sealed, overlapS }) =>
      (
        await db
          .update(e)
          .set({ secrets_sealed, secret_version: version + 1, previous_secret_until: inSeconds(overlapS), updated_at: sql`now()` })
          .where(and(endpointOf(project, id), eq(e.secret_version, version)))
          .returning()
      )[0],
    async removeEndpoint(project, id) {
      // Nothing new comes to it from here on. Its deliveries may be many, and go in batches.
      const found = await db.update(e).set({ status: 'disabled' }).where(endpointOf(project, id)).returning({ id: e.id });
      if (found.length === 0) return false;
      for (let gone = batch; gone === batch; ) {
        const some = db
          .select({ id: d.id })
          .from(d)
          .where(and(eq(d.project_id, project), eq(d.endpoint_id, id)))
          .limit(batch);
        gone = (await db.delete(d).where(inArray(d.id, some))).rowCount ?? 0;
      }
      return (await db.delete(e).where(endpointOf(project, id)).returning({ id: e.id })).length === 1;
    },

    async due(limit, holdS) {
      const { rows } = await db.execute<{ id: string; attempts: number }>(sql`
        with picked as (
          select id from webhook_deliveries where next_attempt_at is not null and next_attempt_at <= now()
          order by next_attempt_at limit ${limit}
          for update skip locked)
        update webhook_deliveries d set status = 'queued', next_attempt_at = ${inSeconds(holdS)}
        from picked where d.id = picked.id
        returning d.id, d.attempts`);
      return rows;
    },
    async handOutAgain() {
      await db.execute(sql`
        with lost as (
          select id from webhook_deliveries where status = 'queued' and next_attempt_at > now()
          for update skip locked)
        update webhook_deliveries d set next_attempt_at = now() from lost where d.id = lost.id`);
    },
    async read(id) {
      const [row] = await db
        .select({
          delivery: getTableColumns(d),
          endpoint: getTableColumns(e),
          event: getTableColumns(events),
          due: isDue,
          now: sql`now()`.mapWith(d.created_at),
        })
        .from(d)
        .innerJoin(e, eq(e.id, d.endpoint_id))
        .innerJoin(events, eq(events.id, d.event_id))
        .where(eq(d.id, id));
      return row;
    },
    async postpone({ id, attempts }, ms) {
      await db
        .update(d)
        .set({ status: 'pending', next_attempt_at: inSeconds(ms / 1000) })
        .where(and(eq(d.id, id), eq(d.attempts, attempts), isDue));
    },
    async begin({ id, endpoint_id, attempts }, holdS) {
      const [row] = await db
        .update(d)
        .set({
          status: 'pending',
          attempts: attempts + 1,
          // A round begins with its first attempt, however long that had to wait.
          round_since: sql`case when ${d.last_attempt_at} >= ${d.round_since} then ${d.round_since} else now() end`,
          last_attempt_at: sql`now()`,
          next_attempt_at: inSeconds(holdS),
        })
        .where(and(eq(d.id, id), eq(d.attempts, attempts), isDue))
        .returning({ ageS: sql`extract(epoch from now() - ${d.round_since})::float8`.mapWith(Number) });
      return row && { attempt: { id, endpoint_id, attempts: attempts + 1 }, ageS: row.ageS };
    },
    succeed: ({ id, endpoint_id }, status) =>
      db.transaction(async (tx) => {
        await tx
          .update(e)
          .set({ failing_since: null })
          .where(and(eq(e.id, endpoint_id), isNotNull(e.failing_since)));
        await tx
          .update(d)
          .set({ status: 'delivered', delivered_at: sql`now()`, next_attempt_at: null, last_status: status, last_error: null })
          .where(and(eq(d.id, id), ne(d.status, 'delivered')));
      }),
    fail: ({ id, endpoint_id, attempts }, { status, error }, retryInS) =>
      db.transaction(async (tx) => {
        await tx
          .update(e)
          .set({ failing_since: sql`now()` })
          .where(and(eq(e.id, endpoint_id), eq(e.status, 'enabled'), sql`${e.failing_since} is null`));
        await tx
          .update(d)
          .set({
            ...(retryInS === null ? { status: 'failed', next_attempt_at: null } : { status: 'pending', next_attempt_at: inSeconds(retryInS) }),
            last_status: status,
            last_error: error,
          })
          .where(and(eq(d.id, id), eq(d.attempts, attempts), open));
      }),
    async giveUp({ id }) {
      await db
        .update(d)
        .set({ status: 'failed', next_attempt_at: null, last_error: 'endpoint_disabled' })
        .where(and(eq(d.id, id), open));
    },
    disable: ({ id, endpoint_id }, { status, error }, { reason, url, failingForS }, event) =>
      db.transaction(async (tx) => {
        const longEnough = failingForS === 0 ? undefined : sql`${e.failing_since} <= now() - make_interval(secs => ${failingForS}::float8)`;
        const disabled = await tx
          .update(e)
          .set({ status: 'disabled', disabled_reason: reason, updated_at: sql`now()` })
          .where(and(eq(e.id, endpoint_id), eq(e.status, 'enabled'), eq(e.url, url), longEnough))
          .returning({ id: e.id });
        if (disabled.length === 0) return false;
        await tx
          .update(d)
          .set({ status: 'failed', next_attempt_at: null, last_status: status, last_error: error })
          .where(and(eq(d.id, id), open));
        await endOpen(tx, event.project_id, endpoint_id);
        await insertEvents(tx, [event]);
        return true;
      }),

    getDelivery: async (project, id) => (await db.select().from(d).where(deliveryOf(project, id)))[0],
    async listDeliveries(project, filter, { limit, after }) {
      const rows = await db
        .select()
        .from(d)
        .where(and(eq(d.project_id, project), matching(filter), after === undefined ? undefined : lt(d.id, after)))
        .orderBy(desc(d.id))
        .limit(limit + 1);
      return pageOf(rows, limit);
    },
    redeliver: (project, id) =>
      db.transaction(async (tx) => {
        const [found] = await tx
          .select({ endpoint: e.status, delivery: d.status })
          .from(d)
          .innerJoin(e, eq(e.id, d.endpoint_id))
          .where(deliveryOf(project, id));
        if (found === undefined) return 'missing';
        if (found.endpoint === 'disabled') return 'disabled';
        const [row] = await tx
          .update(d)
          .set({ status: 'pending', round_since: sql`now()`, next_attempt_at: sql`now()`, delivered_at: null })
          .where(and(deliveryOf(project, id), inArray(d.status, ['delivered', 'failed'])))
          .returning();
        if (row === undefined) return 'pending';
        await tx.execute(sql`select pg_notify('grantry_webhooks', '')`);
        return row;
      }),
  };
}
