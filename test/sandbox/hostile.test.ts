import { afterAll, beforeAll, expect, it } from 'vitest';
import type { SandboxHostile } from '../../src/sandbox/hostile.ts';
import { answer, hostileAnswers, tokenAnswer } from '../../src/sandbox/hostile-answers.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { browser, callback, callbackOf, post, startWorld } from './world.ts';

let sandbox: Sandbox;
let hostile: SandboxHostile;

beforeAll(async () => {
  sandbox = await startWorld();
  hostile = sandbox.providers.hostile;
});
afterAll(() => sandbox.stop());

const ask = () => post(`${hostile.url}/token`, { grant_type: 'client_credentials' });

it('gives the answers in order and stays with the last, and remembers what it was asked', async () => {
  hostile.answerWith(answer(400, '{"error":"first"}'), tokenAnswer({ access_token: 'second' }));
  const answers = [await ask(), await ask(), await ask()];
  expect(answers.map(({ status }) => status)).toEqual([400, 200, 200]);
  expect(answers[2]?.json()).toMatchObject({ access_token: 'second' });
  expect(hostile.seen.at(-1)).toMatchObject({ method: 'POST', target: '/token', body: 'grant_type=client_credentials' });
});

it('approves at once, and only towards registered redirect URIs', async () => {
  const open = (uri: string) => browser().open(`${hostile.url}/authorize?state=s%26&redirect_uri=${encodeURIComponent(uri)}`);
  const back = callbackOf(await open(callback));
  expect(back.get('state')).toBe('s&');
  expect(back.get('code')).toMatch(/^code-/);
  expect((await open('http://localhost:1/')).status).toBe(400);
});

/** What a client without any defence of its own makes of an answer; `hangs` when it gave up after `patienceMs`. */
async function outcome(name: string, patienceMs: number): Promise<string> {
  const shape = hostileAnswers[name];
  if (shape === undefined) throw new Error(name);
  hostile.answerWith(shape);
  try {
    const response = await fetch(`${hostile.url}/token`, { method: 'POST', redirect: 'manual', signal: AbortSignal.timeout(patienceMs) });
    const body = await response.text();
    return `${response.status} ${body.length}`;
  } catch (error) {
    return error instanceof Error && error.name === 'TimeoutError' ? 'hangs' : 'broken';
  }
}

it('has at least 28 shapes', () => {
  expect(Object.keys(hostileAnswers).length).toBeGreaterThanOrEqual(28);
});

it.each(['never ending', 'one byte per second', 'headers and no body', 'no answer at all'])('%s: hangs', async (name) => {
  expect(await outcome(name, 300)).toBe('hangs');
});

it.each([
  'cut mid-body',
  'reset',
  'reset mid-body',
  'content-length too long',
  'content-length twice',
  'chunked garbage',
  'not http',
  '64 kB of headers',
])('%s: breaks the connection or its framing', async (name) => {
  expect(await outcome(name, 10_000)).toBe('broken');
});

const wellFramed = Object.keys(hostileAnswers).filter(
  (name) => !/never|second|no body|no answer|cut|reset|content-length|chunked|not http|headers/.test(name),
);
it.each(wellFramed)('%s: is a whole HTTP answer', async (name) => {
  expect(await outcome(name, 10_000)).toMatch(/^\d{3} \d+$/);
});
