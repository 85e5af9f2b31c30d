import { eq, type SQL, sql } from 'drizzle-orm';
import type { Projects } from '../../broker/store.ts';
import type { Database, Transaction } from './database.ts';
import { deletedProjects, projects } from './schema.ts';

/** The end of a project. What is much is deleted bit by bit before, the rest with the project itself. */

/** Rows per statement: so few that each ends long before its time is over. */
const batch = 5_000;

/** What a project without integrations leaves behind, in the order in which it can be deleted. */
const leftovers = [
  'webhook_deliveries',
  'webhook_endpoints',
  'events',
  'connect_links',
  'connections',
  'provider_versions',
  'idempotency_keys',
  'api_keys',
  'damaged_secrets',
  'data_keys',
] as const;

/** Whoever makes or deletes a project of this id goes one after the other, until the transaction ends. */
export const lockProjectId = (id: string): SQL => sql`select pg_advisory_xact_lock(hashtextextended(${`project/${id}`}, 0))`;

/** Why the project cannot go yet. Deleted connections are no reason, but what a provider has not been told of is. */
async function hindrance(tx: Transaction | Database, id: string): Promise<'in_use' | 'revoking' | undefined> {
  const { rows } = await tx.execute<{ used: boolean; untold: boolean }>(sql`
    select exists (select from integrations where project_id = ${id})
        or exists (select from connections where project_id = ${id} and deleted_at is null) as used,
      exists (select from revocations where project_id = ${id}) as untold`);
  if (rows[0]?.used === true) return 'in_use';
  return rows[0]?.untold === true ? 'revoking' : undefined;
}

async function emptyTable(db: Database, table: (typeof leftovers)[number], id: string): Promise<void> {
  const name = sql.identifier(table);
  for (let deleted = batch; deleted === batch; ) {
    const { rowCount } = await db.execute(
      sql`delete from ${name} where project_id = ${id} and ctid = any(array(select ctid from ${name} where project_id = ${id} limit ${batch}))`,
    );
    deleted = rowCount ?? 0;
  }
}

export const removeProject =
  (db: Database): Projects['remove'] =>
  async (id) => {
    // No integration is made while this is looked at; without one nothing new can begin.
    const first = await db.transaction(async (tx) => {
      await tx.execute(lockProjectId(id));
      const found = await tx.select().from(projects).where(eq(projects.id, id)).for('update');
      if (found.length === 0) return 'missing';
      const hindered = await hindrance(tx, id);
      if (hindered !== undefined) return hindered;
      await tx.execute(sql`delete from api_keys where project_id = ${id}`);
      return undefined;
    });
    if (first !== undefined) return first;
    for (const table of leftovers) if (table !== 'data_keys') await emptyTable(db, table, id);
    return db.transaction(async (tx) => {
      await tx.execute(lockProjectId(id));
      const found = await tx.select().from(projects).where(eq(projects.id, id)).for('update');
      if (found.length === 0) return 'missing';
      const hindered = await hindrance(tx, id);
      if (hindered !== undefined) return hindered;
      for (const table of leftovers) await tx.execute(sql`delete from ${sql.identifier(table)} where project_id = ${id}`);
      await tx.insert(deletedProjects).values({ id });
      await tx.delete(projects).where(eq(projects.id, id));
      return 'removed';
    });
  };
