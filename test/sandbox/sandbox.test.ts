import { request } from 'node:http';
import { expect, it, vi } from 'vitest';
import { definitionSchema } from '../../src/protocol/definition/schema.ts';
import { hostileAnswers } from '../../src/sandbox/hostile-answers.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';

const publicUrl = 'http://localhost:39999';

// The first test of the file: what a library says while it is loaded, it says once.
it('prints nothing', async () => {
  const spies = [
    vi.spyOn(process.stdout, 'write'),
    vi.spyOn(process.stderr, 'write'),
    ...(['log', 'info', 'warn', 'error'] as const).map((name) => vi.spyOn(console, name)),
  ];
  const { providers, stop } = await startSandbox({ publicUrl });
  await fetch(`${providers.authorizationServer.url}/token`, { method: 'POST' });
  await fetch(`${providers.authorizationServer.url}/auth?client_id=x`);
  await stop();
  const calls = spies.flatMap((spy) => spy.mock.calls);
  vi.restoreAllMocks();
  expect(calls).toEqual([]);
});

it('gives definitions that the schema takes, under their ids', async () => {
  const { providers, stop } = await startSandbox({ publicUrl });
  await stop();
  const { authorizationServer, phonegap, nexmo, keyService, hostile } = providers;
  const texts = [
    ...[authorizationServer, phonegap, nexmo, keyService, hostile].map(({ definition }) => definition),
    nexmo.definitionWithCallback,
    nexmo.definitionWithPin,
  ];
  expect(texts.map((text) => definitionSchema.parse(JSON.parse(text)).id)).toEqual([
    'sandbox-as',
    'sandbox-phonegap',
    'sandbox-nexmo',
    'sandbox-keys',
    'sandbox-hostile',
    'sandbox-oauth1',
    'sandbox-oauth1-pin',
  ]);
});

it('is at addresses of 127.0.0.1 only, each its own', async () => {
  const { providers, stop } = await startSandbox({ publicUrl });
  await stop();
  const urls = Object.values(providers).map(({ url }) => url);
  expect(new Set(urls).size).toBe(5);
  for (const url of urls) expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
});

it('ends every answer and every timer when it stops', async () => {
  const { providers, stop } = await startSandbox({ publicUrl });
  const { hostile, authorizationServer } = providers;
  const { 'never ending': forever, 'no answer at all': silent } = hostileAnswers;
  if (forever === undefined || silent === undefined) throw new Error('a shape is missing');
  hostile.answerWith(forever, silent);
  authorizationServer.switches.fault = { kind: 'slow', ms: 600_000 };

  const cut = (url: string) =>
    new Promise<void>((resolve) => {
      const call = request(url, { method: 'POST' }, (response) => response.resume().once('error', () => resolve()));
      call.once('error', () => resolve());
      call.end();
    });
  const open = Promise.all([cut(`${hostile.url}/token`), cut(`${hostile.url}/token`), cut(`${authorizationServer.url}/token`)]);
  await expect.poll(() => [hostile.counters.token_requests]).toEqual([2]);
  await stop();
  await open;
  await expect(fetch(hostile.url)).rejects.toThrow();
});
