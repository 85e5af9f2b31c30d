import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import type { Later } from './listener.ts';

/** Answers that no token endpoint should give. Each must be refused, or taken for exactly what it says, and never crash or hang. */

/** Gives one answer; whatever it still sends later ends with the listener. */
export type Answer = (response: ServerResponse, later: Later) => void;

/** A whole answer, JSON unless the headers say otherwise. */
export function answer(status: number, body: string | Buffer, headers: Record<string, string> = {}): Answer {
  return (response) => void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
}

/** A token answer that is right but for the given members. */
export function tokenAnswer(members: Record<string, unknown>): Answer {
  return answer(200, JSON.stringify({ access_token: 'at-1', token_type: 'Bearer', expires_in: 3600, ...members }));
}

const good = JSON.stringify({ access_token: 'at-1', token_type: 'Bearer', expires_in: 3600 });
const megabyte = 'a'.repeat(1_000_000);
const token = (literal: string) => answer(200, `{"access_token":${literal},"token_type":"Bearer","expires_in":3600}`);
const expiry = (literal: string) => answer(200, `{"access_token":"at-1","token_type":"Bearer","expires_in":${literal}}`);

/** Bytes straight to the socket, behind no header of ours; then `after` decides about the connection. */
function raw(bytes: string | Buffer, after: (socket: NonNullable<ServerResponse['socket']>) => void): Answer {
  return (response) => {
    const { socket } = response;
    socket?.write(bytes, () => after(socket));
  };
}

const head = (length: number) => `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\nconnection: close\r\n\r\n`;

const forever: Answer = (response, later) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  const chunk = Buffer.alloc(16_384, 0x20);
  const more = () => {
    if (response.destroyed) return;
    if (!response.writableNeedDrain) response.write(chunk);
    later(5, more);
  };
  more();
};

const drip: Answer = (response, later) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': String(good.length) });
  let sent = 0;
  const next = () => {
    if (response.destroyed || sent >= good.length) return;
    response.write(good.charAt(sent));
    sent += 1;
    later(1000, next);
  };
  next();
};

export const hostileAnswers: Readonly<Record<string, Answer>> = {
  'json null': answer(200, 'null'),
  'json number': answer(200, '5'),
  'json string': answer(200, '"x"'),
  'json array': answer(200, '[]'),
  'html page': answer(200, '<!doctype html><title>Sign in</title><p>access_token', { 'content-type': 'text/html' }),
  xml: answer(200, '<?xml version="1.0"?><access_token>at-1</access_token>', { 'content-type': 'application/xml' }),
  jsonp: answer(200, `callback(${good})`, { 'content-type': 'application/javascript' }),
  'form body': answer(200, 'access_token=at-1&token_type=bearer&expires_in=3600', { 'content-type': 'application/x-www-form-urlencoded' }),
  'form body called json': answer(200, 'access_token=at-1&token_type=bearer'),
  'empty body': answer(200, ''),
  '204': (response) => void response.writeHead(204).end(),
  '302 with a token': answer(302, good, { location: 'http://127.0.0.1:9/elsewhere' }),
  '500 html': answer(500, '<h1>Internal Server Error</h1>', { 'content-type': 'text/html' }),
  '403 html': answer(403, '<h1>Forbidden</h1>', { 'content-type': 'text/html' }),
  '400 json': answer(400, '{"error":"invalid_request","error_description":"no"}'),
  '400 with a token': answer(400, good),
  'error with 200': answer(200, '{"error":"invalid_grant"}'),
  'error beside a token': tokenAnswer({ error: 'server_error' }),
  'gzip bytes': answer(200, gzipSync(good), { 'content-encoding': 'gzip' }),
  'gzip bytes unannounced': answer(200, gzipSync(good)),
  'gzip bomb': (response) =>
    void response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(10_000_000, 0x20))),
  '10 MB': (response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(Buffer.alloc(10_000_000, 0x20)),
  'never ending': forever,
  'one byte per second': drip,
  'headers and no body': (response) => void response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' }).flushHeaders(),
  'no answer at all': () => undefined,
  'cut mid-body': raw(head(good.length) + good.slice(0, 20), (socket) => socket.end()),
  reset: (response) => void response.socket?.resetAndDestroy(),
  'reset mid-body': raw(head(good.length) + good.slice(0, 20), (socket) => socket.resetAndDestroy()),
  'content-length too long': raw(head(good.length + 50) + good, (socket) => socket.end()),
  'content-length too short': raw(head(good.length - 10) + good, (socket) => socket.end()),
  'content-length twice': raw(`HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: ${good.length}\r\n\r\n${good}`, (socket) => socket.end()),
  'chunked garbage': raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n', (socket) => socket.end()),
  'not http': raw('SSH-2.0-OpenSSH_9.0\r\n', (socket) => socket.end()),
  '64 kB of headers': raw(`HTTP/1.1 200 OK\r\nx-long: ${'h'.repeat(65_536)}\r\ncontent-length: 2\r\n\r\n{}`, (socket) => socket.end()),
  'invalid utf-8': answer(
    200,
    Buffer.concat([Buffer.from('{"access_token":"a'), Buffer.from([0xff, 0xfe, 0xc0]), Buffer.from('","token_type":"Bearer"}')]),
  ),
  'utf-16': answer(200, Buffer.from(`\ufeff${good}`, 'utf16le')),
  'deep nesting': answer(200, `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`),
  'deep arrays': answer(200, '['.repeat(60_000)),
  'many members': answer(200, `{${Array.from({ length: 6000 }, (_, i) => `"k${i}":1`).join(',')}}`),
  'no access_token': answer(200, '{"token_type":"Bearer","expires_in":3600}'),
  'access_token null': token('null'),
  'access_token object': token('{"a":1}'),
  'access_token array': token('["at-1"]'),
  'access_token number': token('12345'),
  'access_token true': token('true'),
  'access_token empty': token('""'),
  'access_token crlf': token('"at-1\\r\\nX-Injected: 1"'),
  'access_token nul': token('"at\\u0000-1"'),
  'access_token space': token('"at 1"'),
  'access_token unicode': token('"at-ü-\\u2028-😀"'),
  'access_token 1 MB': token(`"${megabyte}"`),
  'expires_in negative': expiry('-1'),
  'expires_in zero': expiry('0'),
  'expires_in NaN text': expiry('"NaN"'),
  'expires_in text with a tail': expiry('"3600abc"'),
  'expires_in true': expiry('true'),
  'expires_in 1e999': expiry('1e999'),
  'expires_in 1e20': expiry('1e20'),
  'expires_in object': expiry('{}'),
  'token_type mac': tokenAnswer({ token_type: 'mac' }),
  'token_type object': tokenAnswer({ token_type: {} }),
  'refresh_token object': tokenAnswer({ refresh_token: { a: 1 } }),
  'refresh_token empty': tokenAnswer({ refresh_token: '' }),
  'scope object': tokenAnswer({ scope: { read: true } }),
  'scope 1 MB': tokenAnswer({ scope: megabyte }),
  '__proto__ keys': answer(200, `{"__proto__":${good},"constructor":{"prototype":${good}},"polluted":true}`),
};
