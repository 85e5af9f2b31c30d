import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openPostgres, type Postgres } from '../../../src/outside/postgres/database.ts';
import { createTestDatabase, type TestDatabase } from '../../harness/database.ts';
import { type Line, layLine } from '../../harness/line.ts';

/** The pool while Postgres goes and comes. */

let database: TestDatabase;
let line: Line;
let postgres: Postgres;

beforeEach(async () => {
  database = await createTestDatabase();
  line = await layLine(database.url, 5432);
  postgres = openPostgres({ url: line.url, max: 2, onError: () => {} });
});
afterEach(async () => {
  await line.cut();
  await database.drop();
});

test('a connection that breaks in a transaction fails the transaction, and does not end the process', async () => {
  const broken = postgres.db.transaction(async (tx) => {
    await tx.execute(sql`select 1`);
    await line.cut();
    // What was sent to nobody, and the end of the connection, both arrive.
    await new Promise((resolve) => setTimeout(resolve, 100));
    await tx.execute(sql`select 1`);
  });
  await expect(broken).rejects.toThrow();
  await line.mend();
  expect((await postgres.db.execute(sql`select 1 as one`)).rows).toEqual([{ one: 1 }]);
  await postgres.close();
});

test('transactions that could not begin take nothing from the pool, and it closes', async () => {
  for (let n = 0; n < 4; n += 1) {
    await postgres.db.execute(sql`select 1`);
    const begun = postgres.db.transaction(async (tx) => tx.execute(sql`select 1`));
    await line.cut();
    await begun.catch(() => {});
    await line.mend();
  }
  expect(await postgres.db.transaction(async (tx) => (await tx.execute(sql`select 1 as one`)).rows)).toEqual([{ one: 1 }]);
  expect(postgres.pool.totalCount - postgres.pool.idleCount).toBe(0);
  await postgres.close();
});
