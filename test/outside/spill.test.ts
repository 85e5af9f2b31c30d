import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { keepHouse } from '../../src/broker/housekeeping.ts';
import { refreshConnection } from '../../src/broker/refresh.ts';
import { saveSpilled } from '../../src/broker/refresh-outcome.ts';
import type { Spilled } from '../../src/broker/spill.ts';
import { generateKeyRing } from '../../src/outside/key-ring.ts';
import { createLog } from '../../src/outside/log.ts';
import { migrateDatabase } from '../../src/outside/postgres/database.ts';
import { createSpill } from '../../src/outside/spill.ts';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { connect, expire, type Whole, withAuthorizationServer } from '../broker/connected.ts';
import { packageRoot, problemOf, startWholeSandbox } from '../harness/broker.ts';
import { startBrokerProcess } from '../harness/broker-process.ts';
import { createTestDatabase, type TestDatabase } from '../harness/database.ts';
import { type Line, layLine } from '../harness/line.ts';

let base: string;
let dir: string;
const logged: string[] = [];
const log = createLog('debug', { write: (line) => logged.push(line) });

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'grantry-spill-'));
});
afterAll(() => rm(base, { recursive: true, force: true }));
beforeEach(() => {
  dir = join(base, randomUUID(), 'spill');
  logged.length = 0;
});

const record = (change: Partial<Spilled> = {}): Spilled => ({
  project_id: 'default',
  integration_id: 'as',
  method: 'web',
  inputs_sealed: null,
  connection_id: 'con_1',
  token_version: 3,
  lease: randomUUID(),
  stored: {
    credential_sealed: 'sealed',
    scopes: ['read'],
    missing_scopes: ['write'],
    extras: { team: 'T1' },
    refreshable: true,
    times: { lifetimeS: 3600, refreshLifetimeS: null, dueInS: 3300 },
  },
  sent_at: '2026-01-02T03:04:05.678Z',
  ...change,
});

describe('the files', () => {
  test('give back what was kept, in another process too, and only to their owner', async () => {
    const kept = record();
    await createSpill({ dir, log }).keep(kept);
    expect(await createSpill({ dir, log }).list()).toEqual([kept]);
    expect(await readdir(dir)).toEqual(['con_1-3.json']);
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
    expect((await stat(join(dir, 'con_1-3.json'))).mode & 0o777).toBe(0o600);
  });

  test('are one for each connection and version; a later one takes the place of an earlier one', async () => {
    const spill = createSpill({ dir, log });
    const later = record({ lease: randomUUID() });
    await spill.keep(record());
    await Promise.all([spill.keep(later), spill.keep(record({ connection_id: 'con_2' })), spill.keep(record({ token_version: 4 }))]);
    expect((await readdir(dir)).sort()).toEqual(['con_1-3.json', 'con_1-4.json', 'con_2-3.json']);
    expect(await spill.list()).toContainEqual(later);
    await spill.drop({ connection_id: 'con_1', token_version: 3 });
    expect((await readdir(dir)).sort()).toEqual(['con_1-4.json', 'con_2-3.json']);
  });

  test('are whole or not there: what was cut off while it was written is no file of ours', async () => {
    const spill = createSpill({ dir, log });
    await spill.keep(record());
    const whole = await readFile(join(dir, 'con_1-3.json'), 'utf8');
    await writeFile(join(dir, 'con_2-1.json.4711.draft'), whole.slice(0, 40));
    expect(await spill.list()).toHaveLength(1);
    expect(logged).toEqual([]);
  });

  test('that are damaged or foreign are left where they are, told of, and hold up no other', async () => {
    const spill = createSpill({ dir, log });
    await spill.keep(record({ connection_id: 'con_z' }));
    const text = await readFile(join(dir, 'con_z-3.json'), 'utf8');
    const others: Record<string, string> = {
      'a.json': '',
      'b.json': text.slice(0, -20),
      'c.json': '{"connection_id":"../../etc/passwd"}',
      'con_other-1.json': text,
      'notes.txt': 'keep me',
    };
    for (const [name, content] of Object.entries(others)) await writeFile(join(dir, name), content);
    await mkdir(join(dir, 'folder.json'));
    expect((await spill.list()).map(({ connection_id }) => connection_id)).toEqual(['con_z']);
    expect(await readdir(dir)).toHaveLength(7);
    expect(logged).toHaveLength(5);
    expect(logged.join()).not.toContain('sealed');
  });

  test('cannot lie elsewhere', async () => {
    const spill = createSpill({ dir, log });
    for (const connection_id of ['../con_1', '/tmp/con_1', 'a/b', '..', '', 'x'.repeat(65)]) {
      await expect(spill.keep(record({ connection_id }))).rejects.toThrow();
    }
    await expect(readdir(join(dir, '..'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('that cannot be written are refused, and those that cannot be removed told of', async () => {
    const nowhere = createSpill({ dir: '/dev/null/spill', log });
    await expect(nowhere.keep(record())).rejects.toMatchObject({ code: 'ENOTDIR' });
    expect(await nowhere.list()).toEqual([]);
    await mkdir(join(dir, 'con_1-3.json'), { recursive: true });
    await createSpill({ dir, log }).drop({ connection_id: 'con_1', token_version: 3 });
    expect(logged).toHaveLength(1);
    // Nothing is left of an attempt that failed.
    await expect(createSpill({ dir, log }).keep(record())).rejects.toThrow();
    expect(await readdir(dir)).toEqual(['con_1-3.json']);
  });
});

describe('Postgres away when the provider has answered', () => {
  let database: TestDatabase;
  let line: Line;
  let world: Whole;
  let env: Record<string, string>;
  const as = () => world.sandbox.providers.authorizationServer;
  const counted = () => ({ ok: as().counters.refresh_ok, reuse: as().counters.refresh_reuse });
  const row = (id: string) => world.broker.world.store.connections.get('default', id);
  const spilled = async () => (await readdir(join(env.GRANTRY_DATA_DIR ?? '', 'spill')).catch(() => [])).filter((name) => name.endsWith('.json'));

  beforeAll(async () => {
    database = await createTestDatabase({ migrate: (url) => migrateDatabase(url, join(packageRoot, 'drizzle')) });
    line = await layLine(database.url, 5432);
    const keys = generateKeyRing();
    // This one reaches Postgres past the line.
    world = await startWholeSandbox({ database, env: { GRANTRY_KEYS: keys } });
    env = {
      DATABASE_URL: line.url,
      GRANTRY_KEYS: keys,
      GRANTRY_ROOT_KEY: world.broker.rootKey,
      GRANTRY_DATA_DIR: await mkdtemp(join(base, 'data-')),
    };
    await withAuthorizationServer(world);
    as().switches.accessTokenTtlS = 3600;
  });
  afterAll(async () => {
    await world.stop();
    await line.cut();
    await database.drop();
  });

  /** A process of its own refreshes them; Postgres goes away for it when the provider has rotated every token. */
  async function spill(ids: readonly string[]) {
    const other = await startBrokerProcess(env);
    let held = 0;
    const onHeld = () => {
      held += 1;
      if (held === ids.length) void line.cut();
    };
    as().switches.fault = { kind: 'slow_answer', ms: 1_500, onHeld };
    for (const id of ids) {
      await expire(world, id);
      const headers = { authorization: `Bearer ${world.broker.rootKey}` };
      fetch(`${other.url}/v1/connections/${id}/token`, { headers }).catch(() => {});
    }
    await expect.poll(spilled, { timeout: 15_000 }).toHaveLength(ids.length);
    as().switches.fault = { kind: 'none' };
    return other;
  }
  const files = async () => {
    const folder = join(env.GRANTRY_DATA_DIR ?? '', 'spill');
    return (await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')))).join('\n');
  };

  test('what was rotated outlives a kill -9; a reconnect and a deletion meanwhile win', { timeout: 90_000 }, async () => {
    const ids = [await connect(world, 'as', 'a'), await connect(world, 'as', 'b'), await connect(world, 'as', 'c')];
    const [saved = '', reconnected = '', deleted = ''] = ids;
    const before = counted();
    const other = await spill(ids);
    await other.end('SIGKILL');
    const onDisk = await files();

    const link = await world.root.createConnectLink({ integration: 'as', end_user: { id: 'b' }, connection_id: reconnected });
    await (await createBrowser().open(link.url)).submit();
    expect(await world.root.getConnectLink(link.id)).toMatchObject({ status: 'connected' });
    const renewed = (await row(reconnected))?.credential_sealed;
    await world.root.call('DELETE', `/v1/connections/${deleted}`);
    const revocations = () => world.sql<{ token_version: number }>('select token_version from revocations where connection_id = $1', [deleted]);
    expect(await revocations()).toEqual([]);
    const told = as().counters.revocations;
    as().switches.revocationFault = { kind: 'down' };

    await line.mend();
    const next = await startBrokerProcess(env);
    expect(await spilled()).toEqual([]);
    // What the provider gave for the deleted one is given back, as soon as the provider can be told.
    expect(await revocations()).toEqual([{ token_version: 2 }]);
    await expect.poll(() => next.printed.join()).toContain('revocation failed');
    as().switches.revocationFault = { kind: 'none' };
    await world.sql(`update revocations set next_attempt_at = now() - interval '1 second'`);
    await keepHouse(world.broker.world);
    expect(await revocations()).toEqual([]);
    expect(as().counters.revocations).toBe(told + 2);
    expect(await row(saved)).toMatchObject({ status: 'active', token_version: 2, refresh_count: 1, lease_until: null });
    expect(await row(reconnected)).toMatchObject({ status: 'active', token_version: 2, credential_sealed: renewed });
    expect(await row(deleted)).toBeUndefined();
    expect(await problemOf(world.root.getToken(deleted))).toMatchObject({ status: 404 });
    const { access_token } = await world.root.getToken(saved);
    expect(onDisk).not.toContain(access_token);
    expect(next.printed.join()).not.toContain(access_token);
    // It is the one that the provider gave last: the next refresh is no reuse of the old one.
    await world.root.getToken(saved, { force: true });
    expect(counted()).toEqual({ ok: before.ok + 4, reuse: before.reuse });
    await next.end('SIGTERM');
  });

  test('an orderly stop ends without Postgres, and loses nothing', { timeout: 120_000 }, async () => {
    const id = await connect(world, 'as', 'd');
    const before = counted();
    const other = await spill([id]);
    expect(await other.end('SIGTERM')).toBe(0);
    expect(await spilled()).toHaveLength(1);
    await line.mend();
    const next = await startBrokerProcess(env);
    expect(await row(id)).toMatchObject({ status: 'active', token_version: 2 });
    await world.root.getToken(id, { force: true });
    expect(counted()).toEqual({ ok: before.ok + 2, reuse: before.reuse });
    await next.end('SIGTERM');
  });

  test('what lies there is saved for the version that it was made from, whoever has its lease, and for no other', async () => {
    const id = await connect(world, 'as', 'f');
    const { world: broker } = world.broker;
    const held = async () => {
      const found = await row(id);
      if (found === undefined) throw new Error('gone');
      return found;
    };
    const keep = async (token_version: number) => {
      const { stored, ...about } = record({ connection_id: id, token_version, sent_at: new Date().toISOString() });
      await broker.spill.keep({ ...about, stored: { ...stored, credential_sealed: 'from the disk' } });
    };
    await world.root.getToken(id, { force: true });
    const { token_version, credential_sealed } = await held();
    for (const other of [token_version - 1, token_version + 1]) {
      await keep(other);
      expect(await saveSpilled(broker).catch(() => 0)).toBe(0);
      expect(await held()).toMatchObject({ token_version, credential_sealed });
      await broker.spill.drop({ connection_id: id, token_version: other });
    }
    await world.sql(`update connections set refresh_lease = $2, lease_until = now() + interval '45 seconds' where id = $1`, [id, randomUUID()]);
    await keep(token_version);
    expect(await saveSpilled(broker)).toBe(1);
    expect(await held()).toMatchObject({ token_version: token_version + 1, credential_sealed: 'from the disk', lease_until: null });
    expect(await broker.spill.list()).toEqual([]);
  });

  test('a disk that takes nothing does not stop the saving', async () => {
    const id = await connect(world, 'as', 'e');
    const { world: broker } = world.broker;
    let failures = 0;
    const { read, due, postpone, handOutAgain, counts, claim, commit, fail } = broker.store.refreshes;
    const away: typeof commit = async (...args) => {
      failures += 1;
      if (failures <= 3) throw new Error('connection lost');
      return commit(...args);
    };
    const store = { ...broker.store, refreshes: { read, due, postpone, handOutAgain, counts, claim, fail, commit: away } };
    const target = await row(id);
    if (target === undefined) throw new Error('gone');
    const outcome = await refreshConnection({ ...broker, log, store, spill: createSpill({ dir: '/dev/null/spill', log }) }, target);
    expect(outcome).toMatchObject({ kind: 'refreshed', connection: { token_version: 2 } });
    expect(logged.join()).toContain('ENOTDIR');
  });
});
