import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ConnectionRecord, NewEvent } from '../../../src/broker/records.ts';
import type { Claim, Refreshes, StoredCredential } from '../../../src/broker/store.ts';
import { migrateDatabase, openPostgres, type Postgres } from '../../../src/outside/postgres/database.ts';
import { claimText, dueText } from '../../../src/outside/postgres/refresh-statements.ts';
import { createStore } from '../../../src/outside/postgres/store.ts';
import { packageRoot } from '../../harness/broker.ts';
import { createTestDatabase, type TestDatabase } from '../../harness/database.ts';

/** The statements of the refresh engine, asked as the engine asks them: many at once, in shared lists, by several processes. */

let database: TestDatabase;
let processes: Postgres[];
let stores: Refreshes[];
let refreshes: Refreshes;
let other: pg.Client;
const ids = Array.from({ length: 100 }, (_, n) => `con_${String(n).padStart(3, '0')}`);
const [first = '', second = '', third = ''] = ids;

beforeAll(async () => {
  database = await createTestDatabase({ migrate: (url) => migrateDatabase(url, `${packageRoot}/drizzle`) });
  other = new pg.Client(database.url);
  await other.connect();
  const name = new URL(database.url).pathname.slice(1);
  // When the server was started is what the test says.
  await other.query(`create schema told`);
  await other.query(`create table told.start (at timestamptz)`);
  await other.query(`insert into told.start values (now() - interval '1 day')`);
  await other.query(`create function told.pg_postmaster_start_time() returns timestamptz stable language sql as 'select at from told.start'`);
  await other.query(`alter database ${name} set search_path = told, public, pg_catalog`);
  processes = [1, 2, 3].map(() => openPostgres({ url: database.url, max: 8, onError: () => {} }));
  stores = processes.map((each) => createStore(each).refreshes);
  refreshes = stores[0] ?? never();
  await other.query(`insert into projects (id, name) values ('default', 'Default')`);
  await other.query(
    `insert into integrations (project_id, id, provider_id, method, client_id, scopes, callback, context, verification)
     values ('default', 'as', 'sandbox', 'web', 'client', '{}', 'shared', 'context', 'browser')`,
  );
});
afterAll(async () => {
  await other.end();
  await Promise.all(processes.map((each) => each.close()));
  await database.drop();
});
beforeEach(async () => {
  await other.query('delete from connections');
  await other.query('delete from events');
  await other.query(
    `insert into connections (id, project_id, integration_id, provider_id, method, end_user, end_user_id, status, requested_scopes, scopes,
       credential_sealed, token_version, issued_at, expires_at, refreshable, refresh_due_at, metadata, extras)
     select id, 'default', 'as', 'sandbox', 'web', '{"id": "u"}', 'u', 'active', '{}', '{}', 'sealed', 1, now(), now() + interval '1 hour', true,
       now() + interval '50 minutes', '{}', '{}' from unnest($1::text[]) as id`,
    [ids],
  );
});

function never(): never {
  throw new Error('It is not there.');
}
const row = async (id: string): Promise<ConnectionRecord> => (await refreshes.read(id))?.connection ?? never();
const set = (id: string | readonly string[], columns: string) => other.query(`update connections set ${columns} where id = any($1)`, [[id].flat()]);
const next = (change: Partial<StoredCredential> = {}): StoredCredential => ({
  credential_sealed: 'next',
  scopes: [],
  missing_scopes: ['write'],
  extras: {},
  refreshable: true,
  times: { ageMs: 0, lifetimeS: 3600, refreshLifetimeS: null, dueInS: 3300 },
  ...change,
});
const news = (id: string, type: NewEvent['type']): NewEvent => ({ project_id: 'default', integration_id: 'as', connection_id: id, type });
const commit = (claim: Claim, change: Partial<StoredCredential> = {}, by = refreshes) =>
  by.commit(claim, next(change), [news(claim.connection.id, 'connection.refreshed')], news(claim.connection.id, 'connection.recovered'));
const claimed = async (id: string): Promise<Claim> => (await refreshes.claim(await row(id), randomUUID())) ?? never();
const typesOf = async (id: string) =>
  (await other.query<{ type: string }>('select type from events where connection_id = $1 order by id', [id])).rows.map(({ type }) => type);
/** What is asked while a statement is under way goes together in the next. */
function together<T>(asked: readonly (() => Promise<T>)[]): Promise<PromiseSettledResult<T>[]> {
  return Promise.allSettled(asked.map((ask) => ask()));
}
const valuesOf = <T>(outcomes: readonly PromiseSettledResult<T>[]) =>
  outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });

describe('read', () => {
  test('gives everyone what he asked for, also those who ask for the same, or for what is not there', async () => {
    await set(third, `integration_id = 'gone'`);
    await set(ids[3] ?? '', `deleted_at = now()`);
    const asked = [first, second, first, 'con_none', third, ids[3] ?? '', second];
    const views = valuesOf(await together(asked.map((id) => () => refreshes.read(id))));
    expect(views.map((view) => view?.connection.id)).toEqual([first, second, first, undefined, third, undefined, second]);
    expect(views[0]?.integration).toMatchObject({ id: 'as', created_at: expect.any(Date) });
    expect(views[4]?.integration).toBeUndefined();
    expect(views[0]?.now).toBeInstanceOf(Date);
  });
});

describe('claim', () => {
  test('is given to one of all who ask, in one list and in several', async () => {
    const rows = await Promise.all(ids.slice(0, 10).map(row));
    const outcomes = valuesOf(await together(stores.flatMap((each) => [...rows, ...rows, ...rows].map((r) => () => each.claim(r, randomUUID())))));
    const winners = outcomes.filter((claim) => claim !== undefined);
    expect(winners.map(({ connection }) => connection.id).sort()).toEqual(rows.map(({ id }) => id));
    for (const { connection, lease, ambiguous } of winners) {
      expect(ambiguous).toBe(false);
      expect((await row(connection.id)).refresh_lease).toBe(lease);
    }
    const intents = await other.query('select connection_id, lease::text as lease, attempts, outcome from refresh_intents order by connection_id');
    const expected = winners.map(({ connection, lease }) => ({ connection_id: connection.id, lease, attempts: 1, outcome: 'sent' }));
    expect(intents.rows).toEqual(expected.sort((a, b) => (a.connection_id < b.connection_id ? -1 : 1)));
  });

  test('is refused for another version, after another failure, in another project, and to what has ended', async () => {
    const now = await row(first);
    for (const change of [{ token_version: 2 }, { failure_count: 1 }, { project_id: 'other' }]) {
      expect(await refreshes.claim({ ...now, ...change }, randomUUID())).toBeUndefined();
    }
    for (const columns of [`status = 'revoked'`, `status = 'reauthorization_required'`, `status = 'active', deleted_at = now()`]) {
      await set(first, columns);
      expect(await refreshes.claim(now, randomUUID())).toBeUndefined();
    }
  });

  test('passes over a row that another session has locked, and over no other', async () => {
    const rows = await Promise.all([first, second, third].map(row));
    await other.query('begin');
    await other.query('select 1 from connections where id = $1 for update', [second]);
    const outcomes = valuesOf(await together(rows.map((r) => () => refreshes.claim(r, randomUUID()))));
    await other.query('rollback');
    expect(outcomes.map((claim) => claim?.connection.id)).toEqual([first, undefined, third]);
  });

  test('one that cannot be understood is the failure of its own caller', async () => {
    const rows = await Promise.all([first, second, third].map(row));
    const outcomes = await together(rows.map((r, n) => () => refreshes.claim(r, n === 1 ? 'no uuid' : randomUUID())));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(valuesOf([outcomes[0] ?? never(), outcomes[2] ?? never()]).every((claim) => claim !== undefined)).toBe(true);
  });

  test('takes over a lease that has passed, as an attempt of which nobody knows; not right after a restart of Postgres', async () => {
    await claimed(first);
    const now = await row(first);
    expect(await refreshes.claim(now, randomUUID())).toBeUndefined();
    await set(first, `lease_until = now() - interval '1 second'`);
    await other.query(`update told.start set at = now() - interval '2 seconds'`);
    expect(await refreshes.claim(now, randomUUID())).toBeUndefined();
    // A connection that nobody was at is refreshed at once.
    expect(await refreshes.claim(await row(second), randomUUID())).toBeDefined();
    await other.query(`update told.start set at = now() - interval '1 day'`);
    expect(await refreshes.claim(now, randomUUID())).toMatchObject({ ambiguous: true });
    expect((await other.query('select attempts, ambiguous from refresh_intents where connection_id = $1', [first])).rows).toEqual([
      { attempts: 2, ambiguous: true },
    ]);
  });
});

describe('commit', () => {
  /** Several answers for one version, in one list and by several processes; how many were saved. */
  async function several(): Promise<number> {
    const claim = await claimed(first);
    const busy = await Promise.all([second, third, ids[3] ?? ''].map(claimed));
    // While these are under way, the others gather.
    const begun = busy.map((each, n) => commit(each, {}, stores[n]));
    const outcomes = valuesOf(
      await together(stores.flatMap((by) => ['a', 'b', 'c', 'd'].map((credential_sealed) => () => commit(claim, { credential_sealed }, by)))),
    );
    await Promise.all(begun);
    const saved = outcomes.filter((connection) => connection !== undefined);
    expect(await row(first)).toMatchObject({ credential_sealed: saved[0]?.credential_sealed, token_version: 2, refresh_count: 1, lease_until: null });
    return saved.length;
  }

  test('saves one of several answers for one version', async () => {
    expect(await several()).toBe(1);
  });

  test('tells of one of several answers for one version', async () => {
    await several();
    expect(await typesOf(first)).toEqual(['connection.refreshed']);
  });

  test('one that Postgres cannot take is the failure of its own caller', async () => {
    const claims = await Promise.all(ids.slice(0, 5).map(claimed));
    const outcomes = await together(claims.map((claim, n) => () => commit(claim, n === 2 ? { extras: { poison: 'a\u0000b' } } : {})));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    expect((await row(ids[2] ?? '')).token_version).toBe(1);
    for (const n of [0, 1, 3, 4]) expect(await row(ids[n] ?? '')).toMatchObject({ token_version: 2, credential_sealed: 'next' });
  });

  test('waits for a row that another session has locked, and keeps what that one wrote', async () => {
    const claim = await claimed(first);
    await other.query('begin');
    await other.query(`update connections set metadata = '{"patched": true}' where id = $1`, [first]);
    let done = false;
    const saving = commit(claim).finally(() => {
      done = true;
    });
    await sleep(300);
    expect(done).toBe(false);
    await other.query('commit');
    expect(await saving).toMatchObject({ token_version: 2, metadata: { patched: true } });
    expect(await row(first)).toMatchObject({ token_version: 2, metadata: { patched: true } });
  });

  test('loses against a reconnect that it had to wait for', async () => {
    const claim = await claimed(first);
    await other.query('begin');
    await other.query(`update connections set token_version = 2, credential_sealed = 'reconnected' where id = $1`, [first]);
    const saving = commit(claim);
    await sleep(200);
    await other.query('commit');
    expect(await saving).toBeUndefined();
    expect(await row(first)).toMatchObject({ token_version: 2, credential_sealed: 'reconnected' });
    expect(await typesOf(first)).toEqual([]);
  });

  test('tells of a recovery only what had failed', async () => {
    const [well, ill] = [await claimed(first), await claimed(second)];
    await set(second, `status = 'refresh_failing', failing_since = now()`);
    await Promise.all([commit(well), commit(ill)]);
    expect(await typesOf(first)).toEqual(['connection.refreshed']);
    expect(await typesOf(second)).toEqual(['connection.refreshed', 'connection.recovered']);
    expect(await row(second)).toMatchObject({ status: 'active', failing_since: null });
  });
});

describe('due', () => {
  /** The first has been due for longest. */
  const makeDue = (some: readonly string[]) =>
    other.query(
      `update connections c set refresh_due_at = now() - make_interval(secs => 1000 - q.n), queued_until = null
       from unnest($1::text[]) with ordinality as q (id, n) where c.id = q.id`,
      [some],
    );
  const taken = async (limit: number, holdS = 30) => (await refreshes.due(limit, holdS)).map(({ connection_id }) => connection_id).sort();

  test('hands each row to one of eight sweeps at once, and none that is not due', async () => {
    const some = ids.slice(0, 60);
    await makeDue(some);
    const rounds = await Promise.all(Array.from({ length: 8 }, (_, n) => (stores[n % 3] ?? never()).due(7, 30)));
    const handed = rounds.flat().map(({ connection_id }) => connection_id);
    expect(new Set(handed).size).toBe(handed.length);
    for (const id of handed) expect(some).toContain(id);
    const rest = await taken(100);
    expect([...handed, ...rest].sort()).toEqual(some);
    expect(await taken(100)).toEqual([]);
  });

  test('begins with what has been due for longest, and says which version is meant', async () => {
    await makeDue(ids.slice(0, 20));
    await set(first, 'token_version = 7');
    expect((await refreshes.due(3, 30)).sort((a, b) => (a.connection_id < b.connection_id ? -1 : 1))).toEqual([
      { connection_id: first, token_version: 7 },
      { connection_id: second, token_version: 1 },
      { connection_id: third, token_version: 1 },
    ]);
  });

  test('holds what it gave out, passes over what is locked, and gives out again what was not done', async () => {
    await makeDue([first, second]);
    await other.query('begin');
    await other.query('select 1 from connections where id = $1 for update', [first]);
    expect(await taken(10)).toEqual([second]);
    await other.query('rollback');
    expect(await taken(10)).toEqual([first]);
    expect(await taken(10)).toEqual([]);
    await set([first], `queued_until = now() - interval '1 second'`);
    expect(await taken(10)).toEqual([first]);
  });

  test('gives out nothing that has ended', async () => {
    await makeDue([first, second]);
    const claim = await claimed(first);
    const ended = { outcome: 'refused', status: 'reauthorization_required', reason: 'invalid_grant', retryInS: null } as const;
    expect(await refreshes.fail(claim, { ...ended, error: { code: 'invalid_grant', retryable: false } }, [])).toBe(true);
    await createStore(processes[0] ?? never()).connections.remove('default', second, 'nothing', []);
    expect(await taken(10)).toEqual([]);
    expect(await refreshes.counts()).toMatchObject({ due: 0 });
  });

  test('postpones what is meant: not another version, nor what somebody is at', async () => {
    await makeDue([first, second, third]);
    await claimed(second);
    await together([
      () => refreshes.postpone({ connection_id: first, token_version: 1 }, 60_000),
      () => refreshes.postpone({ connection_id: second, token_version: 1 }, 60_000),
      () => refreshes.postpone({ connection_id: third, token_version: 9 }, 60_000),
      () => refreshes.postpone({ connection_id: 'con_none', token_version: 1 }, 60_000),
    ]);
    expect(await taken(10)).toEqual([second, third]);
    // What has failed meanwhile is due when its failure says so.
    await set(third, `refresh_due_at = now() + interval '5 minutes', queued_until = null`);
    const before = await row(third);
    await refreshes.postpone({ connection_id: third, token_version: 1 }, 1_000);
    expect(await row(third)).toEqual(before);
  });

  const postpone = (id: string, ms = 60_000) => refreshes.postpone({ connection_id: id, token_version: 1 }, ms);
  const dueInS = async (id: string) => Math.round(((await row(id)).refresh_due_at?.getTime() ?? 0) / 1000 - Date.now() / 1000);

  test('begins with the others when what has been due for longest is put off', async () => {
    const some = ids.slice(0, 20);
    await makeDue(some);
    await Promise.all((await refreshes.due(10, 30)).map(({ connection_id }) => postpone(connection_id)));
    expect(await taken(5)).toEqual(some.slice(10, 15));
    await set(first, `refresh_due_at = now() - interval '1 second'`);
    expect(await taken(100)).toEqual([first, ...some.slice(15)]);
  });

  test('hands out what is put off when its pause is over, and remembers since when it waits', async () => {
    await makeDue([first]);
    const since = (await row(first)).refresh_due_at;
    await refreshes.due(1, 3_600);
    await postpone(first, 90_000);
    expect(await row(first)).toMatchObject({ put_off_since: since, queued_until: null });
    expect(Math.abs((await dueInS(first)) - 90)).toBeLessThan(10);
    await set(first, `refresh_due_at = now() - interval '1 second'`);
    expect(await taken(10)).toEqual([first]);
    await postpone(first, 300_000);
    expect((await row(first)).put_off_since).toEqual(since);
    expect(Math.abs((await dueInS(first)) - 300)).toBeLessThan(10);
  });

  test('what is put off waits no more once it is refreshed, has failed, is connected anew, stopped, or deleted', async () => {
    const failed = {
      outcome: 'failed',
      status: 'refresh_failing',
      reason: null,
      retryInS: 5,
      error: { code: 'no_answer', retryable: true },
    } as const;
    const { connections } = createStore(processes[0] ?? never());
    const ends: readonly ((id: string) => Promise<unknown>)[] = [
      async (id) => commit(await claimed(id)),
      async (id) => refreshes.fail(await claimed(id), failed, []),
      (id) =>
        connections.renew('default', id, 1, { ...next(), requested_scopes: [], inputs_sealed: null, account: null, method: 'web' }, undefined, []),
      (id) => connections.requireReauthorization('default', id, 'stopped', []),
      (id) => connections.remove('default', id, 'nothing', []),
    ];
    const some = ids.slice(0, ends.length);
    await makeDue(some);
    await Promise.all(some.map((id) => postpone(id)));
    expect((await refreshes.counts()).due).toBe(ends.length);
    for (const [n, end] of ends.entries()) {
      await end(some[n] ?? '');
      expect((await refreshes.counts()).due).toBe(ends.length - 1 - n);
    }
  });

  test('a row is handed out and claimed without touching an index', async () => {
    await makeDue([first]);
    // There has to be room on its page.
    await other.query('delete from connections where id <> $1', [first]);
    await other.query('vacuum connections');
    const counted = async () =>
      (
        await other.query<{ updated: number; hot: number }>(
          `select pg_stat_get_xact_tuples_updated(oid)::int as updated, pg_stat_get_xact_tuples_hot_updated(oid)::int as hot
           from pg_class where oid = 'connections'::regclass`,
        )
      ).rows[0] ?? never();
    await other.query('begin');
    const before = await counted();
    await other.query(dueText, [1, 30]);
    await other.query(claimText, [[first], ['default'], [1], [randomUUID()], [0]]);
    const after = await counted();
    await other.query('rollback');
    expect({ updated: after.updated - before.updated, hot: after.hot - before.hot }).toEqual({ updated: 2, hot: 2 });
  });

  test('gives out everything again when the queue was lost, and nothing before its time', async () => {
    await makeDue([first, second]);
    await refreshes.due(10, 60);
    await set(third, `queued_until = now() + interval '1 minute'`);
    const putOff = ids[3] ?? '';
    await makeDue([putOff]);
    await postpone(putOff);
    await refreshes.handOutAgain();
    expect(await taken(10)).toEqual([first, second]);
    expect((await row(third)).queued_until).not.toBeNull();
  });

  test('gives out again what nobody has locked, and waits for nobody', async () => {
    await makeDue([first, second]);
    await refreshes.due(10, 60);
    await other.query('begin');
    await other.query('select 1 from connections where id = $1 for update', [first]);
    const done = refreshes.handOutAgain().then(() => 'done');
    const outcome = await Promise.race([done, sleep(1_500, 'waits')]);
    await other.query('rollback');
    await done;
    expect(outcome).toBe('done');
  });

  test('is counted while it is in the queue, too', async () => {
    expect(await refreshes.counts()).toMatchObject({ due: 0, oldestOverdueS: 0 });
    await makeDue(ids.slice(0, 10));
    await set(ids[0] ?? '', `refresh_due_at = now() - interval '2 hours'`);
    const before = await refreshes.counts();
    expect(before.due).toBe(10);
    expect(Math.floor(before.oldestOverdueS / 3600)).toBe(2);
    await refreshes.due(4, 30);
    await postpone(first, 15_000);
    const after = await refreshes.counts();
    expect(after).toMatchObject({ due: 10, overdue: 10 });
    expect(Math.floor(after.oldestOverdueS / 3600)).toBe(2);
  });
});

test('two hundred calls of all kinds at once, by three processes: none waits for ever, none fails', async () => {
  await set(ids, `refresh_due_at = now() - interval '1 minute'`);
  const rows = await Promise.all(ids.map(row));
  const claims = await Promise.all(rows.slice(0, 50).map(({ id }) => claimed(id)));
  let seed = 7;
  const any = <T>(list: readonly T[]): T => {
    seed = (seed * 48_271) % 2_147_483_647;
    return list[seed % list.length] ?? never();
  };
  const calls = Array.from({ length: 200 }, (_, n) => {
    const by = any(stores);
    const [target, claim] = [any(rows), any(claims)];
    const due = { connection_id: target.id, token_version: 1 };
    const failure = {
      outcome: 'failed',
      status: 'refresh_failing',
      reason: null,
      retryInS: 5,
      error: { code: 'no_answer', retryable: true },
    } as const;
    const kinds: readonly (() => Promise<unknown>)[] = [
      () => by.claim(target, randomUUID()),
      () => by.claim(target, randomUUID()),
      () => commit(claim, {}, by),
      () => commit(claim, {}, by),
      () => by.postpone(due, 1_000),
      () => by.read(target.id),
      () => by.due(20, 1),
      () => by.fail(claim, failure, [news(claim.connection.id, 'connection.refresh_failing')]),
      () => by.counts(),
    ];
    return kinds[n % kinds.length] ?? never();
  });
  const outcomes = await together(calls);
  expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
  for (const { connection } of claims) expect((await row(connection.id)).token_version).toBeLessThanOrEqual(2);
});

describe('what must not be forgotten', () => {
  test('is on the disk when it is committed, also where the server says that it need not be: the intent, a refreshed token, a connection, a reconnect', async () => {
    await other.query(`
      create table told.commits (of text, safely text);
      create function told.note() returns trigger language plpgsql as
        $$ begin insert into told.commits values (tg_table_name, current_setting('synchronous_commit')); return null; end $$;
      create constraint trigger note after insert or update on connections deferrable initially deferred for each row execute function told.note();
      create constraint trigger note after insert or update on refresh_intents deferrable initially deferred for each row execute function told.note()`);
    try {
      const commits = async () => {
        const { rows } = await other.query<{ line: string }>(`delete from told.commits returning of || ' ' || safely as line`);
        return [...new Set(rows.map(({ line }) => line))].sort();
      };
      const { connections } = createStore(processes[0] ?? never());
      const claim = await claimed(first);
      expect(await commits()).toEqual(['connections on', 'refresh_intents on']);
      expect(await commit(claim)).toBeDefined();
      expect(await commits()).toEqual(['connections on', 'refresh_intents on']);
      const identity = { id: 'con_new', project_id: 'default', integration_id: 'as', provider_id: 'sandbox', method: 'web', end_user: { id: 'u' } };
      const rest = { requested_scopes: [], inputs_sealed: null, account: null };
      expect(await connections.insert({ ...identity, ...rest, metadata: {}, ...next() }, undefined, [])).toBeDefined();
      expect(await commits()).toEqual(['connections on']);
      expect(await connections.renew('default', 'con_new', 1, { ...rest, method: 'web', ...next() }, undefined, [])).toBeDefined();
      expect(await commits()).toEqual(['connections on']);
      // What the server says of all else.
      expect(await connections.setMetadata('default', 'con_new', {})).toBeDefined();
      expect(await commits()).toEqual(['connections off']);
    } finally {
      await other.query('drop trigger note on connections; drop trigger note on refresh_intents; drop table told.commits; drop function told.note()');
    }
  });
});
