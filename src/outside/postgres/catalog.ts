import { and, asc, desc, eq, gt, isNull, lt, ne, or, sql } from 'drizzle-orm';
import type pg from 'pg';
import type { Integrations, Providers } from '../../broker/store.ts';
import { type Database, one, pageOf } from './database.ts';
import { insertEvents } from './events.ts';
import { erased } from './links.ts';
import { rescheduleProbes } from './probes.ts';
import { refusedElsewhere } from './refused-elsewhere.ts';
import { resume } from './resume.ts';
import { connections, connectLinks, integrations, providerVersions, revocations } from './schema.ts';

export function providerStore(db: Database): Providers {
  const of = (project: string, id: string) => and(eq(providerVersions.project_id, project), eq(providerVersions.provider_id, id));
  return {
    current: async (project, id) =>
      (
        await db
          .select()
          .from(providerVersions)
          .where(and(of(project, id), providerVersions.current))
      )[0],
    version: async (project, id, version) =>
      (
        await db
          .select()
          .from(providerVersions)
          .where(and(of(project, id), eq(providerVersions.version, version)))
      )[0],
    listCurrent: (project) =>
      db
        .select()
        .from(providerVersions)
        .where(and(eq(providerVersions.project_id, project), providerVersions.current))
        .orderBy(asc(providerVersions.provider_id)),
    currentVersions: (project) =>
      db
        .select({ provider_id: providerVersions.provider_id, version: providerVersions.version })
        .from(providerVersions)
        .where(and(eq(providerVersions.project_id, project), providerVersions.current)),
    history: (project, id, { limit, after }) =>
      db
        .select({
          provider_id: providerVersions.provider_id,
          version: providerVersions.version,
          made_by: providerVersions.made_by,
          current: providerVersions.current,
          created_at: providerVersions.created_at,
        })
        .from(providerVersions)
        .where(and(of(project, id), after === undefined ? undefined : lt(providerVersions.version, after)))
        .orderBy(desc(providerVersions.version))
        .limit(limit),
    put: (project, id, made) =>
      db.transaction(async (tx) => {
        // Two writers of one definition go one after the other.
        await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${`${project}/${id}`}, 0))`);
        const last = await tx
          .select({ version: sql<number>`coalesce(max(${providerVersions.version}), 0)` })
          .from(providerVersions)
          .where(of(project, id));
        await tx
          .update(providerVersions)
          .set({ current: false })
          .where(and(of(project, id), providerVersions.current));
        return one(
          await tx
            .insert(providerVersions)
            .values({ project_id: project, provider_id: id, version: Number(one(last).version) + 1, ...made, current: true })
            .returning(),
        );
      }),
    remove: async (project, id) =>
      (
        await db
          .update(providerVersions)
          .set({ current: false })
          .where(and(of(project, id), providerVersions.current))
          .returning({ id: providerVersions.provider_id })
      ).length === 1,
  };
}

export function integrationStore(db: Database, pool: Pick<pg.Pool, 'query'>): Integrations {
  const is = (project: string, id: string) => and(eq(integrations.project_id, project), eq(integrations.id, id));
  return {
    insert: async (integration) => (await db.insert(integrations).values(integration).onConflictDoNothing().returning())[0],
    get: async (project, id) => (await db.select().from(integrations).where(is(project, id)))[0],
    async list(project, { limit, after }) {
      const rows = await db
        .select()
        .from(integrations)
        .where(and(eq(integrations.project_id, project), after === undefined ? undefined : gt(integrations.id, after)))
        .orderBy(asc(integrations.id))
        .limit(limit + 1);
      return pageOf(rows, limit);
    },
    async update(project, id, secretVersion, change, events = []) {
      const record = await db.transaction(async (tx) => {
        const held = and(is(project, id), eq(integrations.secret_version, secretVersion));
        const [old] = await tx.select({ status: integrations.status }).from(integrations).where(held).for('update');
        if (old === undefined) return undefined;
        const [changed] = await tx
          .update(integrations)
          .set({ ...change, ...(change.status && { trial_at: null }), updated_at: sql`now()` })
          .where(held)
          .returning();
        if (change.status !== undefined && change.status !== old.status) await insertEvents(tx, events);
        return changed;
      });
      if (record !== undefined && change.probe_unused_after_s !== undefined) await rescheduleProbes(db, project, id);
      return record;
    },
    setStatus: ({ project_id, id, secret_version }, status, events) =>
      db.transaction(async (tx) => {
        // updated_at stays: it says when the registration was last changed.
        const noted = await tx
          .update(integrations)
          .set({ status, trial_at: status === 'misconfigured' ? sql`now()` : null })
          .where(and(is(project_id, id), eq(integrations.secret_version, secret_version), ne(integrations.status, status)))
          .returning({ id: integrations.id });
        if (noted.length === 0) return false;
        await insertEvents(tx, events);
        return true;
      }),
    resume: (project, id) => resume(db, project, id),
    isRefusedElsewhere: refusedElsewhere(pool),
    // One that is active meanwhile needs no turns.
    async takeTrial(project, id, everyS) {
      const passed = sql`${integrations.trial_at} <= now() - make_interval(secs => ${everyS})`;
      const taken = await db
        .update(integrations)
        .set({ trial_at: sql`now()` })
        .where(and(is(project, id), or(ne(integrations.status, 'misconfigured'), isNull(integrations.trial_at), passed)))
        .returning({ id: integrations.id });
      return taken.length === 1;
    },
    remove: (project, id) =>
      db.transaction(async (tx) => {
        // The lock keeps a connection from being made for it meanwhile: that insert takes the same row FOR KEY SHARE.
        const found = await tx.select().from(integrations).where(is(project, id)).for('update');
        if (found.length === 0) return 'missing';
        const used = await tx
          .select({ id: connections.id })
          .from(connections)
          .where(and(eq(connections.project_id, project), eq(connections.integration_id, id), isNull(connections.deleted_at)))
          .limit(1);
        if (used.length > 0) return 'in_use';
        // Its registration is still needed to tell the provider of connections that were deleted.
        const untold = await tx
          .select({ id: revocations.connection_id })
          .from(revocations)
          .where(and(eq(revocations.project_id, project), eq(revocations.integration_id, id)))
          .limit(1);
        if (untold.length > 0) return 'revoking';
        const detail = 'The integration was deleted.';
        const ended = await tx
          .update(connectLinks)
          .set({ ...erased, status: 'expired', error_code: 'link_expired', error_detail: detail, finished_at: sql`now()` })
          .where(and(eq(connectLinks.project_id, project), eq(connectLinks.integration_id, id), isNull(connectLinks.finished_at)))
          .returning({ link_id: connectLinks.id });
        const about = { project_id: project, type: 'connect_link.failed', integration_id: id, data: { error: 'link_expired', detail } } as const;
        await insertEvents(
          tx,
          ended.map(({ link_id }) => ({ ...about, link_id })),
        );
        await tx.delete(integrations).where(is(project, id));
        return 'removed';
      }),
  };
}
