import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createGrantryClient } from '../../src/client/client.ts';
import { generateKeyRing } from '../../src/outside/key-ring.ts';
import { migrateDatabase } from '../../src/outside/postgres/database.ts';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { packageRoot, startWholeSandbox } from '../harness/broker.ts';
import { type BrokerProcess, startBrokerProcess } from '../harness/broker-process.ts';
import { createTestDatabase, type TestDatabase } from '../harness/database.ts';
import { type Line, layLine } from '../harness/line.ts';
import { connect, expire, type Whole, withAuthorizationServer } from './connected.ts';

/**
 * A process that reaches the provider, and Postgres no longer, for longer than its lease. Nobody waits for the 45 s here: the lease is
 * moved into the past by hand once the line is cut.
 */

let database: TestDatabase;
let line: Line;
/** This one reaches Postgres past the line. */
let world: Whole;
let cutOff: BrokerProcess;
let dataDir: string;
let id: string;

beforeAll(async () => {
  database = await createTestDatabase({ migrate: (url) => migrateDatabase(url, join(packageRoot, 'drizzle')) });
  line = await layLine(database.url, 5432);
  dataDir = await mkdtemp(join(tmpdir(), 'grantry-partition-'));
  const keys = generateKeyRing();
  world = await startWholeSandbox({ database, env: { GRANTRY_KEYS: keys } });
  await withAuthorizationServer(world);
  const env = { DATABASE_URL: line.url, GRANTRY_KEYS: keys, GRANTRY_ROOT_KEY: world.broker.rootKey, GRANTRY_DATA_DIR: dataDir };
  cutOff = await startBrokerProcess(env);
});
afterAll(async () => {
  await cutOff.end('SIGKILL');
  await world.stop();
  await line.cut();
  await database.drop();
  await rm(dataDir, { recursive: true, force: true });
});
beforeEach(async () => {
  as().switches.fault = { kind: 'none' };
  as().switches.rotation = 'single_use';
  as().switches.accessTokenTtlS = 3600;
  id = await connect(world);
  await expire(world, id);
});

const as = () => world.sandbox.providers.authorizationServer;
/** A credential is given back with its refresh token and then its access token. */
const counted = () => ({ ok: as().counters.refresh_ok, reuse: as().counters.refresh_reuse, told: as().counters.revocations / 2 });
const row = () => world.broker.world.store.connections.get('default', id);
const spilled = async () => (await readdir(join(dataDir, 'spill')).catch(() => [])).filter((name) => name.endsWith('.json'));
const atCutOff = () => createGrantryClient({ baseUrl: cutOff.url, apiKey: world.broker.rootKey });
/** Its caller's token; what else came of it. */
const asked = () =>
  atCutOff()
    .getToken(id)
    .then(
      ({ access_token }) => access_token,
      (error: unknown) => error,
    );
const endLease = () =>
  world.sql(`update connections set lease_until = now() - interval '1 second' where id = $1 and lease_until is not null returning id`, [id]);
const works = async (token: unknown) => (await fetch(`${as().url}/api/me`, { headers: { authorization: `Bearer ${token}` } })).status;

/** It asks, and its line is cut when the provider has processed that and holds the answer back for a while. What its caller hears. */
async function cutWhileHeld(ms: number): Promise<{ late: Promise<unknown> }> {
  const cut = new Promise<void>((resolve) => {
    as().switches.fault = { kind: 'slow_answer', ms, times: 1, onHeld: () => void line.cut().then(resolve) };
  });
  const late = asked();
  await cut;
  expect(await endLease()).toHaveLength(1);
  return { late };
}

test('its request, of which nothing comes, changes nothing of what the other one has refreshed', { timeout: 60_000 }, async () => {
  const before = counted();
  // It is processed long after the end of this test: no provider that processes both could tell them from a theft.
  as().switches.fault = { kind: 'slow', ms: 300_000, times: 1 };
  const late = asked();
  await expect.poll(() => as().switches.fault.times, { timeout: 10_000 }).toBe(0);
  await line.cut();
  expect(await endLease()).toHaveLength(1);
  const winner = (await world.root.getToken(id)).access_token;
  await line.mend();
  // It gives its request up after 10 s.
  expect(await late).toBe(winner);
  expect(await row()).toMatchObject({ status: 'active', token_version: 2, failure_count: 0, last_error: null, lease_until: null });
  expect(counted()).toEqual({ ...before, ok: before.ok + 1 });
  expect((await atCutOff().getToken(id, { force: true })).access_token).not.toBe(winner);
  expect(counted()).toEqual({ ...before, ok: before.ok + 2 });
});

test('its late credential is not saved over the one of whoever was first, nor given back: it may be the same grant', {
  timeout: 60_000,
}, async () => {
  // Both may ask with the same refresh token here, and both get something.
  as().switches.rotation = 'none';
  const before = counted();
  const { late } = await cutWhileHeld(3_000);
  const winner = (await world.root.getToken(id)).access_token;
  const saved = await row();
  expect(saved).toMatchObject({ status: 'active', token_version: 2 });
  await expect.poll(spilled, { timeout: 15_000 }).toEqual([`${id}-1.json`]);
  await line.mend();
  expect(await late).toBe(winner);
  expect(await spilled()).toEqual([]);
  expect(await row()).toMatchObject({ token_version: 2, refresh_count: 1, credential_sealed: saved?.credential_sealed });
  expect(counted()).toEqual({ ...before, ok: before.ok + 2 });
  expect(await works(winner)).toBe(200);
  expect(await works((await atCutOff().getToken(id, { force: true })).access_token)).toBe(200);
});

test('its late credential does not undo what the end user has authorized anew, whose grant is another one', { timeout: 60_000 }, async () => {
  const before = counted();
  const { late } = await cutWhileHeld(3_000);
  const link = await world.root.createConnectLink({ integration: 'as', end_user: { id: 'u1' }, connection_id: id });
  await (await createBrowser().open(link.url)).submit();
  const winner = (await world.root.getToken(id)).access_token;
  await expect.poll(spilled, { timeout: 15_000 }).toEqual([`${id}-1.json`]);
  await line.mend();
  expect(await late).toBe(winner);
  expect(await spilled()).toEqual([]);
  expect(await row()).toMatchObject({ status: 'active', token_version: 2 });
  expect(counted()).toEqual({ ...before, ok: before.ok + 1 });
  expect(await works(winner)).toBe(200);
  expect(await works((await atCutOff().getToken(id, { force: true })).access_token)).toBe(200);
});

test('its late credential is given back when the connection was deleted meanwhile', { timeout: 60_000 }, async () => {
  const before = counted();
  const { late } = await cutWhileHeld(3_000);
  await world.root.call('DELETE', `/v1/connections/${id}`);
  expect(counted().told).toBe(before.told + 1);
  await expect.poll(spilled, { timeout: 15_000 }).toEqual([`${id}-1.json`]);
  await line.mend();
  expect(await late).toMatchObject({ status: 404 });
  await expect.poll(() => counted().told).toBe(before.told + 2);
  await expect.poll(() => world.sql('select 1 from revocations')).toEqual([]);
  expect(await spilled()).toEqual([]);
});
