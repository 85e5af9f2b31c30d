import { and, eq, inArray, isNull, lt, lte, or, type SQL, sql } from 'drizzle-orm';
import type { CodeLedger, Links } from '../../broker/store.ts';
import { entryOfBroker, pendEntries } from './audit.ts';
import { type Database, one } from './database.ts';
import { insertEvents } from './events.ts';
import { codeLedger, connectLinks } from './schema.ts';

const t = connectLinks;
/** What a finished link no longer holds. */
export const erased = { state_hash: null, pending_sealed: null, answer_sealed: null, nonce_hash: null, inputs_sealed: null } as const;
const inSeconds = (seconds: number) => sql`now() + make_interval(secs => ${seconds})`;
const unfinished = isNull(t.finished_at);

/** What the audit log is told of a link whose time is over, whoever came upon it. What ends otherwise is told by the call or the browser that ended it. */
const overdueEntry = ({ id, project_id, integration_id, purpose, error_code }: typeof t.$inferSelect) =>
  entryOfBroker({
    project_id,
    action: 'connect_link.failed',
    target_id: id,
    details: { integration: integration_id, ...(purpose === 'test' && { purpose }), error: error_code },
  });

export function linkStore(db: Database): Links {
  /** The one statement that takes a waiting flow: what it changes decides who was first. */
  const consume = async (which: SQL | undefined) => {
    const rows = await db
      .update(t)
      .set({ status: 'exchanging', state_hash: null })
      .where(and(which, unfinished, eq(t.status, 'authorizing'), sql`${t.state_hash} is not null`, sql`${t.state_expires_at} > now()`))
      .returning();
    return rows[0];
  };
  return {
    insert: (link, { expiresInS, mostUnfinished, events }) =>
      db.transaction(async (tx) => {
        // Reads no more than so many entries of an index, however many links there are.
        const last = await tx
          .select({ id: t.id })
          .from(t)
          .where(and(eq(t.project_id, link.project_id), unfinished))
          .offset(mostUnfinished - 1)
          .limit(1);
        if (last.length === 1) return undefined;
        const row = one(
          await tx
            .insert(t)
            .values({ ...link, status: 'pending', expires_at: inSeconds(expiresInS) })
            .returning(),
        );
        await insertEvents(tx, events);
        return row;
      }),
    get: async (project, id) =>
      (
        await db
          .select()
          .from(t)
          .where(and(eq(t.project_id, project), eq(t.id, id)))
      )[0],
    byToken: async (hash) => (await db.select().from(t).where(eq(t.token_hash, hash)))[0],
    byId: async (id) => (await db.select().from(t).where(eq(t.id, id)))[0],
    open: (id, events) =>
      db.transaction(async (tx) => {
        const rows = await tx
          .update(t)
          .set({ status: 'opened' })
          .where(and(eq(t.id, id), eq(t.status, 'pending')))
          .returning({ id: t.id });
        if (rows.length === 1) await insertEvents(tx, events);
      }),
    async begin(id, browserHash, stateHash, stateTtlS) {
      const rows = await db
        .update(t)
        .set({
          status: 'authorizing',
          browser_hash: browserHash,
          state_hash: stateHash,
          state_expires_at: inSeconds(stateTtlS),
          attempt: sql`${t.attempt} + 1`,
          pending_sealed: null,
        })
        .where(
          and(
            eq(t.id, id),
            inArray(t.status, ['pending', 'opened', 'authorizing']),
            unfinished,
            sql`${t.expires_at} > now()`,
            or(isNull(t.browser_hash), eq(t.browser_hash, browserHash)),
          ),
        )
        .returning();
      return rows[0];
    },
    keepPending: (id, attempt, pendingSealed, events) =>
      db.transaction(async (tx) => {
        const rows = await tx
          .update(t)
          .set({ pending_sealed: pendingSealed })
          .where(and(eq(t.id, id), eq(t.attempt, attempt), eq(t.status, 'authorizing')))
          .returning({ id: t.id });
        if (rows.length === 1) await insertEvents(tx, events);
        return rows.length === 1;
      }),
    async release(id, attempt) {
      await db
        .update(t)
        .set({ status: 'opened', state_hash: null, pending_sealed: null })
        .where(and(eq(t.id, id), eq(t.attempt, attempt), inArray(t.status, ['authorizing', 'exchanging']), unfinished));
    },
    async waitAgain(id, attempt, stateHash, pendingSealed) {
      const rows = await db
        .update(t)
        .set({ status: 'authorizing', state_hash: stateHash, attempt: attempt + 1, pending_sealed: pendingSealed })
        .where(and(eq(t.id, id), eq(t.attempt, attempt), eq(t.status, 'exchanging'), unfinished, sql`${t.state_expires_at} > now()`))
        .returning({ id: t.id });
      return rows.length === 1;
    },
    consumeState: (stateHash) => consume(eq(t.state_hash, stateHash)),
    consumeByBrowser: (browserHash, redirectUri) =>
      consume(
        sql`${t.id} = (select case when count(*) = 1 then min(w.id) end from ${t} w where w.browser_hash = ${browserHash} and w.redirect_uri = ${redirectUri}
          and w.state_hash is not null and w.state_expires_at > now() and w.status = 'authorizing'
          and w.snapshot #>> array['definition', 'methods', w.snapshot ->> 'method', 'callback', 'state'] = 'not_echoed')`,
      ),
    consumeByLink: (id, browserHash) => consume(and(eq(t.id, id), eq(t.browser_hash, browserHash))),
    async holdForConfirmation(id, attempt, answerSealed, nonceHash, ttlS) {
      const rows = await db
        .update(t)
        .set({ status: 'confirming', answer_sealed: answerSealed, nonce_hash: nonceHash, nonce_expires_at: inSeconds(ttlS) })
        .where(and(eq(t.id, id), eq(t.attempt, attempt), eq(t.status, 'exchanging'), unfinished))
        .returning({ id: t.id });
      return rows.length === 1;
    },
    async takeNonce(project, id, nonceHash) {
      const rows = await db
        .update(t)
        .set({ status: 'exchanging', nonce_hash: null })
        .where(
          and(
            eq(t.project_id, project),
            eq(t.id, id),
            eq(t.status, 'confirming'),
            eq(t.nonce_hash, nonceHash),
            sql`${t.nonce_expires_at} > now()`,
            unfinished,
          ),
        )
        .returning();
      return rows[0];
    },
    fail: (id, code, detail, events) =>
      db.transaction(async (tx) => {
        const rows = await tx
          .update(t)
          .set({ ...erased, status: code === 'link_expired' ? 'expired' : 'failed', error_code: code, error_detail: detail, finished_at: sql`now()` })
          .where(and(eq(t.id, id), unfinished))
          .returning();
        if (rows.length === 1) await insertEvents(tx, events);
        if (code === 'link_expired') await pendEntries(tx, rows.map(overdueEntry));
        return rows.length === 1;
      }),
    async expireOverdue(limit) {
      return db.transaction(async (tx) => {
        const overdue = tx
          .select({ id: t.id })
          .from(t)
          .where(
            and(
              unfinished,
              or(
                and(
                  inArray(t.status, ['pending', 'opened', 'authorizing']),
                  lte(t.expires_at, sql`now()`),
                  or(isNull(t.state_hash), lte(t.state_expires_at, sql`now()`)),
                ),
                and(eq(t.status, 'confirming'), lte(t.nonce_expires_at, sql`now()`)),
                and(eq(t.status, 'exchanging'), lt(t.state_expires_at, sql`now() - interval '5 minutes'`)),
              ),
            ),
          )
          .limit(limit)
          .for('update', { skipLocked: true });
        const rows = await tx
          .update(t)
          .set({
            ...erased,
            finished_at: sql`now()`,
            status: sql`case when ${t.status} = 'exchanging' then 'failed' else 'expired' end`,
            error_code: sql`case when ${t.status} = 'exchanging' then 'exchange_unknown' else 'link_expired' end`,
            error_detail: sql`case when ${t.status} = 'exchanging' then 'The exchange was cut off.' else 'Nobody finished the link in time.' end`,
          })
          // As an array it is looked for once; in a join, for each row again, when the planner takes the table for a small one.
          .where(sql`${t.id} = any(array${overdue})`)
          .returning();
        await insertEvents(
          tx,
          rows
            .filter(({ purpose }) => purpose === 'connect')
            .map((row) => ({
              project_id: row.project_id,
              type: 'connect_link.failed' as const,
              integration_id: row.integration_id,
              link_id: row.id,
              data: { error: row.error_code, detail: row.error_detail },
            })),
        );
        await pendEntries(tx, rows.map(overdueEntry));
        return rows.length;
      });
    },
  };
}

export function codeLedgerStore(db: Database): CodeLedger {
  return {
    async record(codeHash, linkId) {
      const mine = await db
        .insert(codeLedger)
        .values({ code_hash: codeHash, link_id: linkId })
        .onConflictDoNothing()
        .returning({ link_id: codeLedger.link_id });
      if (mine.length === 1) return undefined;
      return one(await db.select().from(codeLedger).where(eq(codeLedger.code_hash, codeHash))).link_id;
    },
  };
}
