import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { watchSockets } from '../../src/web/sockets.ts';

/** Far more than the system takes for a client that does not read. */
const large = Buffer.alloc(16 * 1_048_576, 'a');
let [nowMs, looks] = [0, 0];
const closed: string[] = [];
let server: Server;
const clients: Socket[] = [];

/** A server that looks at its sockets all the time, by a clock of the test's own. */
async function serve(mostPerAddress: number | undefined): Promise<void> {
  closed.length = 0;
  server = createServer((req, res) => res.end(req.url === '/large' ? large : 'small'));
  watchSockets(server, {
    mostPerAddress,
    readMs: 60_000,
    lookEveryMs: 5,
    elapsedMs: () => {
      looks += 1;
      return nowMs;
    },
    onClosed: (why, address) => closed.push(`${why} ${address}`),
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
}
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  server.closeAllConnections();
  await once(server.close(), 'close');
});

function dial(localAddress = '127.0.0.1'): Socket {
  const socket = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, localAddress });
  socket.on('error', () => {});
  clients.push(socket);
  return socket;
}
const ask = (socket: Socket, path = '/') => socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
/** What of an answer comes first; undefined when the connection is closed instead. */
const firstOf = (socket: Socket): Promise<string | undefined> =>
  Promise.race([once(socket, 'data').then(([chunk]) => String(chunk).slice(0, 12)), once(socket, 'close').then(() => undefined)]);
const sockets = () => new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count)));
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(10);
}

/** Resolves when all sockets have been looked at twice. */
async function lookedAt(): Promise<void> {
  const enough = looks + 2;
  await until(async () => looks >= enough);
}

test('an address has so many connections and no more; one that ends makes room, and other addresses have theirs', async () => {
  await serve(2);
  const held = [dial(), dial()];
  await until(async () => (await sockets()) === 2);
  const third = dial();
  ask(third);
  expect(await firstOf(third)).toBeUndefined();
  expect(closed).toEqual(['too_many 127.0.0.1']);
  const other = dial('127.0.0.2');
  ask(other);
  expect(await firstOf(other)).toBe('HTTP/1.1 200');
  held[0]?.destroy();
  await until(async () => (await sockets()) === 2);
  const fourth = dial();
  ask(fourth);
  expect(await firstOf(fourth)).toBe('HTTP/1.1 200');
});

test('without a number nobody is refused', async () => {
  await serve(undefined);
  const all = Array.from({ length: 20 }, () => dial());
  for (const socket of all) ask(socket);
  expect(await Promise.all(all.map(firstOf))).toEqual(all.map(() => 'HTTP/1.1 200'));
  expect(closed).toEqual([]);
});

test('who does not read an answer in its time is cut, though it may take some of it; who reads all of it, or asks nothing, is not', async () => {
  await serve(undefined);
  const [deaf, trickling, good, idle] = [dial(), dial(), dial(), dial()];
  for (const socket of [deaf.pause(), trickling.pause(), good]) ask(socket, '/large');
  let read = 0;
  good.on('data', (chunk: Buffer) => {
    read += chunk.length;
  });
  const trickle = setInterval(() => trickling.read(1_000), 10);
  await until(async () => read > large.length);
  await lookedAt();
  nowMs += 59_999;
  await lookedAt();
  expect(closed).toEqual([]);
  nowMs += 1;
  await lookedAt();
  expect(closed).toEqual(['unread 127.0.0.1', 'unread 127.0.0.1']);
  clearInterval(trickle);
  for (const socket of [good, idle]) {
    ask(socket);
    expect(await firstOf(socket)).toBe('HTTP/1.1 200');
  }
});
