import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { afterEach, expect, test } from 'vitest';
import type { World } from '../../src/broker/world.ts';
import { startTestBroker, type TestBroker } from '../harness/broker.ts';
import { flood, floodSize } from '../harness/flood.ts';
import { ask, refusalOf } from './api/ask.ts';

let broker: TestBroker | undefined;
let lookUps = 0;
/** Counts the look-ups of keys, on the token path and elsewhere. */
function watched(world: World): World {
  const { apiKeys, tokens } = world.store;
  const counted =
    <A extends unknown[], T>(lookUp: (...args: A) => T) =>
    (...args: A): T => {
      lookUps += 1;
      return lookUp(...args);
    };
  const store = {
    ...world.store,
    apiKeys: Object.assign(Object.create(apiKeys), { findByHash: counted(apiKeys.findByHash) }),
    tokens: Object.assign(Object.create(tokens), { byKey: counted(tokens.byKey) }),
  };
  return { ...world, store };
}
const start = async (env: Record<string, string>) => {
  lookUps = 0;
  broker = await startTestBroker({ env, adapt: watched });
  return broker;
};
afterEach(async () => {
  await broker?.stop();
  broker = undefined;
});

const wrongKey = (n: number) => `grt_${String(n).padStart(26, '0')}_${'x'.repeat(43)}`;
const from = (address: string) => ({ 'x-forwarded-for': address });
const paths = ['/v1/projects', '/v1/connections', '/v1/connections/con_1/token', '/metrics'];

test('after too many wrong keys nothing of that address is looked up, on any path, but keys that were right; other addresses are served', async () => {
  const { url, clientWith } = await start({ GRANTRY_LIMIT_WRONG_KEYS: '5', TRUST_PROXY: '1' });
  const [known, late] = [await clientWith(['admin']), await clientWith(['admin'])];
  const token = { path: '/v1/connections/con_1/token' };
  expect((await ask(url, { ...token, key: known.key, headers: from('192.0.2.1') })).status).toBe(404);
  const statuses: number[] = [];
  // What stands further left was written by the client itself.
  for (let n = 0; n < 5; n += 1)
    statuses.push((await ask(url, { path: paths[n % 4] ?? '', key: wrongKey(n), headers: from(`198.51.100.${n}, 192.0.2.1`) })).status);
  expect(statuses).toEqual([401, 401, 401, 401, 401]);
  const before = lookUps;
  expect(before).toBeGreaterThanOrEqual(6);
  for (const path of paths)
    for (const key of [wrongKey(9), late.key, 'k'.repeat(40)]) {
      const told = refusalOf(await ask(url, { path, key, headers: from(`203.0.113.${path.length}, 192.0.2.1`) }));
      expect([path, told]).toEqual([path, expect.objectContaining({ status: 429, code: 'rate_limited', retryAfterS: expect.any(Number) })]);
    }
  expect(lookUps).toBe(before);
  expect((await ask(url, { ...token, key: known.key, headers: from('192.0.2.1') })).status).toBe(404);
  expect((await ask(url, { ...token, key: late.key, headers: from('192.0.2.2') })).status).toBe(404);
});

test('an IPv6 address counts by its /64, and an untrusted X-Forwarded-For for nothing', async () => {
  const behind = await start({ GRANTRY_LIMIT_WRONG_KEYS: '1', TRUST_PROXY: '1' });
  const statusFor = async (base: string, address: string) =>
    (await ask(base, { path: paths[2] ?? '', key: wrongKey(1), headers: from(address) })).status;
  expect(await statusFor(behind.url, '2001:db8:1:2::1')).toBe(401);
  expect(await statusFor(behind.url, '2001:db8:1:2:ffff::9')).toBe(429);
  expect(await statusFor(behind.url, '2001:db8:1:3::1')).toBe(401);
  const operator = { path: '/v1/integrations', key: behind.broker.rootKey };
  expect((await ask(behind.url, { ...operator, headers: from('2001:db8:1:2::1') })).status).toBe(200);
  await behind.stop();
  const alone = await start({ GRANTRY_LIMIT_WRONG_KEYS: '1' });
  expect([await statusFor(alone.url, '192.0.2.1'), await statusFor(alone.url, '192.0.2.2')]).toEqual([401, 429]);
});

const guesses = Math.min(floodSize / 5, 10_000);
test(`${guesses} guesses one after another: as many are looked up as are allowed`, async () => {
  const { url } = await start({ GRANTRY_LIMIT_WRONG_KEYS: '20' });
  const counts = await flood(url, guesses, (n) => ({ path: '/v1/integrations', headers: { authorization: `Bearer ${wrongKey(n)}` } }), 1);
  expect(counts[401]).toBe(lookUps);
  // A slow machine needs more than a minute, and each allows 20 again.
  expect((counts[401] ?? 0) % 20 === 0 && (counts[401] ?? 0) <= 100).toBe(true);
  expect((counts[401] ?? 0) + (counts[429] ?? 0)).toBe(guesses);
}, 240_000);

test('guesses that come all at once are no more than those that come one after another; a key that is right gets its turn', async () => {
  const { url, clientWith } = await start({ GRANTRY_LIMIT_WRONG_KEYS: '20' });
  const { key } = await clientWith(['admin']);
  const dispatcher = new Agent({ connections: 100 });
  const send = async (sent: string) => {
    const { statusCode, body } = await request(`${url}/v1/connections/con_1/token`, { dispatcher, headers: { authorization: `Bearer ${sent}` } });
    await body.dump();
    return statusCode;
  };
  lookUps = 0;
  expect(await Promise.all(Array.from({ length: 100 }, () => send(key)))).toEqual(Array.from({ length: 100 }, () => 404));
  lookUps = 0;
  const statuses = await Promise.all(Array.from({ length: 100 }, (_, n) => send(wrongKey(n))));
  expect([lookUps, statuses.filter((status) => status === 401).length, statuses.filter((status) => status === 429).length]).toEqual([20, 20, 80]);
  expect(await send(key)).toBe(404);
  await dispatcher.close();
});

test('two processes count together: wrong keys, and calls, of which every answer says how many are left', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'grantry-limits-'));
  const env = { GRANTRY_LIMIT_WRONG_KEYS: '5', GRANTRY_LIMIT_CALLS: '3', GRANTRY_DATA_DIR: dataDir };
  const one = await start(env);
  const other = await startTestBroker({ database: one.database, env });
  const { key } = await one.clientWith(['admin']);
  const call = async (url: string) => {
    const { status, headers } = await fetch(`${url}/v1/connections`, { headers: { authorization: `Bearer ${key}` } });
    const left = headers.get('ratelimit')?.replace(/t=([1-9]|[1-5]\d|60)$/, 't=...');
    return [status, headers.get('ratelimit-policy'), left, Number(headers.get('retry-after') ?? 0) > 0];
  };
  const policy = '"calls";q=3;w=60';
  expect([await call(one.url), await call(other.url), await call(one.url)]).toEqual([
    [200, policy, '"calls";r=2;t=...', false],
    [200, policy, '"calls";r=1;t=...', false],
    [200, policy, '"calls";r=0;t=...', false],
  ]);
  const refused = [429, policy, '"calls";r=0;t=...', true];
  expect([await call(one.url), await call(other.url)]).toEqual([refused, refused]);
  const guess = async (url: string, n: number) => (await ask(url, { path: '/v1/connections/con_1/token', key: wrongKey(n) })).status;
  for (let n = 0; n < 5; n += 1) expect(await guess(one.url, n)).toBe(401);
  // It has to hear of them: with the first wrong key of its own it asks, and no guess waits for the answer.
  expect(await guess(other.url, 6)).toBe(401);
  let own = 1;
  const next = () => {
    own += 1;
    return guess(other.url, 5 + own);
  };
  await expect.poll(next, { interval: 500, timeout: 20_000 }).toBe(429);
  // By itself it would have let five through.
  expect(own).toBeLessThanOrEqual(5);
  expect(await guess(one.url, 20)).toBe(429);
  await other.stop();
  await rm(dataDir, { recursive: true });
});

test('calls are limited for each key, and tokens are not', async () => {
  const { url, clientWith } = await start({ GRANTRY_LIMIT_CALLS: '3' });
  const [busy, calm] = [await clientWith(['admin']), await clientWith(['admin'])];
  const status = async (path: string, key: string) => (await ask(url, { path, key })).status;
  for (let n = 0; n < 3; n += 1) expect(await status('/v1/connections', busy.key)).toBe(200);
  expect(refusalOf(await ask(url, { path: '/v1/connections', key: busy.key }))).toMatchObject({
    code: 'rate_limited',
    retryAfterS: expect.any(Number),
  });
  expect(await status('/v1/connections', calm.key)).toBe(200);
  expect(await status('/v1/connections/con_1/token', busy.key)).toBe(404);
});
