import { once } from 'node:events';
import type { Server } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sha256 } from '../../src/broker/secrets.ts';
import { createWebServer } from '../../src/web/app.ts';
import { type MetricsServer, startMetricsServer } from '../../src/web/metrics-route.ts';
import { connect, type Whole, withAuthorizationServer } from '../broker/connected.ts';
import { startWholeSandbox } from '../harness/broker.ts';
import { createCounted } from '../outside/metrics-kit.ts';
import { ask, refusalOf } from './api/ask.ts';

let whole: Whole;
let server: Server;
let url: string;
let own: MetricsServer;
let ownUrl: string;
const counted = createCounted();

beforeAll(async () => {
  whole = await startWholeSandbox();
  await withAuthorizationServer(whole);
  const { world, rootKey } = whole.broker;
  const root = { hash: sha256(rootKey) };
  server = createWebServer({ world: { ...world, meter: counted.meter }, root, trustProxy: 0, mostSockets: 1_000, metrics: counted.text });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  own = await startMetricsServer({ host: '127.0.0.1', port: 0, text: counted.text });
  ownUrl = `http://${own.address.host}:${own.address.port}`;
  counted.meter.breaker('acme.example.com', 'open');
});
afterAll(async () => {
  await own.stop();
  server.closeAllConnections();
  server.close();
  await whole.stop();
});

const host = 'grantry_breaker_open{host="acme.example.com"} 1';

test('the main port answers to the root key, and to an admin key without what concerns other projects', async () => {
  const byRoot = await ask(url, { path: '/metrics', key: whole.broker.rootKey });
  expect(byRoot).toMatchObject({ status: 200, headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'cache-control': 'no-store' } });
  expect(byRoot.text).toContain(host);
  const { key } = await whole.clientWith(['admin']);
  const byAdmin = await ask(url, { path: '/metrics', key });
  expect(byAdmin.status).toBe(200);
  expect(byAdmin.text).toContain('grantry_breaker_hosts{state="open"} 1');
  expect(byAdmin.text).not.toContain('acme');
});

test('the main port refuses everybody else', async () => {
  for (const scope of ['connect', 'tokens']) {
    const { key } = await whole.clientWith([scope]);
    expect(refusalOf(await ask(url, { path: '/metrics', key }))).toMatchObject({ status: 403, code: 'forbidden' });
  }
  expect(refusalOf(await ask(url, { path: '/metrics' }))).toMatchObject({ status: 401, code: 'unauthorized' });
  expect(refusalOf(await ask(url, { path: '/metrics', key: 'x'.repeat(40) }))).toMatchObject({ status: 401, code: 'unauthorized' });
});

test('every answer of the token path is counted, with its status', async () => {
  const requests = () => counted.series('grantry_token_requests_total');
  const { key } = await whole.clientWith(['tokens']);
  const path = '/v1/connections/con_none/token';
  await ask(url, { path });
  await ask(url, { path, key });
  await ask(url, { path: `${path}?min_ttl=x`, key });
  expect(await requests()).toEqual(Object.fromEntries([401, 404, 400].map((status) => [`grantry_token_requests_total{status="${status}"}`, 1])));
  const connection = await connect(whole);
  expect((await ask(url, { path: `/v1/connections/${connection}/token`, key })).status).toBe(200);
  expect(await requests()).toMatchObject({ 'grantry_token_requests_total{status="200"}': 1 });
  expect(await counted.series('grantry_token_duration_seconds_count')).toEqual({ grantry_token_duration_seconds_count: 4 });
});

test('the port of its own needs no key, shows everything, and has nothing else', async () => {
  const told = await ask(ownUrl, { path: '/metrics?x=1' });
  expect(told).toMatchObject({ status: 200, headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' } });
  expect(told.text).toContain(host);
  expect(await ask(ownUrl, { path: '/healthz' })).toMatchObject({ status: 200, text: '{"status":"ok"}' });
  for (const path of ['/', '/metrics/', '/readyz', '/v1/connections', '//metrics', '/../metrics']) {
    expect([path, (await ask(ownUrl, { path })).status]).toEqual([path, 404]);
  }
  for (const method of ['POST', 'DELETE', 'HEAD']) expect((await ask(ownUrl, { method, path: '/metrics' })).status).toBe(404);
});

test('metrics that cannot be told are a 500 without a reason', async () => {
  const broken = await startMetricsServer({ host: '127.0.0.1', port: 0, text: () => Promise.reject(new Error('hunter2')) });
  const told = await ask(`http://127.0.0.1:${broken.address.port}`, { path: '/metrics' });
  expect(told).toMatchObject({ status: 500, text: 'The metrics cannot be read.\n' });
  await broken.stop();
});
