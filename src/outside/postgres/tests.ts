import { and, asc, eq, isNull, sql } from 'drizzle-orm';
import type { Tests } from '../../broker/store.ts';
import type { Database } from './database.ts';
import { erased } from './links.ts';
import { connectLinks, testSteps } from './schema.ts';

const t = testSteps;

/** Ten tries of a flow have no more; whoever finds a way to write more fills no disk. */
const mostSteps = 100;

export function testStore(db: Database): Tests {
  return {
    async add(linkId, step) {
      await db.execute(sql`insert into test_steps (link_id, step)
        select ${linkId}, ${JSON.stringify(step)}::json where (select count(*) from test_steps where link_id = ${linkId}) < ${mostSteps}`);
    },
    steps: (linkId) => db.select({ step: t.step, created_at: t.created_at }).from(t).where(eq(t.link_id, linkId)).orderBy(asc(t.id)),
    async end({ id, attempt }) {
      const l = connectLinks;
      const rows = await db
        .update(l)
        .set({ ...erased, status: 'connected', finished_at: sql`now()` })
        .where(and(eq(l.id, id), eq(l.attempt, attempt), eq(l.status, 'exchanging'), isNull(l.finished_at)))
        .returning({ id: l.id });
      return rows.length === 1;
    },
  };
}
