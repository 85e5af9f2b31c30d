import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { createLog } from '../../src/outside/log.ts';
import { createWakeups } from '../../src/outside/wakeups.ts';
import { createTestDatabase, type TestDatabase } from '../harness/database.ts';
import { layLine } from '../harness/line.ts';

/** Longer than any test may run: who waits this long is woken by a notification, or the test fails. */
const forEverMs = 300_000;

let database: TestDatabase;
let sql: pg.Client;
const logged: string[] = [];
const log = createLog('info', { write: (line) => logged.push(line) });

beforeAll(async () => {
  database = await createTestDatabase();
  sql = new pg.Client(database.url);
  await sql.connect();
});
afterAll(async () => {
  await sql.end();
  await database.drop();
});
afterEach(() => {
  logged.length = 0;
});

async function wakeupsAt(databaseUrl: string) {
  const wakeups = await createWakeups({ databaseUrl, log });
  onTestFinished(() => wakeups.close());
  return wakeups;
}

const notify = (id: string) => sql.query('select pg_notify($1, $2)', ['grantry_refresh', id]);

/** The backends that listen, by their process numbers. */
async function listeners(): Promise<number[]> {
  const { rows } = await sql.query<{ pid: number }>(
    `select pid from pg_stat_activity where application_name = 'grantry-wakeups' and datname = current_database() and state = 'idle' and query like 'listen %'`,
  );
  return rows.map(({ pid }) => pid);
}

test('a notification wakes everybody who waits for this connection, and nobody else', async () => {
  const wakeups = await wakeupsAt(database.url);
  let isWoken = false;
  void wakeups.wait('con_other', forEverMs).then(() => {
    isWoken = true;
  });
  const mine = [wakeups.wait('con_mine', forEverMs), wakeups.wait('con_mine', forEverMs)];
  await notify('con_mine');
  await Promise.all(mine);
  expect(isWoken).toBe(false);
  await notify('con_other');
  await vi.waitFor(() => expect(isWoken).toBe(true));
});

test('a wait ends after its timeout', async () => {
  const wakeups = await wakeupsAt(database.url);
  await wakeups.wait('con_silent', 20);
});

test('a connection that Postgres ends is replaced by one that listens', async () => {
  const wakeups = await wakeupsAt(database.url);
  const [first] = await listeners();
  await sql.query('select pg_terminate_backend($1)', [first]);
  await vi.waitFor(async () => expect(await listeners()).toEqual([expect.not.toSatisfy((pid) => pid === first)]), { timeout: 10_000 });
  const woken = wakeups.wait('con_after', forEverMs);
  await notify('con_after');
  await woken;
  await vi.waitFor(() => expect(logged.join('')).toMatch(/broke.*is back/s));
});

test('a Postgres that is away at first is listened to when it comes; meanwhile timeouts wake', async () => {
  const line = await layLine(database.url, 5432);
  onTestFinished(() => line.cut());
  await line.cut();
  const wakeups = await wakeupsAt(line.url);
  await wakeups.wait('con_late', 20);
  await line.mend();
  await vi.waitFor(async () => expect(await listeners()).toHaveLength(1), { timeout: 10_000 });
  const woken = wakeups.wait('con_late', forEverMs);
  await notify('con_late');
  await woken;
});

test('it comes back after every one of several losses', async () => {
  const line = await layLine(database.url, 5432);
  onTestFinished(() => line.cut());
  const wakeups = await wakeupsAt(line.url);
  for (let time = 0; time < 3; time += 1) {
    const before = await listeners();
    await line.cut();
    await line.mend();
    await vi.waitFor(
      async () => {
        const now = await listeners();
        expect(now.filter((pid) => !before.includes(pid))).toHaveLength(1);
      },
      { timeout: 10_000 },
    );
    const woken = wakeups.wait('con_again', forEverMs);
    await notify('con_again');
    await woken;
  }
  await vi.waitFor(() => expect(logged.map((line) => JSON.parse(line).level)).toEqual(['warn', 'info', 'warn', 'info', 'warn', 'info']));
});

test('thousands of waits leave no timer behind', async () => {
  const wakeups = await wakeupsAt(database.url);
  const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
  const before = timers();
  const waits = Array.from({ length: 2_000 }, (_, n) => wakeups.wait(`con_${n % 20}`, forEverMs));
  expect(timers()).toBeGreaterThanOrEqual(before + 2_000);
  for (let n = 0; n < 20; n += 1) await notify(`con_${n}`);
  await Promise.all(waits);
  expect(timers()).toBeLessThan(before + 100);
});

test('closing wakes who waits, ends the connection and makes no new one', async () => {
  const wakeups = await createWakeups({ databaseUrl: database.url, log });
  const woken = wakeups.wait('con_end', forEverMs);
  await wakeups.close();
  await woken;
  await vi.waitFor(async () => expect(await listeners()).toEqual([]));
  expect(logged).toEqual([]);
});

test('closing while Postgres is away ends the attempts', async () => {
  const line = await layLine(database.url, 5432);
  onTestFinished(() => line.cut());
  await line.cut();
  const wakeups = await createWakeups({ databaseUrl: line.url, log });
  await wakeups.close();
  await line.mend();
  // The next attempt would have come after 200 ms.
  await sleep(500);
  expect(await listeners()).toEqual([]);
});
