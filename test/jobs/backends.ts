import { Redis } from 'ioredis';
import pg from 'pg';
import { inject } from 'vitest';
import type { Backend } from '../../src/jobs/connections.ts';
import { createTestDatabase } from '../harness/database.ts';
import { testRedisUrl } from '../harness/redis.ts';

/** A place for queues that nobody else uses, seen past the code under test. */
export type Place = {
  backend: Backend;
  defaultPort: number;
  /** Everything that is stored there, as text. */
  dump(): Promise<string>;
  /** How many jobs of the queue are kept though they are done, and how many schedules there are. */
  count(queue: string): Promise<{ finished: number; schedules: number }>;
  /** Deletes everything that is stored there. */
  wipe(): Promise<void>;
  /** Ends every session of others, and refuses new ones or what they ask for, until the returned function is called. */
  refuse(): Promise<() => Promise<void>>;
  leave(): Promise<void>;
};

/** `number`: of the Redis database; each test file has its own. */
export async function redisPlace(number: number): Promise<Place> {
  const url = new URL(testRedisUrl());
  url.pathname = `/${number}`;
  const redis = new Redis(url.href);
  await redis.flushdb();
  const user = `grantry-test-${number}`;
  await redis.call('acl', 'setuser', user, 'reset', 'on', '>pw', '~*', '&*', '+@all');
  const asUser = new URL(url);
  asUser.username = user;
  asUser.password = 'pw';
  return {
    backend: { kind: 'redis', url: asUser.href },
    defaultPort: 6379,
    async dump() {
      const keys = await redis.keys('*');
      const values = await Promise.all(
        keys.map(async (key) => [
          key,
          (await redis.type(key)) === 'hash' ? await redis.hgetall(key) : (await redis.dumpBuffer(key))?.toString('latin1'),
        ]),
      );
      return JSON.stringify(values);
    },
    async count(queue) {
      const key = `{grantry-${queue}}:${queue}`;
      return { finished: await redis.zcard(`${key}:completed`), schedules: await redis.zcard(`${key}:repeat`) };
    },
    async wipe() {
      await redis.flushdb();
    },
    async refuse() {
      await redis.call('acl', 'setuser', user, '-evalsha', '-eval');
      return async () => {
        await redis.call('acl', 'setuser', user, '+evalsha', '+eval');
      };
    },
    async leave() {
      await redis.flushdb();
      await redis.call('acl', 'deluser', user);
      redis.disconnect();
    },
  };
}

export async function postgresPlace(): Promise<Place> {
  const database = await createTestDatabase();
  const sql = new pg.Client(database.url);
  await sql.connect();
  const name = new URL(database.url).pathname.slice(1);
  const tables = async () =>
    (
      await sql.query<{ name: string }>(
        `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'bullmq' and tablename <> 'migration'`,
      )
    ).rows.map((row) => row.name);
  return {
    backend: { kind: 'postgres', url: database.url },
    defaultPort: 5432,
    async dump() {
      const rows: unknown[] = [];
      for (const table of await tables()) rows.push((await sql.query(`select * from ${table}`)).rows);
      return JSON.stringify(rows);
    },
    async count(queue) {
      const counted = await sql.query<{ finished: number; schedules: number }>(
        `select (select count(*)::int from bullmq.job where queue = $1 and state = 'completed') as finished, (select count(*)::int from bullmq.scheduler where queue = $1) as schedules`,
        [queue],
      );
      return counted.rows[0] ?? { finished: 0, schedules: 0 };
    },
    async wipe() {
      // One by one: a statement over all of them would meet a worker's locks in another order.
      for (const table of await tables()) await sql.query(`delete from ${table}`);
    },
    async refuse() {
      const admin = new pg.Client(inject('postgresUrl'));
      await admin.connect();
      const { rows } = await sql.query<{ pid: number }>('select pg_backend_pid() as pid');
      await admin.query(`alter database ${name} allow_connections false`);
      await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> $2', [name, rows[0]?.pid]);
      return async () => {
        await admin.query(`alter database ${name} allow_connections true`);
        await admin.end();
      };
    },
    async leave() {
      await sql.end();
      await database.drop();
    },
  };
}
