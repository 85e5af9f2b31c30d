import { createHmac } from 'node:crypto';
import pg from 'pg';

/** The broker's role in a server of its own: it owns a database, and is no superuser, for whom row-level security would not hold. */

const role = 'grantry_broker';
const database = 'grantry';
/** Any number; the same in every process of this product. */
const lock = 0x726f6c65;

/**
 * The URL with which the broker works, given that of the superuser. Role and database are made once, whoever comes first. A data directory of
 * an earlier version has its tables in the superuser's own database, and stays there: then this is the URL that was given.
 */
export async function brokerUrl(superuserUrl: string): Promise<string> {
  const own = new URL(superuserUrl);
  const password = createHmac('sha256', own.password).update(role).digest('base64url');
  own.username = role;
  own.password = password;
  own.pathname = `/${database}`;
  const client = new pg.Client({ connectionString: superuserUrl, application_name: 'grantry' });
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [lock]);
    const { rows } = await client.query<{ used: boolean; has_role: boolean; has_database: boolean }>(
      `select exists (select from pg_tables where schemaname not in ('pg_catalog', 'information_schema')) as used,
        exists (select from pg_roles where rolname = $1) as has_role, exists (select from pg_database where datname = $2) as has_database`,
      [role, database],
    );
    const [found] = rows;
    if (found?.used === true) return superuserUrl;
    if (found?.has_role !== true) await client.query(`create role ${role} login password '${password}'`);
    if (found?.has_database !== true) await client.query(`create database ${database} owner ${role}`);
    return own.href;
  } finally {
    await client.end();
  }
}
