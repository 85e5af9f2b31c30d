import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startWholeSandbox } from '../harness/broker.ts';
import { type Local, serveBytes } from '../outside/local-servers.ts';
import { type Whole, withAuthorizationServer } from './connected.ts';
import { attemptAll, deliveriesTo, happen, register } from './receiver.ts';

/** A receiver has decided when its status is there: what it goes on to say, and how, changes nothing. */

let whole: Whole;
let receiver: Local | undefined;

beforeAll(async () => {
  whole = await startWholeSandbox();
  await withAuthorizationServer(whole);
});
afterAll(() => whole.stop());
afterEach(async () => {
  await receiver?.close();
  await whole.sql('delete from webhook_endpoints');
});

/** What becomes of one delivery to a receiver that answers so. */
async function attemptAt(bytes: Buffer, after: (socket: Socket) => void) {
  receiver = await serveBytes(bytes, after);
  const { id } = await register(whole, { url: `http://127.0.0.1:${receiver.port}/`, event_types: ['connection.created'] });
  await happen(whole);
  const [outcome] = await attemptAll(whole, whole.broker.world, id);
  const [delivery] = await deliveriesTo(whole, id);
  const [row] = await whole.sql<{ s: number }>('select extract(epoch from next_attempt_at - now())::float8 as s from webhook_deliveries');
  const { status, disabled_reason } = await whole.root.call<{ status: string; disabled_reason: string | null }>('GET', `/v1/webhook-endpoints/${id}`);
  const { last_status, last_error } = delivery ?? {};
  return { outcome, last_status, last_error, waitS: row?.s, endpoint: disabled_reason ?? status };
}

const zipped = gzipSync('thank you');
const nothingMore = () => {};
const drip = (socket: Socket) => {
  const timer = setInterval(() => socket.write('1\r\nx\r\n'), 20);
  socket.on('close', () => clearInterval(timer));
};

describe.each([
  { body: 'is compressed', headers: `content-encoding: gzip\r\ncontent-length: ${zipped.length}`, bytes: zipped, after: nothingMore },
  { body: 'has 10 MB', headers: 'content-length: 10000000', bytes: Buffer.alloc(10_000_000, 'x'), after: nothingMore },
  { body: 'is not UTF-8', headers: 'content-length: 2', bytes: Buffer.from([0xc0, 0xaf]), after: nothingMore },
  { body: 'drips', headers: 'transfer-encoding: chunked', bytes: Buffer.alloc(0), after: drip },
  { body: 'never comes', headers: 'transfer-encoding: chunked', bytes: Buffer.alloc(0), after: nothingMore },
  {
    body: 'is reset',
    headers: 'content-length: 10',
    bytes: Buffer.from('x'),
    after: (socket: Socket) => void setTimeout(() => socket.resetAndDestroy(), 20),
  },
])('an answer whose body $body', ({ headers, bytes, after }) => {
  const saying = (status: string, more = '') =>
    attemptAt(Buffer.concat([Buffer.from(`HTTP/1.1 ${status}\r\n${more}${headers}\r\n\r\n`), bytes]), after);

  test('has taken the webhook with 2xx', async () => {
    expect(await saying('202 Accepted')).toMatchObject({ outcome: 'delivered', last_status: 202, last_error: null });
  });

  test('has not taken it with another status, which is told', async () => {
    expect(await saying('500 Sorry')).toMatchObject({ outcome: 'retried', last_status: 500, last_error: 'unexpected_status', endpoint: 'enabled' });
  });

  test('is waited for as long as it asks', async () => {
    const { outcome, last_status, waitS } = await saying('429 Later', 'retry-after: 1000\r\n');
    expect({ outcome, last_status }).toEqual({ outcome: 'retried', last_status: 429 });
    expect(waitS).toBeGreaterThan(900);
  });

  test('ends the endpoint with 410', async () => {
    expect(await saying('410 Gone')).toMatchObject({ outcome: 'disabled', last_status: 410, endpoint: 'gone' });
  });
});
