import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { turnKeys } from '../../src/broker/rotate-keys.ts';
import type { World } from '../../src/broker/world.ts';
import { startJobs } from '../../src/jobs/start.ts';
import { generateKeyRing } from '../../src/outside/key-ring.ts';
import { problemOf, startWholeSandbox } from '../harness/broker.ts';
import { fieldsByKey, quick, settleMs, stateOf, turnAll } from '../rotation/broker.ts';
import { fillConnections } from '../rotation/fill.ts';
import { connect, type Whole, withAuthorizationServer } from './connected.ts';

const count = 1_500;
/** For a machine that is busy. */
const patience = { timeout: 90_000, interval: 20 };

let broker: Whole;
let world: World;
let keys: string;
let pool: pg.Pool;
let ids: string[];
const rotate = () => broker.root.call<{ id: string; phase: string }>('POST', '/v1/encryption/rotate');
const currentKey = async () =>
  (await stateOf(broker)).data_keys.keys.find(({ state, project }) => state === 'current' && project === 'default')?.id ?? '';
const sealedOf = async (id: string) =>
  (await broker.sql<{ credential_sealed: string }>('select credential_sealed from connections where id = $1', [id]))[0]?.credential_sealed ?? '';

beforeAll(async () => {
  keys = generateKeyRing();
  broker = await startWholeSandbox({ env: { GRANTRY_KEYS: keys }, adapt: quick(keys) });
  world = broker.broker.world;
  await withAuthorizationServer(broker);
  broker.sandbox.providers.authorizationServer.switches.accessTokenTtlS = 3_600;
  const acme = {
    id: 'acme',
    name: 'Acme',
    api: { base_url: 'http://127.0.0.1:9/' },
    methods: { key: { grant: 'api_key', inputs: { api_key: { label: 'Key', secret: true } } } },
  };
  await broker.root.call('PUT', '/v1/providers/acme', { body: acme });
  await broker.root.call('POST', '/v1/integrations', { body: { id: 'acme', provider: 'acme' } });
  const body = { integration: 'acme', end_user: { id: 'u' }, grant: 'api_key', inputs: { api_key: 's3cret' } };
  const { id } = await broker.root.call<{ id: string }>('POST', '/v1/connections', { body });
  pool = new pg.Pool({ connectionString: broker.database.url, max: 4 });
  pool.on('error', () => {});
  ids = await fillConnections(pool, world.seal, id, count);
});
afterAll(async () => {
  await pool?.end();
  await broker?.stop();
});

test('rows are sealed anew while they are read and refreshed: no read fails, nothing is left with the old key, which is destroyed', async () => {
  const refreshing = await Promise.all(['a', 'b', 'c'].map((user) => connect(broker, 'as', user)));
  const old = await currentKey();
  expect((await fieldsByKey(broker))[old]).toBeGreaterThan(count);
  const failed: unknown[] = [];
  let [over, reads, refreshes] = [false, 0, 0];
  const reader = async (offset: number) => {
    for (let n = offset; !over; n += 7) {
      const read = broker.root.getToken(ids[n % count] ?? '');
      await read.then(({ access_token }) => access_token === 's3cret' || failed.push(access_token), failed.push.bind(failed));
      reads += 1;
    }
  };
  const refresher = async () => {
    for (let n = 0; !over; n += 1) {
      await broker.root.getToken(refreshing[n % refreshing.length] ?? '', { force: true }).catch(failed.push.bind(failed));
      refreshes += 1;
    }
  };
  const load = Promise.all([reader(0), reader(500), reader(1_000), refresher()]);
  const begun = await rotate();
  expect(begun).toMatchObject({ phase: 'keys' });
  expect(await rotate()).toMatchObject({ id: begun.id });
  await turnAll(world, { rowsPerS: 3_000 });
  over = true;
  await load;
  expect(failed).toEqual([]);
  expect([reads > 50, refreshes > 3]).toEqual([true, true]);
  const state = await stateOf(broker);
  expect(state).toMatchObject({
    damaged: { count: 0 },
    rotation: { phase: 'done', problem: null, keys_destroyed: 1 },
    data_keys: { current: 1, retired: 0 },
  });
  expect(state.rotation?.done).toBe(state.rotation?.total);
  expect(Object.keys(await fieldsByKey(broker))).toEqual([await currentKey()]);
  expect(await broker.sql('select 1 from data_keys where kid = $1', [old])).toEqual([]);
  for (const id of refreshing) expect((await broker.root.getToken(id, { force: true })).access_token).toEqual(expect.any(String));
});

test('a worker that is killed in the middle is followed by another one that goes on where it was', async () => {
  const old = await currentKey();
  await rotate();
  const turner: ChildProcess = spawn(process.execPath, ['--import', 'tsx', fileURLToPath(new URL('../rotation/turner.ts', import.meta.url))], {
    env: { PATH: process.env.PATH ?? '', DATABASE_URL: broker.database.url, GRANTRY_KEYS: keys, ROWS_PER_S: '400' },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const exited = once(turner, 'exit');
  const progress = async () => (await world.store.rotations.latest())?.walk.connections;
  try {
    await vi.waitFor(async () => expect((await progress())?.done).toBeGreaterThan(0), patience);
  } finally {
    turner.kill('SIGKILL');
  }
  expect((await exited)[1]).toBe('SIGKILL');
  const killedAt = await progress();
  expect(killedAt?.done).toBeLessThan(count);
  expect((await fieldsByKey(broker))[old]).toBeGreaterThan(0);
  // Until the lease of the dead one has passed, nobody else begins.
  const asked: unknown[] = [];
  const { sealedRows } = world.store;
  const heads: typeof sealedRows.heads = (table, after, limit) => {
    asked.push(after);
    return sealedRows.heads(table, after, limit);
  };
  const watching: World = { ...world, store: { ...world.store, sealedRows: { ...sealedRows, heads } } };
  await broker.sql(`update key_rotations set lease_until = now() + interval '1 minute' where finished_at is null`);
  await turnKeys(watching, { ms: 1_000, rowsPerS: 100_000, graceS: 0 });
  expect(asked).toEqual([]);
  await broker.sql('update key_rotations set lease_until = now() where finished_at is null');
  await turnAll(watching);
  expect(asked[0]).toEqual(killedAt?.after);
  expect(Object.keys(await fieldsByKey(broker))).toEqual([await currentKey()]);
  expect(await broker.root.getToken(ids[0] ?? '')).toMatchObject({ access_token: 's3cret' });
});

test('a refresh in the very moment of its sealing wins', async () => {
  const id = await connect(broker, 'as', 'racing');
  const before = await broker.root.getToken(id);
  let refreshed: string | undefined;
  const { sealedRows } = world.store;
  const replace: typeof sealedRows.replace = async (table, changes) => {
    const isNow = refreshed === undefined && changes.some(({ key }) => key[0] === id);
    if (isNow) refreshed = (await broker.root.getToken(id, { force: true })).access_token;
    return sealedRows.replace(table, changes);
  };
  const racing: World = { ...world, store: { ...world.store, sealedRows: { ...sealedRows, replace } } };
  await rotate();
  await turnAll(racing);
  expect(refreshed).toEqual(expect.any(String));
  expect(refreshed).not.toBe(before.access_token);
  expect(await broker.root.getToken(id)).toMatchObject({ access_token: refreshed });
  expect((await stateOf(broker)).rotation).toMatchObject({ phase: 'done', keys_destroyed: 1 });
  expect((await broker.root.getToken(id, { force: true })).access_token).not.toBe(refreshed);
});

test('a damaged row is named and holds up nothing; its key is kept for it until it is mended', async () => {
  const [id = '', other = ''] = ids;
  const [sound, old] = [await sealedOf(id), await currentKey()];
  await broker.sql(
    'update connections set credential_sealed = overlay(credential_sealed placing $2 from length(credential_sealed) - 9 for 4) where id = $1',
    [id, 'AAAA'],
  );
  await rotate();
  await turnAll(world);
  const state = await stateOf(broker);
  expect(state).toMatchObject({
    damaged: { count: 1, fields: [{ project: 'default', table: 'connections', row: id, field: 'credential' }] },
    rotation: { phase: 'done', keys_destroyed: 0 },
    data_keys: { current: 1, retired: 1 },
  });
  expect((await fieldsByKey(broker))[old]).toBe(1);
  const problem = await problemOf(broker.root.getToken(id));
  expect(problem).toMatchObject({ status: 500, code: 'integrity_error', message: expect.stringContaining(id) });
  expect(JSON.stringify(problem.problem)).not.toContain('s3cret');
  expect(await broker.root.getToken(other)).toMatchObject({ access_token: 's3cret' });
  // Put right, it opens with the old key, which is still there; the next rotation takes both along.
  await broker.sql('update connections set credential_sealed = $2 where id = $1', [id, sound]);
  expect(await broker.root.getToken(id)).toMatchObject({ access_token: 's3cret' });
  await rotate();
  await turnAll(world);
  expect(await stateOf(broker)).toMatchObject({ damaged: { count: 0 }, data_keys: { current: 1, retired: 0 }, rotation: { keys_destroyed: 2 } });
});

test('what comes late, sealed with a retired key, is found before that is destroyed', async () => {
  const [id = ''] = ids;
  await rotate();
  const late = await sealedOf(id);
  await turnAll(world, { graceS: 3_600 });
  expect(await stateOf(broker)).toMatchObject({ data_keys: { retired: 1 }, rotation: { keys_destroyed: 0 } });
  // Nothing is destroyed, nor looked for, before its time.
  await turnKeys(world, { ms: 2_000, rowsPerS: 100_000, graceS: 3_600 });
  expect(await broker.sql(`select 1 from key_rotations where kind = 'clear'`)).toEqual([]);
  await broker.sql('update connections set credential_sealed = $2 where id = $1', [id, late]);
  await broker.sql(`update data_keys set retired_at = now() - interval '2 hours' where retired_at is not null`);
  await turnKeys(world, { ms: 20_000, rowsPerS: 100_000, graceS: 3_600 });
  expect(await broker.sql(`select phase, destroyed from key_rotations where kind = 'clear'`)).toEqual([{ phase: 'done', destroyed: 1 }]);
  expect(await broker.root.getToken(id)).toMatchObject({ access_token: 's3cret' });
  expect(Object.keys(await fieldsByKey(broker))).toEqual([await currentKey()]);
});

test('is for the root key alone, and is done by the jobs', async () => {
  const admin = await broker.clientWith(['admin']);
  expect(await problemOf(admin.call('POST', '/v1/encryption/rotate'))).toMatchObject({ status: 403, code: 'forbidden' });
  expect(await problemOf(admin.call('GET', '/v1/encryption'))).toMatchObject({ status: 403, code: 'forbidden' });
  const jobs = await startJobs({
    world,
    databaseUrl: broker.database.url,
    redisUrl: undefined,
    sweepEveryMs: 500,
    rotation: { rowsPerS: 5_000, graceS: 0 },
  });
  try {
    await rotate();
    await vi.waitFor(async () => expect((await stateOf(broker)).rotation).toMatchObject({ phase: 'done', keys_destroyed: 1 }), patience);
  } finally {
    await jobs.stop();
  }
});

test('old keys are never destroyed before every process has turned to the new ones, whatever grace is asked for', async () => {
  const slow: World = { ...world, keys: { ...world.keys, settleMs: 1_000 } };
  await rotate();
  await turnKeys(slow, { ms: settleMs, rowsPerS: 100_000, graceS: 0 });
  expect(await stateOf(broker)).toMatchObject({ rotation: { phase: 'settling' }, data_keys: { retired: 1 } });
  await turnAll(slow);
  expect(await stateOf(broker)).toMatchObject({ rotation: { phase: 'done' }, data_keys: { retired: 0 } });
});
