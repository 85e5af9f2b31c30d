import { and, asc, desc, eq, gt, isNull, lt, sql } from 'drizzle-orm';
import type pg from 'pg';
import type { DataKeyStore } from '../../broker/seal.ts';
import type { ApiKeys, FoundKey, Projects } from '../../broker/store.ts';
import { type Database, one, pageOf } from './database.ts';
import { apiKeys, dataKeys, projects, settings } from './schema.ts';

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
    insert: async (project) => (await db.insert(projects).values(project).onConflictDoNothing().returning())[0],
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
  text: `select id, project_id, name, key_hash, scopes, expires_at, created_at, coalesce(expires_at <= now(), false) as expired from api_keys where key_hash = $1`,
};

export function apiKeyStore(db: Database, pool: pg.Pool): ApiKeys {
  return {
    insert: async (key) => one(await db.insert(apiKeys).values(key).returning()),
    async list(project, { limit, after }) {
      const rows = await db
        .select()
        .from(apiKeys)
        .where(and(eq(apiKeys.project_id, project), after === undefined ? undefined : lt(apiKeys.id, after)))
        .orderBy(desc(apiKeys.id))
        .limit(limit + 1);
      return pageOf(rows, limit);
    },
    name: async (project, id) =>
      (
        await db
          .select({ name: apiKeys.name })
          .from(apiKeys)
          .where(and(eq(apiKeys.project_id, project), eq(apiKeys.id, id)))
      )[0]?.name,
    remove: async (project, id) =>
      (
        await db
          .delete(apiKeys)
          .where(and(eq(apiKeys.project_id, project), eq(apiKeys.id, id)))
          .returning({ id: apiKeys.id })
      ).length === 1,
    async findByHash(hash) {
      const { rows } = await pool.query<FoundKey>({ ...byHash, values: [hash] });
      return rows[0];
    },
  };
}

const canaryName = 'key_ring_canary';

export function dataKeyStore(db: Database): DataKeyStore {
  const current = (project: string) => and(eq(dataKeys.project_id, project), isNull(dataKeys.retired_at));
  return {
    list: (project) => db.select().from(dataKeys).where(eq(dataKeys.project_id, project)).orderBy(desc(dataKeys.created_at)),
    find: async (kid) => (await db.select().from(dataKeys).where(eq(dataKeys.kid, kid)))[0],
    async insert(record) {
      await db.insert(dataKeys).values(record).onConflictDoNothing();
      return one(await db.select().from(dataKeys).where(current(record.project_id)));
    },
    canary: async () => (await db.select().from(settings).where(eq(settings.name, canaryName)))[0]?.value,
    async setCanary(value) {
      await db.insert(settings).values({ name: canaryName, value }).onConflictDoNothing();
      return one(await db.select().from(settings).where(eq(settings.name, canaryName))).value;
    },
  };
}
