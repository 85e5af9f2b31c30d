import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { outcomeOf } from '../../src/cli/outcome.ts';
import { createGrantryClient, UnreadableAnswer } from '../../src/client/client.ts';
import { type Local, serveHttp } from '../outside/local-servers.ts';

/** What answers is not always a broker: another server, a proxy in front of it, or nobody. */

let server: Local | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function talkingTo(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  server = await serveHttp(answer);
  const url = `http://127.0.0.1:${server.port}`;
  return { url, client: createGrantryClient({ baseUrl: url, apiKey: 'k' }) };
}
const saying =
  (status: number, type: string, body: string, headers: Record<string, string> = {}) =>
  (_: IncomingMessage, response: ServerResponse) => {
    response.writeHead(status, { 'content-type': type, ...headers }).end(body);
  };
const thrownBy = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    (answer) => new Error(`answered ${JSON.stringify(answer)}`),
    (error: unknown) => error,
  );

describe('an answer that is not of Grantry', () => {
  test.each([
    ['a page', saying(200, 'text/html', '<h1>Welcome</h1>')],
    ['broken JSON', saying(200, 'application/json', '{"a":')],
    ['JSON that is no object', saying(200, 'application/json', '"hello"')],
  ])('%s', async (_, answer) => {
    const { url, client } = await talkingTo(answer);
    for (const options of [{}, { accept: 'application/yaml' }]) {
      const error = await thrownBy(client.call('GET', '/v1/providers', options));
      expect(error).toBeInstanceOf(UnreadableAnswer);
      const outcome = outcomeOf(error, url);
      expect(outcome).toMatchObject({ exitCode: 3, problem: { code: 'unreachable' } });
      expect(outcome.text).toBe(`unreachable: What answers at ${url} is not Grantry. Set GRANTRY_URL or --url to the broker's address.`);
    }
  });

  test.each([
    [502, 'what stands before the broker'],
    [404, 'not in the words of Grantry'],
  ])('HTTP %i with a page', async (status, words) => {
    const { url, client } = await talkingTo(saying(status, 'text/html', '<h1>no</h1>', { 'retry-after': 'Mon, 30 Nov 2026 00:00:00 GMT' }));
    const error = await thrownBy(client.call('GET', '/v1/providers'));
    expect(error).toMatchObject({ status, code: 'unknown', retryAfterS: undefined });
    expect(outcomeOf(error, url)).toMatchObject({ exitCode: 3, text: expect.stringContaining(words) });
  });

  test('a redirect is not followed: the key goes nowhere else, and a POST stays one', async () => {
    const seen: string[] = [];
    const { url, client } = await talkingTo((request, response) => {
      seen.push(`${request.method} ${request.url}`);
      response.writeHead(301, { location: '/elsewhere' }).end();
    });
    const error = await thrownBy(client.call('POST', '/v1/connections', { body: {} }));
    expect(seen).toEqual(['POST /v1/connections']);
    expect(outcomeOf(error, url)).toMatchObject({ exitCode: 3, text: expect.stringContaining('sends callers on to /elsewhere') });
  });
});

test('what no header can hold is not told as a broker that is away', async () => {
  const { url } = await talkingTo(saying(200, 'application/json', '{}'));
  expect(await thrownBy(createGrantryClient({ baseUrl: url, apiKey: 'a\nb' }).call('GET', '/v1/providers'))).toBeInstanceOf(TypeError);
  expect(await thrownBy(createGrantryClient({ baseUrl: url, apiKey: 'k', project: '\u0416' }).call('GET', '/v1/providers'))).toBeInstanceOf(
    TypeError,
  );
});

test('one that says nothing is left after the time that is given', async () => {
  const { url, client } = await talkingTo(() => {});
  expect(outcomeOf(await thrownBy(client.call('GET', '/v1/diagnostics', { timeoutMs: 50 })), url)).toMatchObject({ exitCode: 3 });
});
