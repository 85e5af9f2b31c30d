import { and, asc, desc, eq, gt, inArray, isNotNull, isNull, ne, notInArray, sql } from 'drizzle-orm';
import type { KeyUpkeep, WhichProjects } from '../../broker/key-records.ts';
import type { DataKeyStore } from '../../broker/seal.ts';
import { type Database, one } from './database.ts';
import { dataKeys, keyRotations, settings } from './schema.ts';

const t = dataKeys;
const canaryName = 'key_ring_canary';
const current = isNull(t.retired_at);
const of = (projects: WhichProjects) => ('only' in projects ? eq(t.project_id, projects.only) : notInArray(t.project_id, [...projects.allBut]));

export function dataKeyStore(db: Database): DataKeyStore {
  return {
    list: (project) => db.select().from(t).where(eq(t.project_id, project)).orderBy(desc(t.created_at)),
    find: async (kid) => (await db.select().from(t).where(eq(t.kid, kid)))[0],
    async insert(record) {
      await db.insert(t).values(record).onConflictDoNothing();
      return one(
        await db
          .select()
          .from(t)
          .where(and(eq(t.project_id, record.project_id), current)),
      );
    },
    async stillInUse(project, kid) {
      const retired = await db
        .update(t)
        .set({ retired_at: sql`now()` })
        .where(and(eq(t.project_id, project), eq(t.kid, kid), isNotNull(t.retired_at)))
        .returning({ kid: t.kid });
      return retired.length === 1;
    },
    canary: async () => (await db.select().from(settings).where(eq(settings.name, canaryName)))[0]?.value,
    async setCanary(value) {
      await db.insert(settings).values({ name: canaryName, value }).onConflictDoNothing();
      return one(await db.select().from(settings).where(eq(settings.name, canaryName))).value;
    },
  };
}

export function keyUpkeepStore(db: Database): KeyUpkeep {
  const since = (rotationId: string) => sql`${t.created_at} < (select started_at from ${keyRotations} where id = ${rotationId})`;
  return {
    unturned: (rotationId, projects, { after, limit }) =>
      db
        .select()
        .from(t)
        .where(and(current, since(rotationId), of(projects), gt(t.project_id, after)))
        .orderBy(asc(t.project_id))
        .limit(limit),
    turn: (rotationId, next) =>
      db.transaction(async (tx) => {
        const retired = await tx
          .update(t)
          .set({ retired_at: sql`now()` })
          .where(and(eq(t.project_id, next.project_id), current, since(rotationId)))
          .returning({ kid: t.kid });
        if (retired.length === 1) await tx.insert(t).values(next);
      }),
    wrappedOtherwise: (masterKey, projects, { after, limit }) =>
      db
        .select()
        .from(t)
        .where(and(ne(t.wrapped_by, masterKey), of(projects), gt(t.kid, after)))
        .orderBy(asc(t.kid))
        .limit(limit),
    async rewrap({ kid, wrapped }, next) {
      await db
        .update(t)
        .set(next)
        .where(and(eq(t.kid, kid), eq(t.wrapped, wrapped)));
    },
    async replaceCanary(from, to) {
      await db
        .update(settings)
        .set({ value: to })
        .where(and(eq(settings.name, canaryName), eq(settings.value, from)));
    },
    currentOf: async (kids) =>
      kids.length === 0
        ? []
        : (
            await db
              .select({ kid: t.kid })
              .from(t)
              .where(and(inArray(t.kid, [...kids]), current))
          ).map(({ kid }) => kid),
    async counts() {
      const rows = await db
        .select({
          id: t.wrapped_by,
          current: sql<number>`(count(*) filter (where ${t.retired_at} is null))::int`,
          data_keys: sql<number>`count(*)::int`,
        })
        .from(t)
        .groupBy(t.wrapped_by)
        .orderBy(asc(t.wrapped_by));
      const all = rows.reduce((sum, row) => sum + row.data_keys, 0);
      const sealing = rows.reduce((sum, row) => sum + row.current, 0);
      return { current: sealing, retired: all - sealing, masterKeys: rows.map(({ id, data_keys }) => ({ id, data_keys })) };
    },
    list: (limit) =>
      db
        .select({ kid: t.kid, project_id: t.project_id, wrapped_by: t.wrapped_by, created_at: t.created_at, retired_at: t.retired_at })
        .from(t)
        .orderBy(desc(t.created_at), asc(t.kid))
        .limit(limit),
    masterKeysInUse: async () =>
      (
        await db
          .selectDistinct({ id: t.wrapped_by })
          .from(t)
          .where(and(current, ne(t.wrapped_by, '')))
      ).map(({ id }) => id),
    async destroyRetired(rotationId, graceS, kept) {
      const { rowCount } = await db.execute(
        sql`delete from data_keys where retired_at <= (select rows_begun_at from key_rotations where id = ${rotationId}) - make_interval(secs => ${graceS})
          and kid <> all(${sql.param(kept)}::text[])`,
      );
      return rowCount ?? 0;
    },
  };
}
