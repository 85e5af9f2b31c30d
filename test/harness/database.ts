import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { ownerRole } from './owner-role.ts';

export type TestDatabase = {
  /** `postgres://` URL of a database that nobody else uses. */
  url: string;
  /** The same for a superuser. */
  superuserUrl: string;
  /** Ends every session and removes it. A database that is not dropped goes with the run. */
  drop(): Promise<void>;
};

/** Brings an empty database up to date, and closes its connections. */
type Migrate = (url: string) => Promise<void>;

/**
 * A fresh database on the run's Postgres: empty, or, with `migrate`, a copy of the migrated one. The migration runs once in the whole run, for
 * the first test file that asks, and its result is the template of all that ask for a template of the same name (by default `migrated`).
 */
export async function createTestDatabase({ migrate, template = 'migrated' }: { migrate?: Migrate; template?: string } = {}): Promise<TestDatabase> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  if (migrate) await ensureTemplate(template, migrate);
  await maintenance((client) => client.query(`CREATE DATABASE ${name} TEMPLATE ${migrate ? template : 'template0'} OWNER ${ownerRole}`));
  return {
    url: databaseUrl(name),
    superuserUrl: databaseUrl(name, 'superuser'),
    drop: async () => {
      await maintenance((client) => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
    },
  };
}

/** Any number that no other advisory lock in the maintenance database has. */
const templateLock = 4_701_337;

/** The template is migrated under another name, so that one of which the migration failed is never taken for complete. */
async function ensureTemplate(template: string, migrate: Migrate): Promise<void> {
  await maintenance(async (client) => {
    await client.query('SELECT pg_advisory_lock($1)', [templateLock]);
    const existing = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [template]);
    if (existing.rowCount) return;
    const draft = `${template}_draft`;
    await client.query(`DROP DATABASE IF EXISTS ${draft} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${draft} TEMPLATE template0 OWNER ${ownerRole}`);
    await migrate(databaseUrl(draft));
    await client.query(`ALTER DATABASE ${draft} RENAME TO ${template}`);
  });
}

function databaseUrl(name: string, who: 'owner' | 'superuser' = 'owner'): string {
  const url = new URL(inject('postgresUrl'));
  url.pathname = `/${name}`;
  if (who === 'owner') url.username = ownerRole;
  return url.href;
}

/** A session in the maintenance database; its end frees the advisory lock. */
async function maintenance(work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client(inject('postgresUrl'));
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
