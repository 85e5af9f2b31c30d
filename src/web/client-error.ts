import { randomBytes } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';

/** Requests that are not HTTP enough to become one: node gives us the socket, and they get a problem document all the same. */

type Refusal = { status: 400 | 408 | 431; detail: string };

function refusalOf(code: unknown): Refusal {
  if (code === 'HPE_HEADER_OVERFLOW') return { status: 431, detail: 'The address and the headers together are larger than 16 KiB.' };
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return { status: 408, detail: 'The request did not arrive in time.' };
  return { status: 400, detail: 'This is not an HTTP request.' };
}

/** Answers on the socket and closes it. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const { status, detail } = refusalOf(error.code);
  const requestId = `req_${randomBytes(12).toString('base64url')}`;
  const body = JSON.stringify({
    type: 'https://grantry.dev/problems/invalid_request',
    title: 'The request is not valid.',
    status,
    detail,
    code: 'invalid_request',
    request_id: requestId,
  });
  const headers = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    `X-Request-Id: ${requestId}`,
    'Connection: close',
  ];
  socket.end(`${headers.join('\r\n')}\r\n\r\n${body}`);
}
