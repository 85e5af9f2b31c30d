import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createDoor, type DoorOptions } from '../../src/outside/http.ts';
import { isGrantryError } from '../../src/protocol/errors.ts';
import { type Local, serveBytes, serveHttp, serveTcp } from './local-servers.ts';

const toClose: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of toClose.splice(0).reverse()) await thing.close();
});
async function serve(server: Promise<Local>): Promise<Local> {
  const local = await server;
  toClose.push(local);
  return local;
}
function doorOf(options: Partial<DoorOptions> = {}) {
  const door = createDoor({ allowPrivateHosts: true, deadlineMs: 5_000, ...options });
  toClose.push(door);
  return door.send;
}
/** What came of a POST to a server: the answer's body, or the code of the failure. */
async function outcome(server: Promise<Local>, options: Partial<DoorOptions> = {}): Promise<string> {
  const { port } = await serve(server);
  try {
    return `body: ${(await doorOf(options)({ method: 'POST', url: `http://127.0.0.1:${port}/token?client_secret=hush`, body: 'code=hush' })).body}`;
  } catch (error) {
    if (!isGrantryError(error)) throw error;
    expect(JSON.stringify([error.message, error.details, String(error.cause)])).not.toMatch(/hush|127\.0\.0\.1/);
    return error.code;
  }
}
const short = { deadlineMs: 300 };
const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';

describe('an answer that is too large', () => {
  it('is not read to its end: 10 MB', async () => {
    let sent = 0;
    const flood = serveHttp((_, response) => {
      const more = () => {
        while (sent < 10_000_000) {
          sent += 16_384;
          if (!response.write(Buffer.alloc(16_384, 'x'))) return void response.once('drain', more);
        }
        response.end();
      };
      more();
    });
    expect(await outcome(flood)).toBe('bad_provider_answer');
    expect(sent).toBeLessThan(10_000_000);
  });

  it('is not read at all when it says so beforehand', async () => {
    expect(await outcome(serveBytes(`${head}content-length: 65537\r\n\r\n`), short)).toBe('bad_provider_answer');
  });

  it('may never end', async () => {
    let gone = () => {};
    const closed = new Promise<void>((resolve) => {
      gone = resolve;
    });
    const endless = serveHttp((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(1_000)));
        response.once('drain', more);
      };
      response.on('close', gone);
      more();
    });
    expect(await outcome(endless)).toBe('bad_provider_answer');
    await closed;
  });

  it('begins one byte behind the limit', async () => {
    expect(await outcome(serveHttp((_, response) => void response.end('x'.repeat(65_536))))).toBe(`body: ${'x'.repeat(65_536)}`);
    const chunked = serveHttp((_, response) => {
      response.write('x');
      response.end('x'.repeat(65_536));
    });
    expect(await outcome(chunked)).toBe('bad_provider_answer');
    expect(
      await outcome(
        serveHttp((_, response) => void response.end('xx')),
        { maxBodyBytes: 1 },
      ),
    ).toBe('bad_provider_answer');
  });

  it('may be so in its headers: one of 64 kB, ten thousand, or for ever', async () => {
    expect(await outcome(serveBytes(`${head}x: ${'x'.repeat(65_536)}\r\n\r\n`))).toBe('bad_provider_answer');
    expect(await outcome(serveBytes(`${head}${'x: y\r\n'.repeat(10_000)}\r\n`))).toBe('bad_provider_answer');
    const endless = serveBytes(head, (socket) => {
      const more = () => {
        while (!socket.destroyed && socket.write('x: y\r\n'.repeat(100)));
        socket.once('drain', more);
      };
      more();
    });
    expect(await outcome(endless)).toBe('bad_provider_answer');
  });

  it('may be one interim answer after the other', async () => {
    expect(await outcome(serveBytes(`HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${head}content-length: 2\r\n\r\nok`))).toBe('body: ok');
    const flood = serveBytes('', (socket) => {
      const more = () => {
        while (!socket.destroyed && socket.write('HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'.repeat(10)));
        socket.once('drain', more);
      };
      more();
    });
    expect(await outcome(flood)).toBe('bad_provider_answer');
  });
});

describe('an answer that takes too long', () => {
  it('may not come', async () => {
    let gone = () => {};
    const closed = new Promise<void>((resolve) => {
      gone = resolve;
    });
    expect(
      await outcome(
        serveTcp((socket) => void socket.resume().on('close', gone)),
        short,
      ),
    ).toBe('no_answer');
    // The connection is given up too, not only the wait for it.
    await closed;
  });

  it('may stop in its headers, or behind them', async () => {
    expect(await outcome(serveBytes(head), short)).toBe('no_answer');
    expect(await outcome(serveBytes(`${head}content-length: 2\r\n\r\n`), short)).toBe('no_answer');
    expect(await outcome(serveBytes(`${head}content-length: 2\r\n\r\nx`), short)).toBe('no_answer');
  });

  it.each([
    ['headers', head],
    ['body', `${head}content-length: 1000\r\n\r\n`],
    ['chunks', `${head}transfer-encoding: chunked\r\n\r\n`],
  ])('may drip in its %s: no silence is long, the whole is', async (where, begin) => {
    let drops = 0;
    const drip = serveBytes(begin, (socket) => {
      const timer = setInterval(() => {
        drops += 1;
        socket.write(where === 'chunks' ? '1\r\nx\r\n' : 'x');
      }, 20);
      socket.on('close', () => clearInterval(timer));
    });
    expect(await outcome(drip, short)).toBe('no_answer');
    expect(drops).toBeGreaterThan(2);
  });
});

describe('an answer that is cut', () => {
  it.each([
    ['before its first byte', ''],
    ['in its status line', 'HTTP/1.1 20'],
    ['in its headers', head],
    ['in its body', `${head}content-length: 10\r\n\r\n{"a":`],
    ['in its body, though it says close', `${head}connection: close\r\ncontent-length: 10\r\n\r\n{"a":`],
    ['in its chunks, though it says close', `${head}connection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\n`],
    ['in its chunks', `${head}transfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\n`],
  ])('%s, by an end or a reset, is no answer', async (_, bytes) => {
    expect(await outcome(serveBytes(bytes, (socket) => void socket.end()))).toBe('no_answer');
    expect(await outcome(serveBytes(bytes, (socket) => void setTimeout(() => socket.resetAndDestroy(), 20)))).toBe('no_answer');
  });

  it('and was sent once only, over a connection that had been idle too', async () => {
    let requests = 0;
    const fickle = await serve(
      serveHttp((message, response) => {
        requests += 1;
        if (requests % 2 === 0) message.socket.destroy();
        else response.end('first');
      }),
    );
    const send = doorOf();
    const url = `http://127.0.0.1:${fickle.port}/`;
    const outcomes: string[] = [];
    for (const method of ['POST', 'POST', 'GET', 'GET'] as const) {
      outcomes.push(
        await send({ method, url }).then(
          ({ body }) => body,
          (error) => (isGrantryError(error) ? error.code : 'other'),
        ),
      );
      // Lets the connection become idle, so that it is used again.
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(outcomes).toEqual(['first', 'no_answer', 'first', 'no_answer']);
    expect([requests, fickle.connections()]).toEqual([4, 2]);
  });

  it('is complete where its length was said, whatever comes behind', async () => {
    expect(await outcome(serveBytes(`${head}content-length: 2\r\n\r\nokEXTRA`))).toBe('body: ok');
  });
});

describe('an answer that nobody can read', () => {
  it.each([
    ['random bytes', Buffer.from([0, 1, 2, 255, 254, 13, 10, 13, 10])],
    ['another protocol', '220 mail.org ESMTP\r\n'],
    ['HTTP/0.9', '{"access_token":"hush"}\r\n\r\n'],
    ['a status that is none', 'HTTP/1.1 abc OK\r\n\r\n'],
    ['HTTP/9.9', 'HTTP/9.9 200 OK\r\n\r\n'],
    ['a header without a name', 'HTTP/1.1 200 OK\r\n: x\r\n\r\n'],
    ['a negative length', `${head}content-length: -1\r\n\r\n`],
    ['chunks that are none', `${head}transfer-encoding: chunked\r\n\r\nzz\r\nhush\r\n`],
  ])('is not taken for one: %s', async (_, bytes) => {
    expect(await outcome(serveBytes(bytes), short)).toBe('bad_provider_answer');
  });

  it.each([
    ['twice', `${head}content-length: 1\r\ncontent-length: 2\r\n\r\nxx`],
    ['beside chunks', `${head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['beyond all numbers', `${head}content-length: 99999999999999999999999999\r\n\r\n`],
  ])('is not taken for a whole one when its length is said %s', async (_, bytes) => {
    expect(await outcome(serveBytes(bytes), short)).toBe('no_answer');
  });

  it.each(['gzip', 'GZIP', 'br', 'deflate', 'zstd', 'identity, gzip', 'x-unknown'])('is not taken in the encoding %s', async (encoding) => {
    for (const body of [gzipSync('{}'), '{}']) {
      const server = serveHttp((_, response) => void response.writeHead(200, { 'content-encoding': encoding }).end(body));
      expect(await outcome(server)).toBe('bad_provider_answer');
    }
  });

  it.each(['identity', 'Identity', ''])('is taken in the encoding %j', async (encoding) => {
    expect(await outcome(serveHttp((_, response) => void response.writeHead(200, { 'content-encoding': encoding }).end('ok')))).toBe('body: ok');
  });

  it.each([
    ['a byte that begins nothing', [0x7b, 0xff, 0x7d]],
    ['an overlong form', [0xc0, 0xaf]],
    ['half a surrogate pair', [0xed, 0xa0, 0x80]],
    ['half a character', [0xc3]],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00]],
  ])('is not guessed at when it is not UTF-8: %s', async (_, bytes) => {
    expect(await outcome(serveHttp((_message, response) => void response.end(Buffer.from(bytes))))).toBe('bad_provider_answer');
  });

  it('is read across its chunks, without its byte order mark', async () => {
    const bytes = Buffer.from('\ufeff\u{1f600}\u00e4');
    const split = serveHttp(async (_, response) => {
      for (const byte of bytes) {
        response.write(Buffer.from([byte]));
        await new Promise(setImmediate);
      }
      response.end();
    });
    expect(await outcome(split)).toBe('body: \u{1f600}\u00e4');
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])('has a header that is called %s', async (name) => {
    const { port } = await serve(serveBytes(`${head}${name}: a\r\n${name}: b\r\ncontent-length: 2\r\n\r\nok`));
    const answer = await doorOf(short)({ method: 'GET', url: `http://127.0.0.1:${port}/` });
    expect(answer.body).toBe('ok');
    expect(Object.getPrototypeOf(answer.headers)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>)['a']).toBeUndefined();
  });
});

/** Chunks for as long as somebody takes them. */
const flood = (socket: Socket) => {
  const more = () => {
    while (!socket.destroyed && socket.write(`3e8\r\n${'x'.repeat(1_000)}\r\n`));
    socket.once('drain', more);
  };
  more();
};
const drip = (socket: Socket) => {
  const timer = setInterval(() => socket.write('1\r\nx\r\n'), 20);
  socket.on('close', () => clearInterval(timer));
};
const chunked = `${head}transfer-encoding: chunked\r\n\r\n`;

describe('an answer whose body nobody reads', () => {
  const unread = (port: number) => ({ method: 'POST', url: `http://127.0.0.1:${port}/`, body: 'x', answerBody: 'ignored' }) as const;
  const nothingMore = () => {};

  it.each([
    ['is in an encoding that was not asked for', `${head}content-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc`, nothingMore],
    ['is not UTF-8', Buffer.from(`${head}content-length: 1\r\n\r\n\xff`, 'latin1'), nothingMore],
    ['says that it is 10 MB', `${head}content-length: 10000000\r\n\r\n`, nothingMore],
    ['is large', `${head}content-length: 10000000\r\n\r\n${'x'.repeat(10_000_000)}`, nothingMore],
    ['never ends', chunked, flood],
    ['drips', chunked, drip],
    ['never comes', chunked, nothingMore],
    ['has no end but that of the connection', `${head}\r\nok`, nothingMore],
    ['is no body', `${chunked}zz\r\nhush\r\n`, nothingMore],
    ['is cut', `${head}content-length: 10\r\n\r\n{"a":`, (socket: Socket) => void socket.end()],
    ['is reset', `${head}content-length: 10\r\n\r\n`, (socket: Socket) => void setTimeout(() => socket.resetAndDestroy(), 20)],
    ['comes after interim answers', `HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${head}content-length: 0\r\n\r\n`, nothingMore],
  ])('is its status and headers, also when it %s', async (_, bytes, then) => {
    const local = await serve(serveBytes(bytes, then));
    const send = doorOf({ perHost: 1 });
    // The only slot is there again for the next one.
    for (let round = 0; round < 3; round += 1)
      expect(await send(unread(local.port))).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' }, body: '' });
  });

  it.each([
    ['never ends', flood],
    ['drips', drip],
    ['never comes', () => {}],
  ])('keeps no connection when it %s, and no more of them at a time than the host has slots', async (_, then) => {
    let held = 0;
    let most = 0;
    const local = await serve(
      serveBytes(chunked, (socket) => {
        held += 1;
        most = Math.max(most, held);
        socket.on('close', () => {
          held -= 1;
        });
        then(socket);
      }),
    );
    const send = doorOf({ perHost: 3 });
    const answers = await Promise.all(Array.from({ length: 12 }, () => send(unread(local.port))));
    expect(answers.map(({ status }) => status)).toEqual(Array(12).fill(200));
    // The end of a connection may be seen after the request on the next one.
    expect(most).toBeLessThanOrEqual(6);
    await vi.waitUntil(() => held === 0);
  });

  it.each([
    { bytes: 1_024, sockets: 1 },
    { bytes: 1_025, sockets: 4 },
  ])('leaves its connection to the next request when it is short, and is not read on when it is not: $bytes bytes', async ({ bytes, sockets }) => {
    const used = new Set<Socket>();
    const local = await serve(
      serveHttp((message, response) => {
        used.add(message.socket);
        response.writeHead(200, { 'content-encoding': 'br' }).end('x'.repeat(bytes));
      }),
    );
    const send = doorOf();
    for (let round = 0; round < 4; round += 1) {
      await send(unread(local.port));
      // Lets the connection become idle, so that it is used again.
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(used.size).toBe(sockets);
  });

  it('is not mixed with the answer to the next request', async () => {
    let requests = 0;
    const local = await serve(
      serveTcp((socket) => {
        socket.on('data', () => {
          requests += 1;
          const length = requests % 2 === 0 ? 2 : 1_000;
          socket.write(`HTTP/1.1 20${requests} OK\r\ncontent-length: ${length}\r\n\r\n${requests % 2 === 0 ? 'ok' : ''}`);
          if (length > 2) setTimeout(() => socket.write(`HTTP/1.1 500 Evil\r\ncontent-length: 4\r\n\r\nevil`.padEnd(1_000)), 20);
        });
      }),
    );
    const send = doorOf();
    expect(await send(unread(local.port))).toMatchObject({ status: 201, body: '' });
    expect(await send({ method: 'GET', url: `http://127.0.0.1:${local.port}/` })).toMatchObject({ status: 202, body: 'ok' });
  });

  it.each([
    ['headers that are too large', `${head}x: ${'x'.repeat(65_536)}\r\n\r\n`, 'bad_provider_answer'],
    ['one interim answer after the other', 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'.repeat(50), 'bad_provider_answer'],
    ['interim answers alone', 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n', 'no_answer'],
    ['something that is not HTTP', '220 mail.org ESMTP\r\n', 'bad_provider_answer'],
    ['a head that does not end', head, 'no_answer'],
    ['two lengths', `${head}content-length: 1\r\ncontent-length: 2\r\n\r\nxx`, 'no_answer'],
  ])('needs a head all the same: not %s', async (_, bytes, code) => {
    const local = await serve(serveBytes(bytes));
    await expect(doorOf(short)(unread(local.port))).rejects.toSatisfy((error: unknown) => isGrantryError(error) && error.code === code);
  });

  it('does not hold up a door that closes', async () => {
    const local = await serve(serveBytes(chunked));
    const door = createDoor({ allowPrivateHosts: true });
    expect(await door.send(unread(local.port))).toMatchObject({ status: 200 });
    await door.close();
    await vi.waitUntil(() => local.open() === 0);
  });
});

describe('an answer without a body', () => {
  it('has none: HEAD, 204, 304', async () => {
    const { port } = await serve(
      serveHttp(
        (message, response) =>
          void response.writeHead(Number(message.url?.slice(1)), message.method === 'HEAD' ? { 'content-length': '100000' } : {}).end(),
      ),
    );
    const send = doorOf();
    expect(await send({ method: 'HEAD', url: `http://127.0.0.1:${port}/200` })).toMatchObject({ status: 200, body: '' });
    for (const status of [204, 304])
      expect(await send({ method: 'GET', url: `http://127.0.0.1:${port}/${status}` })).toMatchObject({ status, body: '' });
  });

  it('is not an answer to another request than the one that was sent', async () => {
    let requests = 0;
    const server = await serve(
      serveTcp((socket) => {
        socket.on('data', () => {
          requests += 1;
          socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nr${requests}`);
          // An answer that nobody asked for, waiting for the next request on this connection.
          if (requests === 1) setTimeout(() => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil'), 10);
        });
      }),
    );
    const send = doorOf();
    const request = { method: 'GET', url: `http://127.0.0.1:${server.port}/` } as const;
    expect((await send(request)).body).toBe('r1');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await send(request)).body).toBe('r2');
  });
});
