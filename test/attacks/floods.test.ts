import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import pg from 'pg';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Scene, startScene } from '../flows/scene.ts';
import { startTestBroker } from '../harness/broker.ts';
import { ask, json, refusalOf } from '../web/api/ask.ts';

/** Anybody may send as much as she likes: nothing is kept of it, and honest clients beside her are served. */

let scene: Scene;
beforeAll(async () => {
  scene = await startScene();
  const { authorizationServer: as } = scene.providers;
  await scene.define(as.definition);
  await scene.integrate(as, { id: 'as', provider: 'sandbox-as' });
});
afterAll(() => scene?.stop());

const callbackPath = () => `/oauth/callback?code=x&state=${randomBytes(32).toString('base64url')}`;
const from = (address: string) => ({ 'x-forwarded-for': address });

/** Callbacks that nobody waits for, 20 at a time; how many were answered with each status. */
async function flood(url: string, count: number): Promise<Record<number, number>> {
  const dispatcher = new Agent({ connections: 20 });
  const answered: Record<number, number> = {};
  let left = count;
  const one = async () => {
    while (left > 0) {
      left -= 1;
      const { statusCode, body } = await request(url + callbackPath(), { dispatcher });
      await body.dump();
      answered[statusCode] = (answered[statusCode] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: 20 }, one));
  await dispatcher.close();
  return answered;
}

/** How many rows there are of everything. */
const rowCounts = async () =>
  scene.sql(`select relname, (xpath('/row/n/text()', query_to_xml('select count(*) as n from ' || quote_ident(relname), false, true, '')))[1]::text as n
    from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by relname`);

test('callbacks that nobody waits for leave no row and no cookie, though each is looked up; a flow beside them is finished', async () => {
  const { link, browser, callback } = await scene.untilCallback('as');
  const before = await rowCounts();
  expect(before.length).toBeGreaterThan(5);
  const flooding = flood(scene.url, 2_000);
  const told = await ask(scene.url, { path: callbackPath() });
  expect([told.status, told.headers['set-cookie'], told.text.includes('We were not waiting for this')]).toEqual([400, undefined, true]);
  expect(await flooding).toEqual({ 400: 2_000 });
  expect(await rowCounts()).toEqual(before);
  const again = flood(scene.url, 500);
  await scene.visit(callback, browser);
  await scene.connectionOf(link);
  await again;
}, 120_000);

test('of 50,000 callbacks of one address, 60 are looked up in a minute; the memory stays and API clients are served', async () => {
  const broker = await startTestBroker({ env: { GRANTRY_LIMIT_UNKNOWN_CALLBACKS: '60', TRUST_PROXY: '1', LOG_LEVEL: 'silent' } });
  await flood(broker.url, 2_000);
  const memoryBefore = process.memoryUsage().rss;
  const flooding = flood(broker.url, 50_000);
  for (let n = 0; n < 20; n += 1) expect((await ask(broker.url, { path: '/v1/integrations', key: broker.broker.rootKey })).status).toBe(200);
  const answered = await flooding;
  expect((answered[400] ?? 0) + (answered[429] ?? 0)).toBe(50_000);
  expect(answered[429]).toBeGreaterThan(45_000);
  expect(process.memoryUsage().rss - memoryBefore).toBeLessThan(150 * 1_048_576);
  const page = await ask(broker.url, { path: callbackPath() });
  expect([page.status, Number(page.headers['retry-after']) > 0, page.text.includes('Too many requests')]).toEqual([429, true, true]);
  expect((await ask(broker.url, { path: callbackPath(), headers: from('192.0.2.77') })).status).toBe(400);
  expect(await broker.sql('select 1 from connect_links')).toEqual([]);
  await broker.stop();
}, 300_000);

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
  Object.assign(broker.world, { mostPendingLinks: 10_000 });
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
  const { port } = new URL(scene.url);
  const starts = ['GET /healthz HTTP/1.1\r\nHost: x\r\nX-', 'POST /v1/connect-links HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{'];
  const ended = Array.from({ length: 100 }, (_, n) => {
    const socket = connect(Number(port), '127.0.0.1', () => socket.write(starts[n % 2] ?? ''));
    const trickle = setInterval(() => socket.write('a'), 1_000);
    socket.on('error', () => {}).resume();
    return new Promise((resolve) => socket.on('close', resolve)).finally(() => clearInterval(trickle));
  });
  for (let n = 0; n < 20; n += 1) expect((await ask(scene.url, { path: '/v1/integrations', key: scene.broker.rootKey })).status).toBe(200);
  await Promise.all(ended);
}, 90_000);
