import { and, desc, eq, inArray, isNull, lt, sql } from 'drizzle-orm';
import type { ConnectionFilter, Connections, CredentialTimes, FinishedLink, StoredCredential } from '../../broker/store.ts';
import { allOrNothing, type Database, pageOf, type Transaction } from './database.ts';
import { durably } from './durable.ts';
import { insertEvents } from './events.ts';
import { erased } from './links.ts';
import { queueRevocation } from './revocations.ts';
import { connections, connectLinks, integrations, refreshIntents } from './schema.ts';
import { listed } from './slow-list.ts';

const t = connections;
const alive = (project: string, id: string) => and(eq(t.project_id, project), eq(t.id, id), isNull(t.deleted_at));

/** Lifetimes turned into instants by Postgres's clock, counted back to when the request was sent. */
export function credentialColumns({ credential_sealed, scopes, missing_scopes, extras, refreshable, times }: StoredCredential) {
  const since = (seconds: number | null) => (seconds === null ? null : sql`now() + make_interval(secs => ${seconds - times.ageMs / 1000})`);
  return {
    credential_sealed,
    scopes,
    missing_scopes,
    extras,
    refreshable,
    issued_at: sql`now() - make_interval(secs => ${times.ageMs / 1000})`,
    expires_at: since(times.lifetimeS),
    refresh_expires_at: since(times.refreshLifetimeS),
    refresh_due_at: since((times satisfies CredentialTimes).dueInS),
  };
}

/** Of a connection that works no longer until its end user connects again. A refresh under way no longer has a say in what becomes of it. */
export const stopped = (reason: string) => ({
  status: 'reauthorization_required' as const,
  reason,
  reason_since: sql`now()`,
  refresh_due_at: null,
  put_off_since: null,
  refresh_lease: null,
  lease_until: null,
  updated_at: sql`now()`,
});

/** What a credential that works puts right. */
export const healthy = {
  status: 'active',
  reason: null,
  reason_since: null,
  queued_until: null,
  put_off_since: null,
  refresh_lease: null,
  lease_until: null,
  retry_at: null,
  failure_count: 0,
  failing_since: null,
  last_error: null,
} as const;

async function finishLink(tx: Transaction, project: string, link: FinishedLink | undefined, connectionId: string): Promise<boolean> {
  if (link === undefined) return true;
  const rows = await tx
    .update(connectLinks)
    .set({ ...erased, status: 'connected', connection_id: connectionId, finished_at: sql`now()` })
    .where(
      and(
        eq(connectLinks.project_id, project),
        eq(connectLinks.id, link.id),
        eq(connectLinks.attempt, link.attempt),
        eq(connectLinks.status, 'exchanging'),
        isNull(connectLinks.finished_at),
      ),
    )
    .returning({ id: connectLinks.id });
  return rows.length === 1;
}

/** When a connection is probed that nobody uses from now on; null where the integration wants none. */
const probePause = sql`(select now() + make_interval(secs => i.probe_unused_after_s) from integrations i
  where i.project_id = connections.project_id and i.id = connections.integration_id)`;

/** The literal lets a plan for any parameters use the index of those that are not well. */
const ailing = sql`${t.status} <> 'active'`;

const matching = (f: ConnectionFilter) => [
  f.integration === undefined ? undefined : eq(t.integration_id, f.integration),
  f.end_user === undefined ? undefined : eq(t.end_user_id, f.end_user),
  f.organization === undefined ? undefined : eq(t.organization_id, f.organization),
  f.status === undefined ? undefined : eq(t.status, f.status),
  f.error === undefined ? undefined : sql`${t.last_error} ->> 'code' = ${f.error}`,
  f.failing_before === undefined ? undefined : lt(t.failing_since, f.failing_before),
  (f.status !== undefined && f.status !== 'active') || f.error !== undefined || f.failing_before !== undefined ? ailing : undefined,
  // No index for these three: each refresh, or each use, would have to write to it.
  f.refreshed_before === undefined ? undefined : sql`coalesce(${t.last_refreshed_at}, ${t.created_at}) < ${f.refreshed_before.toISOString()}`,
  f.expires_before === undefined ? undefined : lt(t.expires_at, f.expires_before),
  f.unused_since === undefined ? undefined : sql`coalesce(${t.last_used_at}, ${t.created_at}) < ${f.unused_since.toISOString()}`,
  f.missing_scopes === undefined ? undefined : f.missing_scopes ? sql`${t.missing_scopes} <> '{}'` : sql`${t.missing_scopes} = '{}'`,
  f.next_refresh_before === undefined ? undefined : lt(t.refresh_due_at, f.next_refresh_before),
];

export function connectionStore(db: Database): Connections {
  return {
    insert: (connection, link, events) =>
      allOrNothing(db, async (tx) => {
        await tx.execute(durably);
        const { credential_sealed, scopes, missing_scopes, extras, refreshable, times, ...rest } = connection;
        if (!(await finishLink(tx, connection.project_id, link, connection.id))) tx.rollback();
        const held = await tx
          .select({ probe_unused_after_s: integrations.probe_unused_after_s })
          .from(integrations)
          .where(and(eq(integrations.project_id, rest.project_id), eq(integrations.id, rest.integration_id)))
          .for('key share');
        const [integration] = held;
        if (integration === undefined) return tx.rollback();
        const rows = await tx
          .insert(t)
          .values({
            ...rest,
            ...credentialColumns({ credential_sealed, scopes, missing_scopes, extras, refreshable, times }),
            end_user_id: rest.end_user.id,
            organization_id: rest.end_user.organization_id ?? null,
            status: 'active',
            token_version: 1,
            probe_due_at: sql`now() + make_interval(secs => ${integration.probe_unused_after_s}::float8)`,
          })
          .returning();
        await insertEvents(tx, events);
        return rows[0];
      }),
    renew: (project, id, version, { times, credential_sealed, scopes, missing_scopes, extras, refreshable, ...rest }, link, events) =>
      allOrNothing(db, async (tx) => {
        await tx.execute(durably);
        const rows = await tx
          .update(t)
          .set({
            ...rest,
            ...credentialColumns({ credential_sealed, scopes, missing_scopes, extras, refreshable, times }),
            ...healthy,
            token_version: version + 1,
            probe_due_at: probePause,
            updated_at: sql`now()`,
          })
          .where(and(alive(project, id), eq(t.token_version, version)))
          .returning();
        if (rows.length === 0) return undefined;
        if (!(await finishLink(tx, project, link, id))) tx.rollback();
        await insertEvents(tx, events);
        await tx.execute(sql`select pg_notify('grantry_refresh', ${id})`);
        return rows[0];
      }),
    get: async (project, id) => (await db.select().from(t).where(alive(project, id)))[0],
    async list(project, filter, { limit, after }) {
      const rows = db
        .select()
        .from(t)
        .where(and(eq(t.project_id, project), isNull(t.deleted_at), ...matching(filter), after === undefined ? undefined : lt(t.id, after)))
        .orderBy(desc(t.id))
        .limit(limit + 1);
      return pageOf(await listed(rows, 'Add integration, end_user or organization to the filters.'), limit);
    },
    setMetadata: async (project, id, metadata) =>
      (await db.update(t).set({ metadata, updated_at: sql`now()` }).where(alive(project, id)).returning())[0],
    requireReauthorization: (project, id, reason, events) =>
      db.transaction(async (tx) => {
        const rows = await tx.update(t).set(stopped(reason)).where(alive(project, id)).returning({ id: t.id });
        if (rows.length === 0) return false;
        await insertEvents(tx, events);
        await tx.execute(sql`select pg_notify('grantry_refresh', ${id})`);
        return true;
      }),
    endExpired: (limit) =>
      db.transaction(async (tx) => {
        const ended = tx
          .select({ id: t.id })
          .from(t)
          .where(
            and(
              isNull(t.deleted_at),
              sql`not ${t.refreshable}`,
              eq(t.status, 'active'),
              sql`${t.expires_at} is not null`,
              lt(t.expires_at, sql`now()`),
            ),
          )
          .limit(limit)
          .for('update', { skipLocked: true });
        const rows = await tx
          .update(t)
          .set({
            status: 'reauthorization_required',
            reason: 'expired',
            reason_since: sql`${t.expires_at}`,
            refresh_due_at: null,
            put_off_since: null,
            updated_at: sql`now()`,
          })
          .where(inArray(t.id, ended))
          .returning({ connection_id: t.id, project_id: t.project_id, integration_id: t.integration_id });
        const data = { reason: 'expired', next: 'Make a connect link with this connection_id.' };
        await insertEvents(
          tx,
          rows.map((row) => ({ ...row, type: 'connection.reauthorization_required' as const, data })),
        );
        return rows.length;
      }),
    remove: (project, id, revoke, events) =>
      db.transaction(async (tx) => {
        const [row] = await tx.select().from(t).where(alive(project, id)).for('update');
        if (row === undefined) return false;
        if (revoke === 'at_provider' && row.credential_sealed !== null) {
          const { project_id, integration_id, credential_sealed, inputs_sealed, token_version, method, extras } = row;
          const revocation = { connection_id: id, project_id, integration_id, credential_sealed, inputs_sealed, token_version, method, extras };
          // What is there of this very version came late, of a grant that a reconnect has replaced since.
          await queueRevocation(tx, revocation, 'earlier_or_same');
        }
        await tx
          .update(t)
          .set({
            deleted_at: sql`now()`,
            status: 'revoked',
            end_user: { id: '' },
            end_user_id: '',
            organization_id: null,
            account: null,
            last_error: null,
            credential_sealed: null,
            inputs_sealed: null,
            refresh_due_at: null,
            put_off_since: null,
            probe_due_at: null,
            refresh_lease: null,
            lease_until: null,
            extras: {},
            metadata: {},
            updated_at: sql`now()`,
          })
          .where(alive(project, id));
        await tx.delete(refreshIntents).where(eq(refreshIntents.connection_id, id));
        await insertEvents(tx, events);
        return true;
      }),
  };
}
