import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { configurationAdvice, readConfig } from '../../src/config.ts';
import { diagnoseRedis } from '../../src/jobs/diagnosis.ts';
import { diagnoseKeys, diagnosePostgres } from '../../src/outside/diagnosis.ts';
import { generateKeyRing, parseKeyRing } from '../../src/outside/key-ring.ts';
import { startTestBroker, type TestBroker } from '../harness/broker.ts';

/** What a broker says of what it stands on, when that is not well. */

let broker: TestBroker;
beforeAll(async () => {
  broker = await startTestBroker();
});
afterAll(() => broker?.stop());

const now = () => new Date();
/** The server of the tests forgets what it has just saved when it crashes. */
const forgetsNothing = { options: '-c synchronous_commit=on' };

test('a Postgres that is away, and one whose clock differs', async () => {
  const away = new pg.Pool({ connectionString: 'postgres://nobody@127.0.0.1:1/nothing', connectionTimeoutMillis: 500 });
  expect(await diagnosePostgres(away, now, false)).toMatchObject({
    check: 'database',
    outcome: 'failed',
    advice: expect.stringContaining('DATABASE_URL'),
  });
  await away.end();
  const pool = new pg.Pool({ connectionString: broker.database.url, max: 1, ...forgetsNothing });
  expect(await diagnosePostgres(pool, now, false)).toMatchObject({ outcome: 'ok' });
  expect(await diagnosePostgres(pool, () => new Date(Date.now() + 60_000), false)).toMatchObject({
    outcome: 'warning',
    what: expect.stringMatching(/ 60 s apart/),
  });
  await pool.end();
});

test('a server that says too early that something is saved', async () => {
  const pool = new pg.Pool({ connectionString: broker.database.url, max: 1, options: '-c synchronous_commit=off' });
  expect(await diagnosePostgres(pool, now, false)).toMatchObject({ outcome: 'warning', what: expect.stringContaining('synchronous_commit') });
  await pool.end();
});

test('a role for which row-level security does not hold', async () => {
  const superuser = new pg.Pool({ connectionString: inject('postgresUrl'), max: 1, ...forgetsNothing });
  expect(await diagnosePostgres(superuser, now, false)).toMatchObject({ outcome: 'warning', advice: expect.stringContaining('no superuser') });
  expect(await diagnosePostgres(superuser, now, true)).toMatchObject({ outcome: 'warning', advice: expect.stringContaining('data directory') });
  await superuser.end();
});

test('a Redis that is away', async () => {
  expect(await diagnoseRedis('redis://127.0.0.1:1')).toMatchObject({ check: 'redis', outcome: 'failed' });
  expect(await diagnoseRedis(undefined)).toMatchObject({ outcome: 'ok' });
});

test('keys that this database was not sealed with', async () => {
  const { dataKeys } = broker.broker.world.store;
  expect(await diagnoseKeys(parseKeyRing(generateKeyRing()), dataKeys, false)).toMatchObject({ check: 'keys', outcome: 'failed' });
  const away = { canary: () => Promise.reject(new Error('away')), setCanary: () => Promise.reject(new Error('away')) };
  expect(await diagnoseKeys(parseKeyRing(generateKeyRing()), away, false)).toMatchObject({ outcome: 'warning' });
});

test('a configuration that is not for production, or not quite', () => {
  const production = {
    NODE_ENV: 'production',
    DATABASE_URL: 'postgres://a@b/c',
    GRANTRY_KEYS: generateKeyRing(),
    GRANTRY_ROOT_KEY: 'r'.repeat(40),
    PUBLIC_URL: 'https://connect.example.com',
  };
  expect(configurationAdvice(readConfig({}))?.advice).toContain('NODE_ENV=production');
  expect(configurationAdvice(readConfig(production))?.advice).toContain('TRUST_PROXY');
  expect(configurationAdvice(readConfig({ ...production, TRUST_PROXY: '1' }))).toBeUndefined();
});
