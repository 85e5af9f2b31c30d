import { beforeEach, expect, it } from 'vitest';
import type { KeyProvider } from '../../src/outside/key-provider.ts';
import { sparing } from '../../src/outside/sparing.ts';
import { GrantryError } from '../../src/protocol/errors.ts';

/** A service whose answers take as long as the test wants, by a clock that stands still meanwhile. */

const away = { code: 'unavailable', message: 'It does not answer.' };
let nowMs: number;
type Outcome = 'answers' | 'fails' | 'refuses';
let state: { takesMs: number; outcome: Outcome; looks?: Outcome };
let calls: number;
let unwraps: number;
let provider: KeyProvider;

beforeEach(() => {
  nowMs = 0;
  calls = 0;
  unwraps = 0;
  state = { takesMs: 0, outcome: 'answers' };
  const answer = async <T>(value: T, { takesMs, outcome } = state): Promise<T> => {
    calls += 1;
    await new Promise((resolve) => setImmediate(resolve));
    nowMs += takesMs;
    if (outcome === 'fails') throw new GrantryError('unavailable', { detail: 'It does not answer.', retryAfterS: 5 });
    if (outcome === 'refuses') throw new GrantryError('integrity_error', { detail: 'It refuses.' });
    return value;
  };
  const service: KeyProvider = {
    name: 'a service',
    kind: 'kms',
    current: () => answer('k', { ...state, outcome: state.looks ?? state.outcome }),
    wrap: () => answer('w'),
    unwrap: () => {
      unwraps += 1;
      return answer(new Uint8Array(1));
    },
    isOwn: () => true,
    keyOf: () => 'k',
  };
  provider = sparing(service, () => nowMs);
});

const ask = () => provider.unwrap(['data_key', 'p', 'k'], 'w');
const settled = async () => {
  for (let n = 0; n < 5; n += 1) await new Promise((resolve) => setImmediate(resolve));
};

it('after one call that waited in vain nobody waits, until the service answers again', async () => {
  state = { takesMs: 2_000, outcome: 'fails' };
  await expect(ask()).rejects.toMatchObject(away);
  expect(calls).toBe(1);
  // The first one sets off a look on the side; the others do not come to the service at all.
  const begunMs = nowMs;
  for (let n = 0; n < 20; n += 1) await expect(ask()).rejects.toMatchObject(away);
  await expect(provider.wrap(['canary'], new Uint8Array(1))).rejects.toMatchObject(away);
  await expect(provider.current(['canary'])).rejects.toMatchObject(away);
  await settled();
  expect(calls).toBe(2);
  expect(nowMs - begunMs).toBe(2_000);
  // It is not looked at all the time.
  await expect(ask()).rejects.toMatchObject(away);
  await settled();
  expect(calls).toBe(2);
  state = { takesMs: 0, outcome: 'answers' };
  nowMs += 1_000;
  await expect(ask()).rejects.toMatchObject(away);
  await settled();
  expect(calls).toBe(3);
  await ask();
  expect(calls).toBe(4);
});

it('one that does what is wanted, and fails at what it is looked at by, is used again: one caller in 5 s asks for himself', async () => {
  state = { takesMs: 2_000, outcome: 'fails' };
  await expect(ask()).rejects.toMatchObject(away);
  nowMs += 5_001;
  await Promise.all([1, 2, 3].map(() => expect(ask()).rejects.toMatchObject(away)));
  await settled();
  expect(unwraps).toBe(2);
  await expect(ask()).rejects.toMatchObject(away);
  await settled();
  expect(unwraps).toBe(2);
  state = { takesMs: 2_000, outcome: 'answers', looks: 'fails' };
  nowMs += 5_001;
  await ask();
  await Promise.all([ask(), ask()]);
  expect(unwraps).toBe(5);
});

it('one that says at once that it cannot is asked by everybody', async () => {
  state = { takesMs: 20, outcome: 'fails' };
  for (let n = 0; n < 3; n += 1) await expect(ask()).rejects.toMatchObject(away);
  expect(calls).toBe(3);
  state = { takesMs: 0, outcome: 'answers' };
  await ask();
});

it('one that refuses slowly has answered', async () => {
  state = { takesMs: 5_000, outcome: 'refuses' };
  for (let n = 0; n < 3; n += 1) await expect(ask()).rejects.toMatchObject({ code: 'integrity_error' });
  expect(calls).toBe(3);
});
