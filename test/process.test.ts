import { join } from 'node:path';
import pg from 'pg';
import { expect, test, vi } from 'vitest';
import { migrateDatabase } from '../src/outside/postgres/database.ts';
import { packageRoot, startTestBroker } from './harness/broker.ts';
import { createTestDatabase } from './harness/database.ts';

const patience = { timeout: 8_000, interval: 50 };

test('a process that stops takes no more requests while its last job ends', async () => {
  const database = await createTestDatabase({ migrate: (url) => migrateDatabase(url, join(packageRoot, 'drizzle')) });
  const blocker = new pg.Client(database.url);
  await blocker.connect();
  await blocker.query('begin');
  await blocker.query('lock table connect_links in access exclusive mode');
  const { url, stop } = await startTestBroker({ database, env: { GRANTRY_ROLE: 'all' } });
  const waitingJobs = async () => (await blocker.query(`select 1 from pg_locks where relation = 'connect_links'::regclass and not granted`)).rowCount;
  await vi.waitFor(async () => expect(await waitingJobs()).toBe(1), patience);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);

  const stopped = stop();
  await vi.waitFor(() => expect(fetch(`${url}/healthz`)).rejects.toThrow(), patience);
  expect(await waitingJobs()).toBe(1);
  await blocker.query('rollback');
  await stopped;
  await blocker.end();
  await database.drop();
}, 20_000);
