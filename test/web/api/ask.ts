import { request } from 'node:http';
import { expect } from 'vitest';
import { problem } from '../../../src/web/api/schemas.ts';

/** One plain HTTP request: what fetch would refuse to send goes out as well. */

export type Ask = { method?: string; path: string; key?: string; headers?: Record<string, string>; body?: string | Buffer };
export type Told = { status: number; headers: Record<string, string>; text: string };

export function ask(base: string, { method = 'GET', path, key, headers = {}, body }: Ask): Promise<Told> {
  const { hostname, port } = new URL(base);
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: hostname, port, method, path, headers: { ...(key !== undefined && { authorization: `Bearer ${key}` }), ...headers }, agent: false },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          // How many calls are left differs with each of them, and answers are compared.
          const { ratelimit: _, ...headers } = answer.headers;
          const flat = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]);
          resolve({ status: answer.statusCode ?? 0, headers: Object.fromEntries(flat), text: Buffer.concat(chunks).toString('utf8') });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

export const json = (value: unknown): Pick<Ask, 'headers' | 'body'> => ({
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
});

export const requestId = 'test-request-0001';

export type Refused = { status: number; code: string; pointers: string[]; detail: string; retryAfterS: number | undefined };

/** Checks that an answer is a problem document as all of them are, and says what it holds. */
export function refusalOf(told: Told): Refused {
  expect(told.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  expect(told.headers['x-content-type-options']).toBe('nosniff');
  expect(told.headers['cache-control']).toBe('no-store');
  expect(told.headers['x-powered-by']).toBeUndefined();
  expect(told.text).not.toMatch(/\n\s+at |node_modules|\.ts:\d/);
  const document = problem.parse(JSON.parse(told.text));
  expect(document.status).toBe(told.status);
  expect(document.request_id).toBe(told.headers['x-request-id']);
  expect(document.type).toBe(`https://grantry.dev/problems/${document.code}`);
  const retryAfter = told.headers['retry-after'];
  return {
    status: told.status,
    code: document.code,
    pointers: (document.errors ?? []).map(({ pointer }) => pointer),
    detail: document.detail ?? '',
    retryAfterS: retryAfter === undefined ? undefined : Number(retryAfter),
  };
}
