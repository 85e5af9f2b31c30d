import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import { migrateDatabase } from '../src/outside/postgres/database.ts';
import { createBrowser } from '../src/sandbox/browser.ts';
import { startSandbox } from '../src/sandbox/sandbox.ts';
import { packageRoot, startTestBroker, type TestBroker } from './harness/broker.ts';
import { createTestDatabase, type TestDatabase } from './harness/database.ts';
import { testRedisUrl } from './harness/redis.ts';

/** The roles of Postgres and the user of Redis are those that docs/hardening.md tells operators to make: the broker does its work with them, and no more. */

const text = readFileSync(`${packageRoot}/docs/hardening.md`, 'utf8');
const blockOf = (words: RegExp) =>
  [...text.matchAll(/```[a-z]*\n([\s\S]*?)```/g)].map(([, block]) => block ?? '').find((block) => words.test(block)) ?? '';
const roles = blockOf(/create role/);
const acl = blockOf(/ACL SETUSER/);

let database: TestDatabase;
let broker: TestBroker;
let redis: Redis;
let sandbox: Awaited<ReturnType<typeof startSandbox>>;
const undo: (() => Promise<unknown>)[] = [];

function as(url: string, user: string, password: string): string {
  const other = new URL(url);
  other.username = user;
  other.password = password;
  return other.href;
}

async function run(url: string, sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return await client.query(sql);
  } finally {
    await client.end();
  }
}

beforeAll(async () => {
  database = await createTestDatabase();
  const name = new URL(database.url).pathname.slice(1);
  undo.push(async () => {
    await database.drop();
    await run(inject('postgresUrl'), 'drop role if exists grantry_app; drop role if exists grantry_owner');
  });
  await run(database.superuserUrl, roles);
  await run(database.superuserUrl, `grant create on database ${name} to grantry_owner`);
  await migrateDatabase(as(database.url, 'grantry_owner', 'change-me-1'), `${packageRoot}/drizzle`);

  redis = new Redis(testRedisUrl(), { db: 4 });
  undo.push(async () => {
    await redis.call('acl', 'deluser', 'grantry');
    await redis.flushdb();
    redis.disconnect();
  });
  const [command = '', ...rule] = acl.trim().split(/\s+/);
  await redis.call(command, ...rule);
  const queue = new URL(as(testRedisUrl(), 'grantry', 'change-me'));
  queue.pathname = '/4';
  const app = { ...database, url: as(database.url, 'grantry_app', 'change-me-2') };
  broker = await startTestBroker({ database: app, env: { GRANTRY_ROLE: 'all', REDIS_URL: queue.href } });
  undo.push(broker.stop);
  sandbox = await startSandbox({ publicUrl: broker.url });
  undo.push(sandbox.stop);
});
afterAll(async () => {
  for (const step of undo.reverse()) await step();
});

test('the broker connects, hands out, refreshes by itself and deletes', async () => {
  const { root, sql } = broker;
  const as = sandbox.providers.authorizationServer;
  await root.call('PUT', '/v1/providers/sandbox-as', { body: as.definition });
  const { redirect_uri } = await root.call<{ redirect_uri: string }>('POST', '/v1/integrations', {
    body: { id: 'as', provider: 'sandbox-as', ...as.client },
  });
  as.registerRedirectUri(redirect_uri);
  const link = await root.createConnectLink({ integration: 'as', end_user: { id: 'ada' } });
  const consent = await (await createBrowser().open(link.url)).submit();
  await consent.submit({ user: 'ada' }, 'Approve');
  const { connection_id } = await root.getConnectLink(link.id);
  const id = connection_id ?? '';
  await root.getToken(id, { force: true });
  const version = async () =>
    (await sql<{ version: number }>('select token_version as version from connections where id = $1', [id]))[0]?.version ?? 0;
  const before = await version();
  await sql(`update connections set refresh_due_at = now() - interval '1 second' where id = $1`, [id]);
  await vi.waitFor(async () => expect(await version()).toBeGreaterThan(before), { timeout: 60_000, interval: 200 });
  await root.call('DELETE', `/v1/connections/${id}`);
  await vi.waitFor(() => expect(as.counters.revocations).toBeGreaterThan(0), { timeout: 60_000 });
  expect(await redis.keys('grantry-limit:*')).not.toEqual([]);
  expect(broker.logged.filter((line) => /"level":"(error|warn)"/.test(line))).toEqual([]);
});

test.each([
  'create table mine (x int)',
  'drop table connections',
  'alter table connections disable trigger all',
  'truncate connections',
  'create schema mine',
  'create role mine',
  'select * from pg_authid',
  "select pg_read_file('/etc/passwd')",
  "copy connections to program 'cat'",
])('the role that runs may not: %s', async (sql) => {
  const refused = await run(as(database.url, 'grantry_app', 'change-me-2'), sql).then(
    () => 'done',
    (error: { code?: string }) => error.code,
  );
  expect(refused).toBe('42501');
});

/** Asked and not run: a rule that lets one through must not cost the other tests their Redis. */
test.each([
  'flushall',
  'flushdb',
  'config get *',
  'keys *',
  'acl list',
  'debug sleep 0',
  'shutdown',
  'replicaof no one',
  'client list',
  'get other',
  'set other x',
  'del other',
])('the user of Redis may not: %s', async (command) => {
  expect(await redis.call('acl', 'dryrun', 'grantry', ...command.split(' '))).not.toBe('OK');
});

test('nor may its scripts', async () => {
  const user = new Redis(as(testRedisUrl(), 'grantry', 'change-me'), { maxRetriesPerRequest: 1 });
  const answer = await user.eval("return redis.call('get', 'other')", 0).catch((error: Error) => error.message);
  user.disconnect();
  expect(answer).toMatch(/can't access at least one of the keys/);
});
