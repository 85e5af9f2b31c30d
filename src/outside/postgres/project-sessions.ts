import { drizzle } from 'drizzle-orm/node-postgres';
import type pg from 'pg';
import { isPostgresAway } from './away.ts';
import type { Database } from './database.ts';
import * as schema from './schema.ts';

/** What a store is made over: a pool, or one connection of it. */
export type Session = { db: Database; pool: Pick<pg.Pool, 'query'> };

/** Until the next such statement on this connection, row-level security shows the rows of this project alone. */
const enter = { name: 'enter_project', text: `select set_config('grantry.project', $1, false)` };

/**
 * Runs work on a connection that sees the rows of one project alone. These connections are a pool of their own: each is told the project before
 * every work, so none has to be told anything after it. What `build` makes is made once for each connection.
 */
export function createProjectSessions<Built>(pool: pg.Pool, build: (session: Session) => Built) {
  const built = new WeakMap<pg.PoolClient, Built>();
  function builtOver(client: pg.PoolClient): Built {
    const known = built.get(client);
    if (known !== undefined) return known;
    const made = build({ db: drizzle(client, { schema }) as unknown as Database, pool: client });
    built.set(client, made);
    return made;
  }
  return async <Result>(project: string, work: (over: Built) => Promise<Result>): Promise<Result> => {
    const client = await pool.connect();
    let broken: Error | undefined;
    try {
      await client.query({ ...enter, values: [project] });
      return await work(builtOver(client));
    } catch (error) {
      if (isPostgresAway(error)) broken = error instanceof Error ? error : new Error('broken');
      throw error;
    } finally {
      client.release(broken);
    }
  };
}
