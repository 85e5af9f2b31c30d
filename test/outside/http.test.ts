import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { type LookupFunction, Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createDoor, type DoorEvent, type DoorOptions } from '../../src/outside/http.ts';
import { type GrantryError, isGrantryError } from '../../src/protocol/errors.ts';
import { privateAddresses, privateUrls } from '../protocol/private-hosts.ts';
import { type Local, serveBytes, serveHttp, serveHttps, serveTcp } from './local-servers.ts';
import { selfSigned } from './self-signed.ts';

const toClose: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of toClose.splice(0).reverse()) await thing.close();
});
function keep<T extends { close(): Promise<void> }>(thing: T): T {
  toClose.push(thing);
  return thing;
}
const openDoor = (options: Partial<DoorOptions> = {}) => keep(createDoor({ allowPrivateHosts: true, deadlineMs: 5_000, ...options }));
const serve = async (server: Promise<Local>) => keep(await server);
const failure = async (answer: Promise<unknown>): Promise<GrantryError> => {
  const error = await answer.then(
    () => new Error('no failure'),
    (thrown: unknown) => thrown,
  );
  if (!isGrantryError(error)) throw error;
  return error;
};
const textOf = async (message: IncomingMessage) => Buffer.concat(await message.toArray()).toString();
const get = (url: string) => ({ method: 'GET', url }) as const;
const post = (url: string, body = 'a=b') => ({ method: 'POST', url, body }) as const;
/** A canary behind a port where anything that arrives is one thing too much. */
const canary = (host = '127.0.0.1') => serve(serveTcp((socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'), host));

describe('a request', () => {
  it('arrives as it was given, and the answer comes back whole', async () => {
    const seen: { method?: string; url?: string; headers?: IncomingHttpHeaders; body?: string } = {};
    const server = await serve(
      serveHttp(async (message, response) => {
        Object.assign(seen, { method: message.method, url: message.url, headers: message.headers, body: await textOf(message) });
        response.writeHead(418, { 'X-One': 'a', 'Set-Cookie': ['k=1', 'l=2'], 'Content-Type': 'text/plain' }).end('\ufeffg\u00e4\u{1f600}');
      }),
    );
    const { send } = openDoor();
    const request = {
      method: 'POST',
      url: `http://127.0.0.1:${server.port}/a%20b?c=d&e=%2F`,
      headers: { 'X-Up': 'v', Accept: 'application/json' },
      body: 'k=\u00e4',
    } as const;
    const answer = await send(request);
    expect(answer).toMatchObject({ status: 418, body: 'g\u00e4\u{1f600}', headers: { 'x-one': 'a', 'set-cookie': 'k=1, l=2' } });
    expect(seen).toMatchObject({
      method: 'POST',
      url: '/a%20b?c=d&e=%2F',
      body: 'k=\u00e4',
      headers: { 'x-up': 'v', accept: 'application/json', 'content-length': '4' },
    });
    expect(seen.headers?.['user-agent']).toMatch(/^grantry\/\d+\.\d+\.\d+$/);
    expect(seen.headers?.['accept-encoding']).toBe('identity');

    await send({ ...request, headers: { 'User-Agent': 'acme/1', 'Accept-Encoding': 'gzip' } });
    expect(seen.headers).toMatchObject({ 'user-agent': 'acme/1', 'accept-encoding': 'identity' });
    expect(seen.headers).not.toHaveProperty('cookie');
  });

  it('uses a connection again, one request at a time', async () => {
    const server = await serve(serveHttp((_, response) => void response.end('x')));
    const { send } = openDoor();
    for (let round = 0; round < 6; round += 1) await send(post(`http://127.0.0.1:${server.port}/`));
    // A second one when a request comes in the very moment in which the first is put back.
    expect(server.connections()).toBeLessThanOrEqual(2);
  });

  it.each(['Host', 'Connection', 'Transfer-Encoding', 'Content-Length', 'Upgrade', 'Expect', 'Proxy-Authorization', 'TE'])(
    'may not set the header %s',
    async (name) => {
      const server = await canary();
      const { send } = openDoor();
      expect((await failure(send({ ...post(`http://127.0.0.1:${server.port}/`), headers: { [name]: 'x' } }))).code).toBe('invalid_request');
      expect(server.connections()).toBe(0);
    },
  );

  it.each([
    { 'x-a': 'hush\r\nhost: evil' },
    { 'x-a': 'hush\n' },
    { 'x-a': 'hush\u0000' },
    { 'x-a': 'hush\u20ac' },
    { 'x a': 'hush' },
    { 'x:a': 'hush' },
    { '': 'hush' },
  ])('may not hold a header that would break it: %j', async (headers) => {
    const server = await canary();
    const { send } = openDoor();
    const error = await failure(send({ ...get(`http://127.0.0.1:${server.port}/`), headers }));
    expect(error.code).toBe('invalid_request');
    expect(error.message).not.toContain('hush');
    expect(server.connections()).toBe(0);
  });

  it.each([301, 302, 303, 307, 308])('is not repeated elsewhere on %i', async (status) => {
    const target = await canary();
    const server = await serve(
      serveHttp((_, response) => void response.writeHead(status, { location: `http://127.0.0.1:${target.port}/`, refresh: '0' }).end()),
    );
    const { send } = openDoor();
    expect(await send(post(`http://127.0.0.1:${server.port}/`))).toMatchObject({ status, headers: { location: `http://127.0.0.1:${target.port}/` } });
    expect(target.connections()).toBe(0);
  });

  it('does not go through a proxy of the environment', async () => {
    const proxy = await canary();
    const server = await serve(serveHttp((_, response) => void response.end('direct')));
    const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'NODE_USE_ENV_PROXY'];
    for (const name of names) process.env[name] = name === 'NODE_USE_ENV_PROXY' ? '1' : `http://127.0.0.1:${proxy.port}`;
    try {
      expect((await openDoor().send(get(`http://127.0.0.1:${server.port}/`))).body).toBe('direct');
    } finally {
      for (const name of names) delete process.env[name];
    }
    expect(proxy.connections()).toBe(0);
  });

  it('tells the log where it went and how it ended, and nothing of what it held', async () => {
    const server = await serve(serveHttp((_, response) => void response.end('hush')));
    const events: DoorEvent[] = [];
    const { send } = openDoor({ log: (event) => events.push(event) });
    await send({ ...post(`http://127.0.0.1:${server.port}/hush?hush`, 'hush'), headers: { authorization: 'hush' } });
    await server.close();
    await failure(send(post(`http://127.0.0.1:${server.port}/hush?hush`, 'hush')));
    expect(events).toMatchObject([
      { method: 'POST', outcome: { status: 200 } },
      { outcome: { code: 'provider_unreachable', cause: 'ECONNREFUSED' } },
    ]);
    expect(JSON.stringify(events)).not.toContain('hush');
  });
});

describe('TLS', () => {
  const names = async (hostname: string) => (hostname.endsWith('.org') ? [{ address: '127.0.0.1', family: 4 }] : []);

  it('is asked for the certificate of the host name, though the connection goes to a checked address', async () => {
    const own = selfSigned('provider.org', '127.0.0.1');
    const asked: unknown[] = [];
    const server = await serve(
      serveHttps(own, (message, response) => {
        asked.push('servername' in message.socket ? message.socket.servername : undefined, message.headers.host);
        response.end('sealed');
      }),
    );
    const door = openDoor({ resolve: names, ca: [own.cert] });
    expect((await door.send(post(`https://provider.org:${server.port}/`))).body).toBe('sealed');
    expect(asked).toEqual(['provider.org', `provider.org:${server.port}`]);
    expect((await door.send(get(`https://127.0.0.1:${server.port}/`))).body).toBe('sealed');
    expect((await failure(door.send(post(`https://other.org:${server.port}/`)))).code).toBe('provider_unreachable');
    expect((await failure(openDoor({ resolve: names }).send(post(`https://provider.org:${server.port}/`)))).code).toBe('provider_unreachable');
    expect(asked).toHaveLength(4);
  });

  it('checks certificates though the environment says otherwise', async () => {
    const server = await serve(serveHttps(selfSigned('provider.org'), (_, response) => void response.end()));
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      expect((await failure(openDoor({ resolve: names }).send(get(`https://provider.org:${server.port}/`)))).code).toBe('provider_unreachable');
    } finally {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    }
  });

  it('may stall in its handshake, or not be spoken at all', async () => {
    const silent = await serve(serveTcp(() => {}));
    const plain = await serve(serveBytes('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'));
    const chatty = await serve(serveTcp((socket) => void socket.write('220 mail.org ESMTP\r\n')));
    const { send } = openDoor({ deadlineMs: 300 });
    for (const { port } of [silent, plain, chatty]) {
      expect((await failure(send(post(`https://127.0.0.1:${port}/`)))).code).toBe('provider_unreachable');
    }
  });

  it('leaves nothing open behind a door that was closed in the middle of a handshake', async () => {
    const server = await serve(serveTcp((socket) => void socket.resume()));
    const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
    while (sockets() > 0) await new Promise(setImmediate);
    const door = createDoor({ allowPrivateHosts: true, deadlineMs: 600, perHost: 1 });
    const url = `https://127.0.0.1:${server.port}/`;
    const answers = [failure(door.send(get(url)))];
    await new Promise((resolve) => setTimeout(resolve, 300));
    // This one waits for the first; its connection is younger than the request, and would outlive it.
    answers.push(failure(door.send(get(url))));
    await door.close();
    for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate);
    // The server's ends may still be there, ours may not.
    expect(sockets()).toBeLessThanOrEqual(server.open());
    expect((await Promise.all(answers)).map(({ code }) => code)).toEqual(['provider_unreachable', 'provider_unreachable']);
    expect(server.connections()).toBe(2);
  });
});

describe('addresses that are not public', () => {
  it.each(privateUrls)('are refused as a literal: %s', async (url) => {
    let asked = 0;
    const resolve = async () => {
      asked += 1;
      return [{ address: '127.0.0.1', family: 4 }];
    };
    expect((await failure(openDoor({ allowPrivateHosts: false, resolve }).send(post(url)))).code).toBe('address_refused');
    expect(asked).toBe(0);
  });

  it('are refused with any port, plain or not, and the canary hears nothing', async () => {
    const [four, six] = [await canary(), await canary('::1')];
    const { send } = openDoor({ allowPrivateHosts: false });
    for (const host of ['127.0.0.1', '127.1', '2130706433', 'localhost', '[::ffff:127.0.0.1]']) {
      for (const scheme of ['https', 'http']) expect((await failure(send(post(`${scheme}://${host}:${four.port}/`)))).code).toBe('address_refused');
    }
    for (const host of ['[::1]', 'localhost', 'ip6-localhost']) {
      expect((await failure(send(post(`https://${host}:${six.port}/`)))).code).toBe('address_refused');
    }
    expect(four.connections() + six.connections()).toBe(0);
  });

  it.each(privateAddresses)('are refused behind a name: %s', async (address) => {
    const { send } = openDoor({ allowPrivateHosts: false, resolve: async () => [{ address, family: address.includes(':') ? 6 : 4 }] });
    expect((await failure(send(post('https://provider.org/')))).code).toBe('address_refused');
  });

  it('are refused when a name turns to them (DNS rebinding), alone or among others', async () => {
    const target = await canary();
    // 3ffe::/16 was given back to IANA: it looks public, and nobody is there.
    const answers = [['3ffe::1'], ['127.0.0.1'], ['3ffe::1', '127.0.0.1'], ['127.0.0.1', '3ffe::1'], ['3ffe::1', '::ffff:127.0.0.1']];
    let asked = 0;
    const resolve = async () => (answers[asked++] ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    const { send } = openDoor({ allowPrivateHosts: false, resolve, deadlineMs: 500 });
    const codes: string[] = [];
    for (const _ of answers) codes.push((await failure(send(post(`https://provider.org:${target.port}/`)))).code);
    expect(codes).toEqual(['provider_unreachable', 'address_refused', 'address_refused', 'address_refused', 'address_refused']);
    expect(asked).toBe(answers.length);
    expect(target.connections()).toBe(0);
  });

  it('are not looked up twice: the connection goes where the check looked', async () => {
    const [right, wrong] = [await canary('127.0.0.1'), await canary('::1')];
    let asked = 0;
    const resolve = async () => {
      asked += 1;
      return asked === 1 ? [{ address: '127.0.0.1', family: 4 }] : [{ address: '::1', family: 6 }];
    };
    await openDoor({ resolve }).send(get(`http://provider.org:${right.port}/`));
    expect([asked, right.connections(), wrong.connections()]).toEqual([1, 1, 0]);
  });
});

describe('a connection that ends up elsewhere than the lookup said', () => {
  const own = selfSigned('provider.org');
  const publicName = async () => [{ address: '1.1.1.1', family: 4 }];
  afterEach(() => vi.restoreAllMocks());

  /** The machine below us: whatever the lookup gives out, the socket is connected to this machine. */
  function leadHere(): void {
    const connect = Socket.prototype.connect;
    const here: { address: string; family: number }[] = [{ address: '127.0.0.1', family: 4 }];
    vi.spyOn(Socket.prototype, 'connect').mockImplementation(function (this: Socket, ...args: unknown[]) {
      const [options, ...others] = args as [{ lookup?: LookupFunction }, ...unknown[]];
      const { lookup } = options;
      if (lookup === undefined) return Reflect.apply(connect, this, args);
      const led: LookupFunction = (host, asked, callback) => lookup(host, asked, (error) => callback(error, error === null ? here : []));
      return Reflect.apply(connect, this, [{ ...options, lookup: led }, ...others]);
    });
  }

  it('is closed before a byte of the request, though the certificate is right', async () => {
    let heard = 0;
    const server = await serve(
      serveHttps(own, (_, response) => {
        heard += 1;
        response.end('inside');
      }),
    );
    leadHere();
    const url = `https://provider.org:${server.port}/`;
    expect((await failure(openDoor({ allowPrivateHosts: false, resolve: publicName, ca: [own.cert] }).send(post(url)))).code).toBe('address_refused');
    expect([server.connections(), heard]).toEqual([1, 0]);
    await vi.waitUntil(() => server.open() === 0);
    // Where private hosts are allowed the same connection serves.
    expect((await openDoor({ resolve: publicName, ca: [own.cert] }).send(post(url))).body).toBe('inside');
  });
});

describe('what never left', () => {
  it('is provider_unreachable, the same for a closed port, a filtered one, no name, no name server and no TLS', async () => {
    const closed = await serveTcp(() => {});
    await closed.close();
    const silent = await serve(serveTcp(() => {}));
    const resolve = async (hostname: string) => {
      if (hostname.startsWith('missing')) throw Object.assign(new Error('queryA ENOTFOUND'), { code: 'ENOTFOUND' });
      if (hostname.startsWith('silent')) await new Promise(() => {});
      return hostname.startsWith('empty') ? [] : [{ address: '127.0.0.1', family: 4 }];
    };
    const { send } = openDoor({ resolve, deadlineMs: 300 });
    const urls = [
      `https://closed.org:${closed.port}`,
      `https://filtered.org:${silent.port}`,
      'https://missing.org',
      'https://silent.org',
      'https://empty.org',
    ];
    const seen = new Set<string>();
    for (const url of urls) {
      const { code, status, message, details } = await failure(send(post(`${url}/?client_secret=hush`)));
      seen.add(JSON.stringify({ code, status, message, details }));
    }
    expect([...seen]).toEqual([
      JSON.stringify({ code: 'provider_unreachable', status: 503, message: 'The provider cannot be reached.', details: {} }),
    ]);
  });

  it('does not leave later, when its connection is there at last', async () => {
    let answer = (_: { address: string; family: number }[]) => {};
    const resolve = () =>
      new Promise<{ address: string; family: number }[]>((done) => {
        answer = done;
      });
    const heard: Buffer[] = [];
    const listening = await serve(serveTcp((socket) => void socket.on('data', (chunk) => heard.push(chunk))));
    const { send } = openDoor({ resolve, deadlineMs: 200 });
    expect((await failure(send(post(`http://provider.org:${listening.port}/`)))).code).toBe('provider_unreachable');
    answer([{ address: '127.0.0.1', family: 4 }]);
    while (listening.connections() === 0) await new Promise(setImmediate);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(heard).toEqual([]);
  });

  it('is what a closed door gives', async () => {
    const server = await canary();
    const door = createDoor({ allowPrivateHosts: true });
    await door.close();
    expect((await failure(door.send(get(`http://127.0.0.1:${server.port}/`)))).code).toBe('provider_unreachable');
    expect(server.connections()).toBe(0);
  });
});

describe('many requests', () => {
  it('reach one host only so many at a time; the others wait their turn', async () => {
    let now = 0;
    let most = 0;
    const server = await serve(
      serveHttp((_, response) => {
        now += 1;
        most = Math.max(most, now);
        setTimeout(() => {
          now -= 1;
          response.end();
        }, 20);
      }),
    );
    const { send } = openDoor({ perHost: 3 });
    const answers = await Promise.all(Array.from({ length: 24 }, () => send(post(`http://127.0.0.1:${server.port}/`))));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect(most).toBe(3);
  });

  it('do not wait for a host that hangs, and do not wait for ever', async () => {
    let heard = 0;
    const hanging = await serve(
      serveHttp(() => {
        heard += 1;
      }),
    );
    const well = await serve(serveHttp((_, response) => void response.end('well'), '::1'));
    const { send } = openDoor({ perHost: 2, deadlineMs: 400 });
    const stuck = Array.from({ length: 30 }, () => failure(send(post(`http://127.0.0.1:${hanging.port}/`))));
    expect((await send(post(`http://[::1]:${well.port}/`))).body).toBe('well');
    expect(heard).toBeLessThanOrEqual(2);
    const codes = (await Promise.all(stuck)).map(({ code }) => code);
    // 2 are sent, 16 wait (the deadline counts for them too), 12 are one too many.
    expect(codes.slice(-12)).toEqual(Array(12).fill('provider_unreachable'));
    expect(new Set(codes)).toEqual(new Set(['no_answer', 'provider_unreachable']));
    expect(codes.filter((code) => code === 'no_answer').length).toBeGreaterThanOrEqual(heard);
  });

  it('are not sent when what is left of their time is too short for an answer', async () => {
    let heard = 0;
    const slow = await serve(
      serveHttp((_, response) => {
        heard += 1;
        setTimeout(() => response.end('slow'), 700);
      }),
    );
    const { send } = openDoor({ perHost: 1, deadlineMs: 1_000 });
    const [first, second] = await Promise.all([send(post(`http://127.0.0.1:${slow.port}/`)), failure(send(post(`http://127.0.0.1:${slow.port}/`)))]);
    expect(first.body).toBe('slow');
    expect(second).toMatchObject({ code: 'provider_unreachable', details: { nature: 'crowded' } });
    expect(heard).toBe(1);
  });

  it('are waited for when the door closes', async () => {
    const server = await serve(serveHttp((_, response) => void setTimeout(() => response.end('done'), 100)));
    const door = createDoor({ allowPrivateHosts: true, perHost: 1 });
    const url = `http://127.0.0.1:${server.port}/`;
    const answers = [door.send(get(url)), door.send(get(url))];
    const closed = door.close();
    const late = await canary('::1');
    expect((await failure(door.send(get(`http://[::1]:${late.port}/`)))).code).toBe('provider_unreachable');
    await closed;
    expect(late.connections()).toBe(0);
    expect((await Promise.all(answers)).map(({ body }) => body)).toEqual(['done', 'done']);
  });
});
