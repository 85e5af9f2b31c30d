import { afterAll, beforeAll, expect, test } from 'vitest';
import { guarded, isPostgresAway } from '../../../src/outside/postgres/away.ts';
import { migrateDatabase, openPostgres } from '../../../src/outside/postgres/database.ts';
import { createStore } from '../../../src/outside/postgres/store.ts';
import { packageRoot, startTestBroker, type TestBroker } from '../../harness/broker.ts';
import { createTestDatabase, type TestDatabase } from '../../harness/database.ts';
import { type Line, layLine } from '../../harness/line.ts';
import { ask, refusalOf } from '../../web/api/ask.ts';

let database: TestDatabase;
let line: Line;
let broker: TestBroker;

beforeAll(async () => {
  database = await createTestDatabase({ migrate: (url) => migrateDatabase(url, `${packageRoot}/drizzle`) });
  line = await layLine(database.url, 5432);
  broker = await startTestBroker({ database, env: { DATABASE_URL: line.url } });
});
afterAll(async () => {
  await broker.stop();
  await line.cut();
  await database.drop();
});

test('callers hear 503 while Postgres is away, and are served when it is back', async () => {
  const { key } = await broker.clientWith(['admin']);
  const paths = ['/v1/providers', '/v1/connections', '/v1/connections/con_x', '/v1/connections/con_x/token'];
  expect((await ask(broker.url, { path: '/readyz' })).status).toBe(200);
  await line.cut();
  for (const path of paths) {
    for (const asker of [key, broker.broker.rootKey]) {
      const answer = refusalOf(await ask(broker.url, { path, key: asker }));
      expect(answer).toMatchObject({ status: 503, code: 'unavailable', detail: 'The database does not answer.' });
      expect(answer.retryAfterS).toBeGreaterThan(0);
    }
  }
  expect((await ask(broker.url, { path: '/readyz' })).status).toBe(503);
  expect((await ask(broker.url, { path: '/healthz' })).status).toBe(200);
  expect((await ask(broker.url, { path: paths[0] ?? '', key: 'nobody' })).status).toBe(401);
  await line.mend();
  await expect.poll(async () => (await ask(broker.url, { path: '/readyz' })).status).toBe(200);
  expect((await ask(broker.url, { path: '/v1/providers', key })).status).toBe(200);
});

test('a statement that gets no answer is given up, and its connection with it', async () => {
  const real = openPostgres({ url: database.url, max: 1, silenceMs: 300, onError: () => undefined });
  const slow = guarded({ sleep: () => real.pool.query('select pg_sleep(2)') });
  await expect(slow.sleep()).rejects.toMatchObject({ code: 'unavailable' });
  await expect(createStore(real).ping()).resolves.toBeUndefined();
  await real.close();
});

test('only what is of the connection counts as away', () => {
  const wrapped = new Error('Failed query', { cause: Object.assign(new Error('x'), { code: '57P01' }) });
  expect(isPostgresAway(wrapped)).toBe(true);
  for (const code of ['23505', '22P02', '42P01', '22021']) expect(isPostgresAway(Object.assign(new Error('x'), { code }))).toBe(false);
  expect(isPostgresAway(new Error('anything'))).toBe(false);
  expect(isPostgresAway('ECONNREFUSED')).toBe(false);
});
