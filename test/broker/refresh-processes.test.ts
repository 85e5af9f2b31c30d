import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createGrantryClient, type GrantryClient } from '../../src/client/client.ts';
import { startWholeSandbox } from '../harness/broker.ts';
import { type BrokerProcess, startBrokerProcess } from '../harness/broker-process.ts';
import { connect, expire, type Whole, withAuthorizationServer } from './connected.ts';

const rootKey = 'root-key-of-the-test-with-32-characters-or-more';
const keys = JSON.stringify({ keys: [{ kty: 'oct', kid: 'test', k: Buffer.alloc(32, 7).toString('base64url') }] });
let world: Whole;
let processes: BrokerProcess[] = [];
let id: string;

const start = () => startBrokerProcess({ DATABASE_URL: world.database.url, GRANTRY_KEYS: keys, GRANTRY_ROOT_KEY: rootKey });
const clientOf = ({ url }: BrokerProcess): GrantryClient => createGrantryClient({ baseUrl: url, apiKey: rootKey });
const as = () => world.sandbox.providers.authorizationServer;
const counted = () => ({ ok: as().counters.refresh_ok, reuse: as().counters.refresh_reuse });

beforeAll(async () => {
  world = await startWholeSandbox({ env: { GRANTRY_KEYS: keys, GRANTRY_ROOT_KEY: rootKey } });
  await withAuthorizationServer(world);
  processes = await Promise.all([start(), start()]);
});
afterAll(async () => {
  await Promise.all(processes.map((each) => each.end('SIGKILL')));
  await world.stop();
});
beforeEach(async () => {
  as().switches.fault = { kind: 'none' };
  as().switches.accessTokenTtlS = 3600;
  id = await connect(world);
});

test('three processes and 150 callers at a time bring about one refresh per version', async () => {
  const clients = [world.root, ...processes.map(clientOf)];
  for (let round = 0; round < 4; round += 1) {
    await expire(world, id);
    const before = counted();
    const tokens = await Promise.all(Array.from({ length: 150 }, (_, n) => clients[n % clients.length]?.getToken(id)));
    const seen = new Set(tokens.map((token) => token?.access_token));
    expect(seen.size).toBe(1);
    expect(counted()).toEqual({ ok: before.ok + 1, reuse: 0 });
    const works = await fetch(`${as().url}/api/me`, { headers: { authorization: `Bearer ${[...seen][0]}` } });
    expect(works.status).toBe(200);
  }
});

test('a process killed before the provider has rotated loses nothing', async () => {
  const doomed = await start();
  await expire(world, id);
  as().switches.fault = { kind: 'slow', ms: 60_000, times: 1 };
  const cut = clientOf(doomed)
    .getToken(id)
    .catch(() => undefined);
  await sleep(500);
  await doomed.end('SIGKILL');
  await cut;
  await world.sql(`update connections set lease_until = now() - interval '1 second' where id = $1`, [id]);
  const { access_token } = await world.root.getToken(id);
  expect(access_token).toEqual(expect.any(String));
  expect(as().counters.refresh_reuse).toBe(0);
});

test('a process killed after it loses the grant, and says so', async () => {
  const doomed = await start();
  await expire(world, id);
  as().switches.fault = { kind: 'slow_answer', ms: 60_000, times: 1 };
  const cut = clientOf(doomed)
    .getToken(id)
    .catch(() => undefined);
  await sleep(500);
  await doomed.end('SIGKILL');
  await cut;
  await world.sql(`update connections set lease_until = now() - interval '1 second' where id = $1`, [id]);
  await expect(world.root.getToken(id)).rejects.toMatchObject({
    status: 409,
    code: 'reauthorization_required',
    problem: { reason: 'crash_during_rotation' },
  });
});

test('a process asked to end saves what it is about to get', async () => {
  const leaving = await start();
  await expire(world, id);
  const before = counted();
  as().switches.fault = { kind: 'slow_answer', ms: 1_000, times: 1 };
  const asked = clientOf(leaving).getToken(id);
  await sleep(400);
  const ended = leaving.end('SIGTERM');
  const { access_token } = await asked;
  expect(await ended).toBe(0);
  expect((await world.root.getToken(id)).access_token).toBe(access_token);
  expect(counted().ok).toBe(before.ok + 1);
});
