import { TransactionRollbackError } from 'drizzle-orm';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import pg from 'pg';
import { GrantryError } from '../../protocol/errors.ts';
import { isPostgresAway } from './away.ts';
import * as schema from './schema.ts';

/** The pool and drizzle over it. */

export type Database = NodePgDatabase<typeof schema>;
export type Transaction = Parameters<Parameters<Database['transaction']>[0]>[0];

/** Any number; the same in every process of this product. */
const migrationLock = 0x6772616e;

export type Postgres = {
  pool: pg.Pool;
  db: Database;
  /** Connections for work in one project: whoever takes one says first which. */
  narrow: pg.Pool;
  close(): Promise<void>;
};

/** Connections for work in one project at most. */
const mostNarrow = 6;

/**
 * Opens the pool. `onError` hears of idle connections that broke: without a listener they would end the process.
 * `max`: connections at most, beside the few for work in one project; `silenceMs`: how long a statement may stay without an answer (20 s)
 * before its connection is given up, for a network that swallows packets closes nothing; connecting may take no longer, and 5 s at most.
 */
export function openPostgres({
  url,
  max,
  silenceMs = 20_000,
  onError,
}: {
  url: string;
  max: number;
  silenceMs?: number;
  onError: (error: Error) => void;
}): Postgres {
  const settings = {
    connectionString: url,
    connectionTimeoutMillis: Math.min(5_000, silenceMs),
    idleTimeoutMillis: 60_000,
    statement_timeout: 15_000,
    query_timeout: silenceMs,
    keepAlive: true,
    application_name: 'grantry',
    options: '-c timezone=UTC',
  };
  const pool = new pg.Pool({ ...settings, max });
  const narrow = new pg.Pool({ ...settings, max: Math.min(max, mostNarrow) });
  for (const each of [pool, narrow]) {
    each.on('error', onError);
    // The pool listens to idle connections only: one that breaks in a transaction would end the process. Its statement fails anyway.
    each.on('connect', (client) => client.on('error', () => {}));
  }
  const db = drizzle(pool, { schema });
  // drizzle's own never gives a connection back that broke at its `begin`: the pool would shrink with every outage, and never close.
  db.transaction = async (work, config) => {
    const client = await pool.connect();
    let broken: Error | undefined;
    try {
      return await drizzle(client, { schema }).transaction(work, config);
    } catch (error) {
      // One whose statement hangs, or that broke, is of no use to the next one.
      if (isPostgresAway(error)) broken = error instanceof Error ? error : new Error('broken');
      throw error;
    } finally {
      client.release(broken);
    }
  };
  return {
    pool,
    db,
    narrow,
    async close() {
      await Promise.all([pool.end(), narrow.end()]);
    },
  };
}

const noted = { migrationsSchema: 'public', migrationsTable: 'grantry_migrations' };

/** True when every migration has run. The library would ask for the right to create a schema before it finds that out. */
async function isMigrated(client: pg.Client, folder: string): Promise<boolean> {
  const table = `${noted.migrationsSchema}.${noted.migrationsTable}`;
  const { rows: found } = await client.query<{ there: boolean }>('select to_regclass($1) is not null as there', [table]);
  if (found[0]?.there !== true) return false;
  const { rows } = await client.query<{ last: string | null }>(`select max(created_at) as last from ${table}`);
  const last = Number(rows[0]?.last ?? 0);
  return readMigrationFiles({ migrationsFolder: folder }).every(({ folderMillis }) => folderMillis <= last);
}

/**
 * Runs the migrations of `folder`; several processes may call it at once: one works, the others wait. With nothing to do, a role that may
 * only read and write rows is enough.
 */
export async function migrateDatabase(url: string, folder: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: 'grantry-migrate' });
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [migrationLock]);
    if (await isMigrated(client, folder)) return;
    await migrate(drizzle(client), { migrationsFolder: folder, ...noted });
  } finally {
    await client.end();
  }
}

/** The row that a statement that always returns one returned. */
export function one<T>(rows: readonly T[]): T {
  const row = rows[0];
  if (row === undefined) throw new GrantryError('internal_error', { detail: 'A row that must be there is not.' });
  return row;
}

/** Cuts the row too many off a keyset query made with limit + 1. */
export function pageOf<T extends { id: string }>(rows: T[], limit: number): { items: T[]; next: string | undefined } {
  const items = rows.slice(0, limit);
  return { items, next: rows.length > limit ? items.at(-1)?.id : undefined };
}

/** A transaction in which `tx.rollback()` undoes all of it and makes the answer undefined. */
export async function allOrNothing<T>(db: Database, work: (tx: Transaction) => Promise<T>): Promise<T | undefined> {
  try {
    return await db.transaction(work);
  } catch (error) {
    if (error instanceof TransactionRollbackError) return undefined;
    throw error;
  }
}
