import { Agent, get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { createGrantryClient, type GrantryClient } from '../../src/client/client.ts';
import { startWholeSandbox } from '../harness/broker.ts';
import { type BrokerProcess, startBrokerProcess } from '../harness/broker-process.ts';
import { testRedisUrl } from '../harness/redis.ts';
import { connect, expire, type Whole, withAuthorizationServer } from './connected.ts';

const rootKey = 'root-key-of-the-test-with-32-characters-or-more';
const keys = JSON.stringify({ keys: [{ kty: 'oct', kid: 'test', k: Buffer.alloc(32, 7).toString('base64url') }] });
/** Of a thousand callers each. */
const rounds = Number(process.env.STAMPEDE_ROUNDS ?? 20);
let world: Whole;
let processes: BrokerProcess[] = [];
let id: string;

const start = () => startBrokerProcess({ DATABASE_URL: world.database.url, GRANTRY_KEYS: keys, GRANTRY_ROOT_KEY: rootKey });
const clientOf = ({ url }: BrokerProcess): GrantryClient => createGrantryClient({ baseUrl: url, apiKey: rootKey });
const as = () => world.sandbox.providers.authorizationServer;
const counted = () => ({ ok: as().counters.refresh_ok, reuse: as().counters.refresh_reuse });

/** The next token request waits, before it is processed or after it; resolves when it does. */
const hold = (kind: 'slow' | 'slow_answer', ms: number) =>
  new Promise<void>((onHeld) => {
    as().switches.fault = { kind, ms, times: 1, onHeld };
  });

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

test('three processes and 100 callers at a time ask once for a token of client credentials', async () => {
  const clients = [world.root, ...processes.map(clientOf)];
  const body = { integration: 'as', end_user: { id: 'machine' }, grant: 'client_credentials' };
  const machine = await world.root.call<{ id: string }>('POST', '/v1/connections', { body });
  // Each has seen it once: nobody comes late because it has to learn what it is.
  await Promise.all(clients.map((client) => client.getToken(machine.id)));
  await expire(world, machine.id);
  const before = as().counters.token.client_credentials ?? 0;
  // So long that each process comes while one is at it.
  as().switches.fault = { kind: 'slow_answer', ms: 800, times: 1 };
  const tokens = await Promise.all(Array.from({ length: 100 }, (_, n) => clients[n % clients.length]?.getToken(machine.id)));
  expect(new Set(tokens.map((token) => token?.access_token)).size).toBe(1);
  expect(as().counters.token.client_credentials).toBe(before + 1);
});

test('a process killed before the provider has rotated loses nothing', async () => {
  const doomed = await start();
  await expire(world, id);
  const held = hold('slow', 60_000);
  const cut = clientOf(doomed)
    .getToken(id)
    .catch(() => undefined);
  await held;
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
  const held = hold('slow_answer', 60_000);
  const cut = clientOf(doomed)
    .getToken(id)
    .catch(() => undefined);
  await held;
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
  const held = hold('slow_answer', 1_000);
  const asked = clientOf(leaving).getToken(id);
  await held;
  const ended = leaving.end('SIGTERM');
  const { access_token } = await asked;
  expect(await ended).toBe(0);
  expect((await world.root.getToken(id)).access_token).toBe(access_token);
  expect(counted().ok).toBe(before.ok + 1);
});

test('1,000 callers at a time, at four processes beside a worker, bring about one refresh per version', { timeout: 280_000 }, async () => {
  const redisUrl = new URL(testRedisUrl());
  redisUrl.pathname = '/9';
  const redis = new Redis(redisUrl.href);
  await redis.flushdb();
  const env = { DATABASE_URL: world.database.url, REDIS_URL: redisUrl.href, GRANTRY_KEYS: keys, GRANTRY_ROOT_KEY: rootKey, LOG_LEVEL: 'info' };
  const webs: BrokerProcess[] = [];
  for (let n = 0; n < 4; n += 1) webs.push(await startBrokerProcess(env));
  const worker = await startBrokerProcess({ ...env, GRANTRY_ROLE: 'worker' });
  const sweeps = new Queue('maintenance', { connection: { url: redisUrl.href }, prefix: '{grantry-maintenance}' });
  const agents = webs.map(() => new Agent({ keepAlive: true, maxSockets: 100 }));
  onTestFinished(async () => {
    for (const agent of agents) agent.destroy();
    await sweeps.close();
    await Promise.all([...webs, worker].map((each) => each.end('SIGKILL')));
    await redis.flushdb();
    redis.disconnect();
  });
  const ask = (n: number) => askForToken(webs[n % 4]?.url ?? '', agents[n % 4]);

  for (let round = 0; round < rounds; round += 1) {
    // Some rounds with a provider that takes its time, so that everybody has to wait for somebody.
    as().switches.fault = round % 5 === 0 ? { kind: 'slow_answer', ms: 100, times: 1 } : { kind: 'none' };
    const before = counted();
    const [row] = await world.sql<{ token_version: number }>('select token_version from connections where id = $1', [id]);
    await world.sql(
      `update connections set issued_at = now() - interval '1 hour', expires_at = now() - interval '1 second', refresh_due_at = now(), queued_until = null where id = $1`,
      [id],
    );
    const swept = sweeps.add('sweep-refreshes', {}, { removeOnComplete: true });
    // Now and then the worker is given the time to be first.
    if (round % 10 === 9) await sleep(20);
    const [tokens] = await Promise.all([Promise.all(Array.from({ length: 1_000 }, (_, n) => ask(n))), swept]);
    const [token, ...others] = new Set(tokens);
    expect(others).toEqual([]);
    expect(counted()).toEqual({ ok: before.ok + 1, reuse: before.reuse });
    const [after] = await world.sql<{ token_version: number; attempts: number }>(
      `select c.token_version, r.attempts from connections c join refresh_intents r on r.connection_id = c.id and r.token_version = c.token_version - 1 where c.id = $1`,
      [id],
    );
    expect(after).toEqual({ token_version: (row?.token_version ?? 0) + 1, attempts: 1 });
    const works = await fetch(`${as().url}/api/me`, { headers: { authorization: `Bearer ${token}` } });
    expect(works.status).toBe(200);
  }
});

/** The access token; what else is answered instead. */
function askForToken(url: string, agent: Agent | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(
      `${url}/v1/connections/${id}/token`,
      { headers: { authorization: `Bearer ${rootKey}` }, ...(agent && { agent }) },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        answer.on('end', () => resolve(answer.statusCode === 200 ? String(JSON.parse(text).access_token) : `${answer.statusCode} ${text}`));
      },
    );
    request.on('error', reject);
  });
}
