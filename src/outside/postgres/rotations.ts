import { and, desc, eq, isNull, sql } from 'drizzle-orm';
import type { DamagedSecrets, RotationChange, RotationRecord, Rotations } from '../../broker/key-records.ts';
import { type Database, one } from './database.ts';
import { damagedSecrets, keyRotations } from './schema.ts';

const t = keyRotations;
const running = isNull(t.finished_at);
const later = (seconds: number) => sql`now() + make_interval(secs => ${seconds})`;

type Row = typeof t.$inferSelect;
const recordOf = ({ lease: _, lease_until: __, ...record }: Row): RotationRecord => record;

function columnsOf({ keys_changed_at, rows_begun_at, finished_at, ...change }: RotationChange) {
  const now = sql`now()`;
  return {
    ...change,
    ...(keys_changed_at && { keys_changed_at: now }),
    ...(rows_begun_at && { rows_begun_at: now }),
    ...(finished_at && { finished_at: now }),
  };
}

export function rotationStore(db: Database): Rotations {
  return {
    begin: (id) =>
      db.transaction(async (tx) => {
        await tx
          .update(t)
          .set({ phase: 'superseded', finished_at: sql`now()` })
          .where(and(running, eq(t.kind, 'clear')));
        await tx.insert(t).values({ id, kind: 'rotate', phase: 'keys' }).onConflictDoNothing();
        return recordOf(
          one(
            await tx
              .select()
              .from(t)
              .where(and(running, eq(t.kind, 'rotate'))),
          ),
        );
      }),
    async beginClearing(id, graceS) {
      await db.execute(
        sql`insert into key_rotations (id, kind, phase) select ${id}, 'clear', 'rows'
          where exists (select 1 from data_keys where retired_at <= now() - make_interval(secs => ${graceS}))
            and not exists (select 1 from key_rotations where finished_at is null or (kind = 'clear' and phase = 'done' and finished_at > now() - interval '1 day'))
          on conflict do nothing`,
      );
    },
    async reopen(id) {
      await db.execute(
        sql`update key_rotations set phase = 'keys', walk = '{}', keys_changed_at = null, rows_begun_at = null, finished_at = null, lease = null, lease_until = null
          where id = ${id} and phase = 'done' and not exists (select 1 from key_rotations where finished_at is null)`,
      );
    },
    async latest() {
      const [row] = await db.select().from(t).where(eq(t.kind, 'rotate')).orderBy(desc(t.started_at)).limit(1);
      return row && recordOf(row);
    },
    async take(lease, leaseS) {
      const [row] = await db
        .update(t)
        .set({ lease, lease_until: later(leaseS) })
        .where(and(running, sql`(${t.lease_until} is null or ${t.lease_until} <= now())`))
        .returning();
      if (row === undefined) return undefined;
      const [{ ms } = { ms: 0 }] = await db
        .select({ ms: sql<number>`coalesce(extract(epoch from now() - ${t.keys_changed_at}) * 1000, 0)::float8` })
        .from(t)
        .where(eq(t.id, row.id));
      return { rotation: recordOf(row), lease, sinceKeysMs: ms };
    },
    async save({ rotation, lease }, change, leaseS) {
      const rows = await db
        .update(t)
        .set({ ...columnsOf(change), lease_until: later(leaseS) })
        .where(and(eq(t.id, rotation.id), eq(t.lease, lease), running))
        .returning({ id: t.id });
      return rows.length === 1;
    },
  };
}

const d = damagedSecrets;

export function damagedSecretsStore(db: Database): DamagedSecrets {
  return {
    async note(damage) {
      if (damage.length === 0) return;
      await db
        .insert(d)
        .values(
          damage.map(({ table, row, field, project_id }) => ({
            table_name: table,
            row_id: row.length === 1 ? (row[0] ?? '') : JSON.stringify(row),
            field,
            project_id,
          })),
        )
        .onConflictDoUpdate({ target: [d.table_name, d.row_id, d.field], set: { seen_at: sql`now()` } });
    },
    async forgetMended(rotationId) {
      await db.execute(sql`delete from damaged_secrets where seen_at < (select rows_begun_at from key_rotations where id = ${rotationId})`);
    },
    async list(limit) {
      const [{ count } = { count: 0 }] = await db.select({ count: sql<number>`count(*)::int` }).from(d);
      const items = await db.select().from(d).orderBy(d.found_at, d.table_name, d.row_id, d.field).limit(limit);
      return { count, items };
    },
  };
}
