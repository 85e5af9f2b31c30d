import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import pg from 'pg';

/** Everything that something may have leaked into, as bytes with the place where they stood. */

export type Item = { where: string; bytes: Buffer };

const asText = { getTypeParser: () => (text: string) => text };

/** Every row of every table of every schema but the catalogue's own; `bytea` as the bytes themselves, too. And what the sessions are at. */
export async function postgresItems(url: string): Promise<Item[]> {
  const client = new pg.Client({ connectionString: url, application_name: 'leak-test' });
  await client.connect();
  try {
    const tables = await client.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`,
    );
    const items: Item[] = [];
    for (const name of [...tables.rows.map((row) => row.name), 'pg_catalog.pg_stat_activity', 'pg_catalog.pg_statistic', 'pg_catalog.pg_settings']) {
      const { rows } = await client.query<(string | null)[]>({ text: `select * from ${name}`, rowMode: 'array', types: asText });
      const values = rows.flat().filter((value) => value !== null);
      const raw = values.filter((value) => value.startsWith('\\x')).map((value) => Buffer.from(value.slice(2), 'hex'));
      items.push({ where: `postgres ${name}`, bytes: Buffer.concat([Buffer.from(values.join('\n')), ...raw]) });
    }
    await client.query('checkpoint');
    return items;
  } finally {
    await client.end();
  }
}

async function valuesOf(redis: Redis, key: Buffer): Promise<unknown[]> {
  const type = await redis.type(key);
  switch (type) {
    case 'string':
      return [await redis.getBuffer(key)];
    case 'list':
      return redis.lrangeBuffer(key, 0, -1);
    case 'set':
      return redis.smembersBuffer(key);
    case 'zset':
      return redis.zrangeBuffer(key, '0', '-1');
    case 'hash':
      return Object.entries(await redis.hgetallBuffer(key)).flat();
    case 'stream':
      return redis.xrangeBuffer(key, '-', '+');
    case 'none':
      // It had an end, and that has come since its name was read.
      return [];
    default:
      throw new Error(`There is a Redis type that nobody looks into: ${type}.`);
  }
}

const flat = (value: unknown): Buffer[] =>
  Buffer.isBuffer(value) ? [value] : Array.isArray(value) ? value.flatMap(flat) : typeof value === 'string' ? [Buffer.from(value)] : [];

/** Every key of every database of the server: its name, its value, and what DUMP makes of it. */
export async function redisItems(url: string): Promise<Item[]> {
  const redis = new Redis(url);
  try {
    const items: Item[] = [];
    for (let database = 0; database < 16; database += 1) {
      await redis.select(database);
      for await (const keys of redis.scanBufferStream({ count: 500 }) as AsyncIterable<Buffer[]>)
        for (const key of keys) {
          const dumped = await redis.dumpBuffer(key);
          const bytes = Buffer.concat(
            [key, ...flat(await valuesOf(redis, key)), dumped ?? Buffer.alloc(0)].flatMap((part) => [part, Buffer.from('\n')]),
          );
          items.push({ where: `redis ${key.toString()}`, bytes });
        }
    }
    return items;
  } finally {
    redis.disconnect();
  }
}

/** Every file below these directories. */
export async function fileItems(name: string, ...directories: readonly string[]): Promise<Item[]> {
  const items: Item[] = [];
  for (const directory of directories)
    for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
      const path = join(entry.parentPath, entry.name);
      if (!entry.isFile()) continue;
      // A server that runs may take a file away in this very moment.
      const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? undefined : Promise.reject(error)));
      if (bytes !== undefined) items.push({ where: `${name} ${path.slice(directory.length + 1)}`, bytes });
    }
  return items;
}
