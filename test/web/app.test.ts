import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestBroker, type TestBroker } from '../harness/broker.ts';
import { ask, refusalOf } from './api/ask.ts';

let broker: TestBroker;

beforeAll(async () => {
  broker = await startTestBroker();
});
afterAll(() => broker.stop());

test('says that it lives and that it is ready', async () => {
  for (const [path, status] of [
    ['/healthz', 'ok'],
    ['/readyz', 'ready'],
  ] as const) {
    const told = await ask(broker.url, { path });
    expect(told).toMatchObject({ status: 200, text: JSON.stringify({ status }) });
  }
});

test('what is not there is a problem document', async () => {
  for (const path of [
    '/',
    '/v1',
    '/v1/',
    '/v1/nothing',
    '/v2/providers',
    '/V1/providers',
    '/v1/providers/',
    '/v1//providers',
    '/favicon.ico',
    '/.env',
    '/admin',
  ]) {
    const told = await ask(broker.url, { path, key: broker.broker.rootKey });
    expect([path, refusalOf(told)]).toEqual([path, expect.objectContaining({ status: 404, code: 'not_found' })]);
  }
});

test('every answer carries the security headers, and never says what it is made of', async () => {
  for (const path of ['/healthz', '/openapi.json', '/v1/providers', '/nothing', '/connect/x', '/docs']) {
    const { headers } = await ask(broker.url, { path, key: broker.broker.rootKey });
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'x-request-id': expect.stringMatching(/^req_/),
    });
    expect(headers).not.toHaveProperty('x-powered-by');
    expect(headers).not.toHaveProperty('server');
    expect(headers).not.toHaveProperty('etag');
    expect(headers).not.toHaveProperty('access-control-allow-origin');
  }
});

test('a request id of the caller comes back when it is harmless', async () => {
  const idOf = async (given: string) => (await ask(broker.url, { path: '/healthz', headers: { 'x-request-id': given } })).headers['x-request-id'];
  expect(await idOf('order-4711_x')).toBe('order-4711_x');
  for (const odd of ['short', 'x'.repeat(65), 'with space', '<script>', 'a;b;c;d;e']) expect(await idOf(odd)).toMatch(/^req_/);
});

test.each([
  ['what is not HTTP', 'EHLO there\r\n\r\n', 400],
  ['a header without a name', 'GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n', 400],
  ['two lengths', 'POST /v1/projects HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
  ['a length and chunks', 'POST /v1/projects HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
  ['headers without an end', `GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ${'y'.repeat(20_000)}\r\n\r\n`, 431],
])('%s is refused, as a problem document', async (_, bytes, status) => {
  const { port } = new URL(broker.url);
  const text = await new Promise<string>((resolve) => {
    let received = '';
    const socket = connect(Number(port), '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (chunk) => {
      received += chunk.toString();
    });
    socket.on('error', () => resolve(received));
    socket.on('close', () => resolve(received));
  });
  expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(text).toContain('application/problem+json');
  expect(JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4))).toMatchObject({
    status,
    code: 'invalid_request',
    request_id: expect.stringMatching(/^req_/),
  });
});

test('the log has a line for each request, with the route and not the address', async () => {
  await ask(broker.url, { path: '/v1/connections/con_secretish?x=very-secret', key: broker.broker.rootKey });
  const line = broker.logged.map((text) => JSON.parse(text)).findLast(({ msg }) => msg === 'request');
  expect(line).toMatchObject({ method: 'GET', route: '/v1/connections/:id', status: 400 });
  expect(broker.logged.join('')).not.toMatch(/very-secret|con_secretish/);
});

test.each([
  ['0', '127.0.0.1'],
  ['1', '203.0.113.9'],
])('with TRUST_PROXY=%s the request log names %s', async (trusted, ip) => {
  const behind = await startTestBroker({ env: { TRUST_PROXY: trusted } });
  await ask(behind.url, { path: '/healthz', headers: { 'x-forwarded-for': '198.51.100.1, 203.0.113.9', 'x-request-id': 'from-proxy' } });
  const lines = behind.logged.filter((line) => line.includes('from-proxy')).map((line) => JSON.parse(line));
  await behind.stop();
  expect(lines).toEqual([expect.objectContaining({ ip, msg: 'request' })]);
});
