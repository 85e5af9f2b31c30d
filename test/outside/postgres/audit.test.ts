import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AuditEntry } from '../../../src/broker/audit.ts';
import { openPostgres, type Postgres } from '../../../src/outside/postgres/database.ts';
import { createStore } from '../../../src/outside/postgres/store.ts';
import { digest, firstBroken, type Row, wholeLog } from '../../harness/audit-log.ts';
import { startTestBroker, type TestBroker } from '../../harness/broker.ts';

/** The chain: whole whoever writes, closed to changes, and telling of each change that gets in anyway. */

let broker: TestBroker;
let owner: pg.Client;

const entry = (n: number, over: Partial<AuditEntry> = {}): AuditEntry => ({
  at: new Date(Date.UTC(2026, 0, 1) + n),
  project_id: 'default',
  actor: 'root',
  action: 'project.updated',
  target_id: 'default',
  address: '192.0.2.1',
  request_id: `req_${n}`,
  details: { n },
  ...over,
});

beforeAll(async () => {
  broker = await startTestBroker();
  owner = new pg.Client(broker.database.url);
  await owner.connect();
});
afterAll(async () => {
  await owner?.end();
  await broker?.stop();
});

/** As the owner of the database can: with the trigger off. */
async function forced(statement: string): Promise<void> {
  await owner.query(
    `alter table audit_log disable trigger audit_log_append_only; ${statement}; alter table audit_log enable always trigger audit_log_append_only`,
  );
}

describe('many processes', () => {
  test('append to one chain, without a gap, a fork or a row twice', async () => {
    const processes = Array.from({ length: 4 }, () => openPostgres({ url: broker.database.url, max: 3, onError: () => {} }));
    const append = async (postgres: Postgres, first: number) => {
      const { audit } = createStore(postgres);
      for (let n = first; n < first + 500; n += 50) {
        await Promise.all(
          Array.from({ length: 50 }, (_, i) => audit.pend({ id: `aud_many_${n + i}`, entry: entry(n + i, { actor: 'many' }), dueInS: 0 })),
        );
        await audit.chain();
      }
    };
    await Promise.all(processes.map((postgres, index) => append(postgres, index * 500)));
    const rows = await wholeLog(broker.root);
    expect(firstBroken(rows)).toBeUndefined();
    const mine = rows.filter(({ actor }) => actor === 'many').map(({ details }) => details.n);
    expect(mine.length).toBe(2_000);
    expect(new Set(mine).size).toBe(2_000);
    expect(await owner.query('select from audit_pending')).toMatchObject({ rowCount: 0 });
    await Promise.all(processes.map((postgres) => postgres.close()));
  });

  test('add up what they count, one row for a minute', async () => {
    const counted = { project_id: 'default', actor: 'key_a', action: 'token.released', target_id: 'con_a', address: '192.0.2.1' } as const;
    const { audit } = broker.broker.world.store;
    const minute = new Date(Math.floor(Date.now() / 60_000) * 60_000);
    await Promise.all(
      Array.from({ length: 40 }, () =>
        audit.count([
          { ...counted, minute, count: 25 },
          { ...counted, target_id: 'con_b', minute, count: 1 },
        ]),
      ),
    );
    // The minute is not over: nothing of it is in the chain yet.
    expect(await wholeLog(broker.root, { actor: 'key_a' })).toEqual([]);
    await owner.query('update audit_pending set due_at = now()');
    const rows = await wholeLog(broker.root, { actor: 'key_a' });
    expect(Object.fromEntries(rows.map((row) => [row.target_id, [row.details, row.at]]))).toEqual({
      con_a: [{ count: 1_000 }, minute.toISOString()],
      con_b: [{ count: 40 }, minute.toISOString()],
    });
  });
});

test('what is due later waits, and what is written anew or taken back is not told as it was', async () => {
  const { audit } = broker.broker.world.store;
  await audit.pend({ id: 'aud_begun', entry: entry(1, { actor: 'begun', details: { outcome: 'unknown' } }), dueInS: 60 });
  await audit.pend({ id: 'aud_gone', entry: entry(2, { actor: 'begun' }), dueInS: 60 });
  expect(await wholeLog(broker.root, { actor: 'begun' })).toEqual([]);
  await audit.forget('aud_gone');
  await audit.pend({ id: 'aud_begun', entry: entry(1, { actor: 'begun' }), dueInS: 0 });
  expect((await wholeLog(broker.root, { actor: 'begun' })).map(({ details }) => details)).toEqual([{ n: 1 }]);
});

test('every field counts in the hash, and text cannot pretend to be its neighbour', async () => {
  const { audit } = broker.broker.world.store;
  const odd = {
    project_id: null,
    target_id: 'a","b',
    address: null,
    request_id: null,
    details: { z: 'ü\u2028"\\', a: ['x', 'y'], b: null, c: true, n: -3 },
  };
  await audit.pend({ id: 'aud_odd', entry: entry(5, { ...odd, actor: 'odd' }), dueInS: 0 });
  const [row] = await wholeLog(broker.root, { actor: 'odd' });
  if (row === undefined) throw new Error('it is not there');
  expect(row).toMatchObject({ project: null, target_id: 'a","b', target_type: 'project', details: odd.details });
  expect(row.hash).toBe(digest(row));
  const changes: Partial<Row>[] = [
    { seq: row.seq + 1 },
    { at: new Date(0).toISOString() },
    { project: 'default' },
    { actor: 'other' },
    { action: 'project.created' },
    { target_type: null },
    { target_id: 'a' },
    { address: '' },
    { request_id: '' },
    { details: {} },
    { previous_hash: '1'.repeat(64) },
  ];
  expect(new Set([row, ...changes.map((change) => ({ ...row, ...change }))].map(digest)).size).toBe(changes.length + 1);
});

describe('a row that stands', () => {
  test.each(['update audit_log set actor = actor', 'update audit_log set actor = null where false', 'delete from audit_log', 'truncate audit_log'])(
    'is closed to the owner of the table too: %s',
    async (statement) => {
      await expect(owner.query(statement)).rejects.toThrow(/audit_log is append only: (UPDATE|DELETE|TRUNCATE) is refused/);
      // As a replica would apply it.
      const superuser = new pg.Client(broker.database.superuserUrl);
      await superuser.connect();
      await superuser.query('set session_replication_role = replica');
      await expect(superuser.query(statement)).rejects.toThrow('append only');
      await superuser.end();
    },
  );

  test('outlives its project', async () => {
    const { rows } = await owner.query(
      `select 1 from pg_constraint where contype = 'f' and conrelid in ('audit_log'::regclass, 'audit_pending'::regclass)`,
    );
    expect(rows).toEqual([]);
  });
});

describe('whoever can switch the trigger off', () => {
  beforeEach(async () => {
    await forced('delete from audit_log');
    const { audit } = broker.broker.world.store;
    for (let n = 0; n < 8; n += 1) await audit.pend({ id: `aud_${n}`, entry: entry(n), dueInS: 0 });
    expect(firstBroken(await wholeLog(broker.root))).toBeUndefined();
  });

  test.each([
    ['changes a field', "update audit_log set address = '192.0.2.2' where seq = 4", 4],
    ['changes a word in the details', `update audit_log set details = '{"n": 9}' where seq = 5`, 5],
    ['takes a row out of the middle', 'delete from audit_log where seq = 3', 3],
    ['takes the first row', 'delete from audit_log where seq = 1', 1],
    ['closes the gap as well', 'delete from audit_log where seq = 3; update audit_log set seq = seq - 1 where seq = 4', 3],
    [
      'swaps two rows',
      'update audit_log set seq = 100 where seq = 2; update audit_log set seq = 2 where seq = 5; update audit_log set seq = 5 where seq = 100',
      2,
    ],
  ])('%s: it is seen', async (_, statement, seq) => {
    await forced(statement);
    expect(firstBroken(await wholeLog(broker.root))).toBe(seq);
  });
});
