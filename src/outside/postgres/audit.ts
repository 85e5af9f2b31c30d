import { and, asc, desc, eq, gt, gte, lt, sql } from 'drizzle-orm';
import type { AuditEntry, AuditRecord } from '../../broker/audit.ts';
import { newId } from '../../broker/ids.ts';
import type { AuditFilter, AuditLog, CountedEntry, PendingEntry } from '../../broker/store.ts';
import { auditActions, isAuditAction } from '../../protocol/audit-actions.ts';
import { auditHash, noHash } from '../../protocol/audit-hash.ts';
import { apartOnFailure, gather } from '../gathered.ts';
import type { Database, Transaction } from './database.ts';
import { auditLog, auditPending } from './schema.ts';
import { listed } from './slow-list.ts';

/** The audit log: whoever has something to tell leaves it in audit_pending, and one process at a time chains what is there. */

/** Any number; the same in every process of this product. Whoever holds it is the only one who appends. */
const chainLock = 0x61756469;
/** So many rows are chained by one transaction. */
const batch = 500;

/** Whole milliseconds, cut off: rounded up, what is due now would be due in a moment. */
const nowMs = sql`date_trunc('milliseconds', now())`;

/** Leaves entries to be chained; in the transaction of a change they are there if it is. */
export async function pendEntries(tx: Database | Transaction, pending: readonly PendingEntry[]): Promise<void> {
  if (pending.length === 0) return;
  await tx.execute(sql`
    insert into audit_pending (id, entry, due_at)
    select id, entry, ${nowMs} + make_interval(secs => due_s)
    from json_to_recordset(${JSON.stringify(pending.map(({ id, entry, dueInS }) => ({ id, entry, due_s: dueInS })))}::json)
      as p(id text, entry jsonb, due_s float8)
    order by id
    on conflict (id) do update set entry = excluded.entry, due_at = excluded.due_at`);
}

/** What the broker does by itself: nobody's call is there for it. */
export const entryOfBroker = (done: Pick<AuditEntry, 'project_id' | 'action' | 'target_id' | 'details'>): PendingEntry => ({
  id: newId('aud'),
  entry: { at: new Date(), actor: 'broker', address: null, request_id: null, ...done },
  dueInS: 0,
});

/** What is counted stands under what it counts, so that all processes add to one row. */
function countedRow({ minute, count, ...counted }: CountedEntry) {
  const entry: AuditEntry = { ...counted, at: minute, request_id: null, details: {} };
  const { project_id, actor, action, target_id, address } = counted;
  return { id: JSON.stringify([minute.getTime(), project_id, actor, action, target_id, address]), entry, count };
}

/** A little longer than the minute: what the processes have counted in it comes within seconds. */
const countedDueS = 75;

async function addCounts(db: Database, entries: readonly CountedEntry[]): Promise<void> {
  if (entries.length === 0) return;
  await db.execute(sql`
    insert into audit_pending (id, entry, count, due_at)
    select id, entry, count, (entry ->> 'at')::timestamptz + make_interval(secs => ${countedDueS}::float8)
    from json_to_recordset(${JSON.stringify(entries.map(countedRow))}::json) as p(id text, entry jsonb, count bigint)
    order by id
    on conflict (id) do update set count = audit_pending.count + excluded.count`);
}

type Taken = Pick<typeof auditPending.$inferSelect, 'id' | 'entry' | 'count'>;
type Link = Pick<AuditRecord, 'seq' | 'hash'>;

/** The row that follows the last one. */
function linked(last: Link, { entry, count }: Taken): AuditRecord {
  const { at, project_id, actor, action, target_id, address, request_id, details } = entry;
  const row = {
    seq: last.seq + 1,
    at: new Date(at),
    project_id,
    actor,
    action,
    target_type: isAuditAction(action) ? auditActions[action] : null,
    target_id,
    address,
    request_id,
    details: { ...details, ...(count !== null && { count }) },
  };
  return { ...row, previous_hash: last.hash, hash: auditHash({ ...row, previousHash: last.hash.toString('hex') }) };
}

/** What happened first comes first; of one millisecond, what was told first. */
const inOrder = (a: Taken, b: Taken) => (a.entry.at === b.entry.at ? (a.id < b.id ? -1 : 1) : a.entry.at < b.entry.at ? -1 : 1);

async function lastLink(db: Database | Transaction): Promise<Link> {
  const [last] = await db.select({ seq: auditLog.seq, hash: auditLog.hash }).from(auditLog).orderBy(desc(auditLog.seq)).limit(1);
  return last ?? { seq: 0, hash: Buffer.from(noHash, 'hex') };
}

const chainBatch = (db: Database): Promise<number> =>
  db.transaction(async (tx) => {
    await tx.execute(sql`select pg_advisory_xact_lock(${chainLock}::bigint)`);
    // A count that grows right now is left: whoever waited for it while holding the chain would hold up everybody.
    const due = tx.select({ id: auditPending.id }).from(auditPending).where(sql`${auditPending.due_at} <= now()`);
    const chosen = due.orderBy(auditPending.due_at, auditPending.id).limit(batch).for('update', { skipLocked: true });
    const taken = await tx
      .delete(auditPending)
      .where(sql`${auditPending.id} in ${chosen}`)
      .returning({ id: auditPending.id, entry: auditPending.entry, count: auditPending.count });
    if (taken.length === 0) return 0;
    const rows: AuditRecord[] = [];
    let last = await lastLink(tx);
    for (const entry of taken.sort(inOrder)) {
      const row = linked(last, entry);
      rows.push(row);
      last = row;
    }
    await tx.insert(auditLog).values(rows);
    return rows.length;
  });

const matching = ({ action, actor, target, from, to, after_seq: afterSeq }: AuditFilter) => [
  action === undefined ? undefined : eq(auditLog.action, action),
  actor === undefined ? undefined : eq(auditLog.actor, actor),
  target === undefined ? undefined : eq(auditLog.target_id, target),
  from === undefined ? undefined : gte(auditLog.at, from),
  to === undefined ? undefined : lt(auditLog.at, to),
  afterSeq === undefined ? undefined : gt(auditLog.seq, afterSeq),
];

export function auditStore(db: Database): AuditLog {
  const pendAll = async (pending: readonly PendingEntry[]) => {
    await pendEntries(db, pending);
    return pending.map(() => undefined);
  };
  return {
    pend: gather(apartOnFailure(pendAll), { most: 100, slowMs: 20, lanes: 4 }),
    async forget(id) {
      await db.delete(auditPending).where(eq(auditPending.id, id));
    },
    count: (entries) => addCounts(db, entries),
    async chain() {
      let chained = 0;
      for (;;) {
        const count = await chainBatch(db);
        chained += count;
        if (count < batch) return chained;
      }
    },
    async list(project, filter, { limit, after }) {
      const isOldest = filter.order === 'oldest';
      const rows = db
        .select()
        .from(auditLog)
        .where(
          and(
            project === null ? undefined : eq(auditLog.project_id, project),
            ...matching(filter),
            after === undefined ? undefined : isOldest ? gt(auditLog.seq, Number(after)) : lt(auditLog.seq, Number(after)),
          ),
        )
        .orderBy(isOldest ? asc(auditLog.seq) : desc(auditLog.seq))
        .limit(limit + 1);
      const found = await listed(rows, 'Add target, from or to to the filters.');
      const items = found.slice(0, limit);
      return { items, next: found.length > limit ? items.at(-1)?.seq.toString() : undefined };
    },
    head: () => lastLink(db),
  };
}
