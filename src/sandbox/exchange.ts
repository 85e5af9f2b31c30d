import type { IncomingMessage, ServerResponse } from 'node:http';

/** Reads a request and answers it: the little that a sandbox provider needs of HTTP. */

const maxBodyBytes = 64 * 1024;

/** The whole body as text, 64 KiB at most; throws beyond. */
export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > maxBodyBytes) throw new Error('The body is too large.');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The body of a form post; empty for any other content type. */
export async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const body = await readBody(request);
  const isForm = /^application\/x-www-form-urlencoded(?:;|$)/i.test(request.headers['content-type'] ?? '');
  return new URLSearchParams(isForm ? body : '');
}

/** The request's target as a URL; the host is the listener's, whatever the Host header says. */
export function targetOf(request: IncomingMessage, base: string): URL {
  return new URL(base + (request.url ?? '/'));
}

export function answerJson(response: ServerResponse, status: number, value: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers }).end(JSON.stringify(value));
}

export function answerForm(response: ServerResponse, status: number, values: Record<string, string>): void {
  response
    .writeHead(status, { 'content-type': 'application/x-www-form-urlencoded', 'cache-control': 'no-store' })
    .end(new URLSearchParams(values).toString());
}

export function answerPage(response: ServerResponse, status: number, html: string): void {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(html);
}

export function redirectTo(response: ServerResponse, url: string | URL): void {
  response.writeHead(303, { location: String(url), 'cache-control': 'no-store' }).end();
}

/** `url` with the parameters added to its query. */
export function withParams(url: string, params: Record<string, string>): URL {
  const target = new URL(url);
  for (const [name, value] of Object.entries(params)) target.searchParams.set(name, value);
  return target;
}
