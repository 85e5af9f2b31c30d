import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keepHouse } from '../../src/broker/housekeeping.ts';
import { sha256 } from '../../src/broker/secrets.ts';
import { createWebServer } from '../../src/web/app.ts';
import { type Scene, startScene } from '../flows/scene.ts';
import { startTestBroker } from '../harness/broker.ts';
import { flood, floodSize } from '../harness/flood.ts';
import { testRedisUrl } from '../harness/redis.ts';
import { ask, json, refusalOf } from '../web/api/ask.ts';

/** Anybody may send as much as she likes: nothing is kept of it, and honest clients beside her are served. */

let scene: Scene;
/** A database of Redis that nobody else uses. */
let redisUrl: string;
beforeAll(async () => {
  redisUrl = `${testRedisUrl()}/9`;
  scene = await startScene({ env: { REDIS_URL: redisUrl, TRUST_PROXY: '1', GRANTRY_LIMIT_UNKNOWN_CALLBACKS: String(allowed), LOG_LEVEL: 'silent' } });
  const { authorizationServer: as } = scene.providers;
  await scene.define(as.definition);
  await scene.integrate(as, { id: 'as', provider: 'sandbox-as' });
});
afterAll(() => scene?.stop());

const callbackPath = () => `/oauth/callback?code=x&state=${randomBytes(32).toString('base64url')}`;
const from = (address: string) => ({ 'x-forwarded-for': address });
const allowed = 60;
/** Each address sends as many as are looked up, and no more. */
const fromMany = (n: number) => ({ path: callbackPath(), headers: from(`198.51.100.${Math.floor(n / allowed)}`) });
const fromOne = () => ({ path: callbackPath(), headers: from('203.0.113.9') });

/** How long an API client waits for an answer, which has to be right. */
async function honestCallMs(): Promise<number> {
  const begunMs = performance.now();
  expect((await ask(scene.url, { path: '/v1/integrations', key: scene.broker.rootKey })).status).toBe(200);
  return performance.now() - begunMs;
}

const quantile = (all: readonly number[], share: number): number =>
  all.toSorted((a, b) => a - b)[Math.min(all.length - 1, Math.floor(all.length * share))] ?? Number.NaN;

/** The names of everything in Redis. */
async function redisKeys(): Promise<string[]> {
  const redis = new Redis(redisUrl);
  const keys = await redis.keys('*');
  redis.disconnect();
  return keys;
}

/** Every statement that this process sends to Postgres while `work` runs. */
async function statementsDuring(work: () => Promise<unknown>): Promise<Map<string, number>> {
  const sent = new Map<string, number>();
  const { query } = pg.Client.prototype;
  const counted = function (this: pg.Client, ...args: unknown[]): unknown {
    const [asked] = args;
    const text = typeof asked === 'string' ? asked : String((asked as { text?: string }).text);
    sent.set(text, (sent.get(text) ?? 0) + 1);
    return Reflect.apply(query, this, args);
  };
  Object.assign(pg.Client.prototype, { query: counted });
  await work().finally(() => Object.assign(pg.Client.prototype, { query }));
  return sent;
}

test('a callback that nobody waits for is one look at an index: no row, no cookie, nothing written; a flow beside them is finished', async () => {
  const { link, browser, callback } = await scene.untilCallback('as');
  // An index is worth it only where there is something to look through.
  await scene.sql(`insert into connect_links select l.* from connect_links k, generate_series(1, 3000) n,
    jsonb_populate_record(k, jsonb_build_object('id', 'lnk_' || n, 'token_hash', '\\x' || md5(n::text), 'state_hash', '\\x' || md5(n::text))) l
    where k.id = '${link.id}'`);
  await scene.sql('analyze connect_links');
  await scene.broker.world.audit.chain();
  const [before, keysBefore] = [await scene.database(), await redisKeys()];
  expect([Object.keys(before).length > 5, keysBefore.length > 0]).toEqual([true, true]);
  const count = allowed * 10;
  let answered = {};
  const sent = await statementsDuring(async () => {
    answered = await flood(scene.url, count, fromMany);
  });
  expect(answered).toEqual({ 400: count });
  expect([...sent.values()]).toEqual([count]);
  const [statement = ''] = sent.keys();
  const plan = await scene.sql<{ 'QUERY PLAN': string }>(`explain (generic_plan) ${statement}`);
  expect(plan.map((line) => line['QUERY PLAN']).join('\n')).toMatch(/Index Scan using connect_links_state/);
  expect(await scene.database()).toEqual(before);
  const left = await redisKeys();
  expect(left.filter((key) => !keysBefore.includes(key))).toEqual([]);
  const told = await ask(scene.url, { path: callbackPath(), headers: from('192.0.2.7') });
  expect([told.status, told.headers['set-cookie'], told.text.includes('We were not waiting for this')]).toEqual([400, undefined, true]);
  const again = flood(scene.url, 300, fromMany);
  await scene.visit(callback, browser);
  await scene.connectionOf(link);
  await again;
  await scene.sql("delete from connect_links where status <> 'connected'");
  await scene.sql('analyze connect_links');
});

test(`of ${floodSize} callbacks of one address, ${allowed} are looked up in a minute; the memory stays and API clients are served`, async () => {
  await flood(scene.url, 1_000, fromOne);
  const memoryBefore = process.memoryUsage().rss;
  const calm: number[] = [];
  for (let n = 0; n < 100; n += 1) calm.push(await honestCallMs());
  const beside: number[] = [];
  let isOver = false;
  const flooding = flood(scene.url, floodSize, fromOne).finally(() => {
    isOver = true;
  });
  // Fewer than a key may make in a minute.
  while ((!isOver && beside.length < 2_000) || beside.length < 20) beside.push(await honestCallMs());
  const answered = await flooding;
  const times = (share: number) => (quantile(beside, share) / quantile(calm, share)).toFixed(1);
  console.log(
    `honest callers beside ${floodSize} callbacks: p99 ${times(0.99)} times, median ${times(0.5)} times that without them (${beside.length} calls beside, ${calm.length} without)`,
  );
  expect((answered[400] ?? 0) + (answered[429] ?? 0)).toBe(floodSize);
  // A slow machine needs more than a minute for all; each allows as many again, and those that are under way when it begins.
  expect(answered[429]).toBeGreaterThan(floodSize * 0.9);
  // The client is in this process, too.
  expect(process.memoryUsage().rss - memoryBefore).toBeLessThan(150 * 1_048_576);
  const page = await ask(scene.url, fromOne());
  expect([page.status, Number(page.headers['retry-after']) > 0, page.text.includes('Too many requests')]).toEqual([429, true, true]);
  expect((await ask(scene.url, { path: callbackPath(), headers: from('192.0.2.77') })).status).toBe(400);
}, 900_000);

test('a project has so many unfinished links and no more, and another one is not concerned', async () => {
  const { broker, sql, admin } = scene;
  Object.assign(broker.world, { mostPendingLinks: 5 });
  await sql(`update connect_links set finished_at = now() where finished_at is null`);
  const links = [];
  for (let n = 0; n < 5; n += 1) links.push(await scene.linkTo('as'));
  const body = json({ integration: 'as', end_user: { id: 'u1' } });
  const refused = await ask(scene.url, { method: 'POST', path: '/v1/connect-links', key: broker.rootKey, ...body });
  expect(refusalOf(refused)).toMatchObject({
    status: 429,
    code: 'rate_limited',
    retryAfterS: 60,
    detail: expect.stringContaining('5 connect links'),
  });
  await sql('update connect_links set finished_at = now() where id = $1', [links[0]?.id]);
  await scene.linkTo('as');
  await admin().call('POST', '/v1/projects', { body: { id: 'calm', name: 'Calm' } });
  await scene.define(scene.providers.authorizationServer.definition, 'calm');
  await scene.integrate(scene.providers.authorizationServer, { id: 'as', provider: 'sandbox-as' }, 'calm');
  await scene.linkTo('as', {}, 'calm');
  // When their time is over, the sweep makes room.
  const makeOne = () => ask(scene.url, { method: 'POST', path: '/v1/connect-links', key: broker.rootKey, ...body });
  expect((await makeOne()).status).toBe(429);
  await sql(`update connect_links set expires_at = now() - interval '1 second' where finished_at is null`);
  await keepHouse(broker.world);
  expect((await makeOne()).status).toBe(201);
  // Made in the same moment, they do not all see each other: there may be more by the connections of the pool, and not by the requests.
  const statuses = await Promise.all(Array.from({ length: 100 }, async () => (await makeOne()).status));
  const made = statuses.filter((status) => status === 201).length;
  expect([made >= 4, made <= 4 + 10, statuses.filter((status) => status === 429).length]).toEqual([true, true, 100 - made]);
  Object.assign(broker.world, { mostPendingLinks: 10_000 });
});

test('the sweep ends links faster than they can be made', async () => {
  const { sql, broker } = scene;
  const link = await scene.linkTo('as');
  await sql(`insert into connect_links select l.* from connect_links k, generate_series(1, 2500) n,
    jsonb_populate_record(k, jsonb_build_object('id', 'lnk_' || n, 'token_hash', '\\x' || md5(n::text), 'expires_at', now() - interval '1 second')) l
    where k.id = '${link.id}'`);
  expect((await keepHouse(broker.world)).expiredLinks).toBe(2_500);
});

test('the unfinished links of a project are found by an index of their own', async () => {
  const client = new pg.Client(scene.broker.databaseUrl);
  await client.connect();
  // A table of this size would be read whole.
  await client.query('set enable_seqscan = off');
  const { rows } = await client.query(
    "explain select id from connect_links where project_id = 'default' and finished_at is null offset 9999 limit 1",
  );
  await client.end();
  expect(JSON.stringify(rows)).toContain('connect_links_unfinished');
});

test('pages of one address are limited, with a page that says so', async () => {
  const broker = await startTestBroker({ env: { GRANTRY_LIMIT_PAGES: '3' } });
  const statuses = [];
  for (let n = 0; n < 4; n += 1) statuses.push((await ask(broker.url, { path: '/connect/nothing', headers: from(`192.0.2.${n}`) })).status);
  expect(statuses).toEqual([404, 404, 404, 429]);
  await broker.stop();
});

test.each([
  ['an address of 9 kB', { path: `/v1/connections?limit=${'1'.repeat(9_000)}` }, 414],
  ['7,000 query parameters', { path: `/v1/connections?${'a&'.repeat(7_000)}` }, 414],
  ['10^5 query parameters', { path: `/v1/connections?${'a&'.repeat(100_000)}` }, 431],
  ['a callback of 9 kB', { path: `/oauth/callback?state=${'x'.repeat(9_000)}` }, 414],
  ['many query parameters', { path: `/v1/connections?${'a&'.repeat(2_000)}` }, 400],
  ['a token with an address of 9 kB', { path: `/v1/connections/con_1/token?min_ttl=${'1'.repeat(9_000)}` }, 414],
  ['headers of 1 MB', { path: '/healthz', headers: { 'x-long': 'y'.repeat(1_000_000) } }, 431],
  ['a body of 65 kB', { method: 'POST', path: '/v1/connect-links', ...json({ x: 'y'.repeat(65_600) }) }, 413],
  [
    'JSON 20,000 deep',
    { method: 'POST', path: '/v1/connect-links', headers: { 'content-type': 'application/json' }, body: '['.repeat(20_000) + ']'.repeat(20_000) },
    400,
  ],
])('%s is refused, and the next request is served', async (_, asked, status) => {
  // Who is cut off while she still sends may see a reset instead of the answer.
  const told = await ask(scene.url, { ...asked, key: scene.broker.rootKey }).catch((error: NodeJS.ErrnoException) => error.code);
  expect(typeof told === 'object' ? told.status : told).toSatisfy(
    (seen) => seen === status || (status === 431 && ['ECONNRESET', 'EPIPE'].includes(String(seen))),
  );
  expect((await ask(scene.url, { path: '/v1/integrations', key: scene.broker.rootKey })).status).toBe(200);
});

test('a hundred clients that never finish their headers or bodies stand in nobody’s way, and are cut', async () => {
  const patience = { headersMs: 500, requestMs: 1_500, readMs: 1_500, lookEveryMs: 100 };
  const root = { hash: sha256(scene.broker.rootKey) };
  const server = createWebServer({ world: scene.broker.world, root, trustProxy: 0, mostSockets: 1_000, patience });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const starts = [
    '',
    'GET /healthz HTTP/1.1\r\nHost: x\r\nX-',
    'POST /v1/connect-links HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{',
    `POST /v1/connect-links HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${scene.broker.rootKey}\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{`,
  ];
  const ended = Array.from({ length: 100 }, (_, n) => {
    const start = starts[n % starts.length] ?? '';
    const socket = connect(port, '127.0.0.1', () => socket.write(start));
    const trickle = setInterval(() => start !== '' && socket.write('a'), 100);
    socket.on('error', () => {}).resume();
    return new Promise((resolve) => socket.on('close', resolve)).finally(() => clearInterval(trickle));
  });
  const url = `http://127.0.0.1:${port}`;
  for (let n = 0; n < 20; n += 1) expect((await ask(url, { path: '/v1/integrations', key: scene.broker.rootKey })).status).toBe(200);
  await Promise.all(ended);
  server.closeAllConnections();
  await promisify(server.close.bind(server))();
});

test.each([
  ['closed', 0],
  ['served', 1],
])('one connection more than an address may have is %s when %i proxies are trusted', async (outcome, trustProxy) => {
  const warned: unknown[] = [];
  const world = { ...scene.broker.world, log: { ...scene.broker.world.log, warn: (fields: unknown) => warned.push(fields) } };
  const server = createWebServer({ world, root: { hash: Buffer.alloc(32) }, trustProxy, mostSockets: 1 });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const held = connect(port, '127.0.0.1');
  await once(server, 'connection');
  const ping = () => ask(`http://127.0.0.1:${port}`, { path: '/healthz' }).then(({ status }) => (status === 200 ? 'served' : status));
  expect([await ping().catch(() => 'closed'), await ping().catch(() => 'closed')]).toEqual([outcome, outcome]);
  expect(warned).toEqual(outcome === 'closed' ? [{ ip: '127.0.0.1', why: 'too_many' }] : []);
  held.destroy();
  await promisify(server.close.bind(server))();
});

test('a client has ten seconds for its headers and thirty for all of its request', () => {
  const { headersTimeout, requestTimeout } = createWebServer({
    world: scene.broker.world,
    root: { hash: Buffer.alloc(32) },
    trustProxy: 0,
    mostSockets: 1,
  });
  expect([headersTimeout, requestTimeout]).toEqual([10_000, 30_000]);
});
