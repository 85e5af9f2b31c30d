import { and, asc, desc, eq, gt, isNull, lt, sql } from 'drizzle-orm';
import type pg from 'pg';
import type { ApiKeys, FoundKey, Projects } from '../../broker/store.ts';
import { type Database, one, pageOf } from './database.ts';
import { lockProjectId, removeProject } from './remove-project.ts';
import { apiKeys, deletedProjects, projects } from './schema.ts';

export function projectStore(db: Database): Projects {
  return {
    get: async (id) => (await db.select().from(projects).where(eq(projects.id, id)))[0],
    async list({ limit, after }) {
      const rows = await db
        .select()
        .from(projects)
        .where(after === undefined ? undefined : gt(projects.id, after))
        .orderBy(asc(projects.id))
        .limit(limit + 1);
      return pageOf(rows, limit);
    },
    insert: (project) =>
      db.transaction(async (tx) => {
        await tx.execute(lockProjectId(project.id));
        const [former] = await tx.select().from(deletedProjects).where(eq(deletedProjects.id, project.id));
        if (former !== undefined) return undefined;
        return (await tx.insert(projects).values(project).onConflictDoNothing().returning())[0];
      }),
    remove: removeProject(db),
    update: async (id, change) =>
      (
        await db
          .update(projects)
          .set({ name: sql`coalesce(${change.name ?? null}, ${projects.name})`, ...(change.return_urls && { return_urls: change.return_urls }) })
          .where(eq(projects.id, id))
          .returning()
      )[0],
  };
}

/** By hand and prepared: every call of the API begins with it, also those of strangers. */
const byHash = {
  name: 'api_key_by_hash',
  text: `select id, project_id, name, key_hash, scopes, limits, expires_at, created_at, coalesce(expires_at <= now(), false) as expired from api_keys where key_hash = $1`,
};

export function apiKeyStore(db: Database, pool: Pick<pg.Pool, 'query'>): ApiKeys {
  const is = (project: string, id: string) => and(eq(apiKeys.project_id, project), eq(apiKeys.id, id));
  return {
    insert: async (key) => one(await db.insert(apiKeys).values(key).returning()),
    get: async (project, id) => (await db.select().from(apiKeys).where(is(project, id)))[0],
    update: async (project, id, change) => (await db.update(apiKeys).set(change).where(is(project, id)).returning())[0],
    replace: (project, id, next, overlapS) =>
      db.transaction(async (tx) => {
        const end = sql`least(${apiKeys.expires_at}, now() + make_interval(secs => ${overlapS}))`;
        const living = and(is(project, id), isNull(apiKeys.replaced_by), sql`coalesce(${apiKeys.expires_at} > now(), true)`);
        const ended = await tx.update(apiKeys).set({ expires_at: end, replaced_by: next.id }).where(living).returning({ id: apiKeys.id });
        return ended.length === 0 ? undefined : one(await tx.insert(apiKeys).values(next).returning());
      }),
    async used(ids) {
      await db.execute(sql`
        with used as (
          select id from api_keys where id = any(${sql.param([...ids])}::text[]) and (last_used_at is null or last_used_at < now() - interval '1 minute')
          order by id for no key update)
        update api_keys k set last_used_at = now() from used where k.id = used.id`);
    },
    async list(project, { limit, after }) {
      const rows = await db
        .select()
        .from(apiKeys)
        .where(and(eq(apiKeys.project_id, project), after === undefined ? undefined : lt(apiKeys.id, after)))
        .orderBy(desc(apiKeys.id))
        .limit(limit + 1);
      return pageOf(rows, limit);
    },
    name: async (project, id) => (await db.select({ name: apiKeys.name }).from(apiKeys).where(is(project, id)))[0]?.name,
    remove: async (project, id) => (await db.delete(apiKeys).where(is(project, id)).returning({ id: apiKeys.id })).length === 1,
    async findByHash(hash) {
      const { rows } = await pool.query<FoundKey>({ ...byHash, values: [hash] });
      return rows[0];
    },
  };
}
