import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { checkCanary } from '../../src/outside/canary.ts';
import { createDataKeys } from '../../src/outside/data-keys.ts';
import { createDoor } from '../../src/outside/http.ts';
import { type KeyProvider, replacing, type WrapContext, wrapSurely } from '../../src/outside/key-provider.ts';
import { generateKeyRing, parseKeyRing } from '../../src/outside/key-ring.ts';
import { createKms } from '../../src/outside/kms.ts';
import { createSeal } from '../../src/outside/seal.ts';
import { Secret } from '../../src/protocol/secret.ts';
import type { Fault } from '../../src/sandbox/fault.ts';
import { type SandboxKms, startKms } from '../../src/sandbox/kms.ts';
import { createDataKeyMemory, type DataKeyMemory } from './data-key-memory.ts';

const integrity = expect.objectContaining({ code: 'integrity_error' });
const context: WrapContext = ['data_key', 'default', 'dk_1'];
const secret = randomBytes(32);
const place = { project: 'default', table: 't', row: 'r', field: 'f', version: 1 };
const silent = { warn: () => {} };

let kms: SandboxKms;
let provider: KeyProvider;
let store: DataKeyMemory;
const door = createDoor({ allowPrivateHosts: true, deadlineMs: 400, maxBodyBytes: 16_384 });

const providerOf = ({ url, token }: Pick<SandboxKms, 'url' | 'token'>) =>
  createKms({ url, send: door.send, credential: async () => new Secret(token), log: silent });

beforeAll(async () => {
  kms = await startKms();
});
beforeEach(() => {
  kms.switches.fault = { kind: 'none' };
  kms.switches.answers = 'honest';
  provider = providerOf(kms);
  store = createDataKeyMemory();
});
afterAll(async () => {
  await door.close();
  await kms.stop();
});

/** What a call is refused with while the service has the fault. */
async function during<T>(fault: Fault, call: () => Promise<T>): Promise<T> {
  kms.switches.fault = fault;
  try {
    return await call();
  } finally {
    kms.switches.fault = { kind: 'none' };
  }
}

describe('wrapping', () => {
  it('unwraps in the same context only, also after the service has turned to another key, and never after it has lost the key', async () => {
    const wrapped = await provider.wrap(context, secret);
    const key = provider.keyOf(wrapped);
    expect([await provider.current(context), provider.isOwn(wrapped)]).toEqual([key, true]);
    expect(wrapped).not.toContain(secret.toString('base64url'));
    await expect(provider.unwrap(['data_key', 'other', 'dk_1'], wrapped)).rejects.toEqual(integrity);
    const next = kms.rotate();
    expect(provider.keyOf(await provider.wrap(context, secret))).toBe(next);
    expect(Buffer.from(await provider.unwrap(context, wrapped))).toEqual(secret);
    kms.forget(key);
    await expect(provider.unwrap(context, wrapped)).rejects.toEqual(integrity);
  });

  it('refuses what it did not wrap, without asking', async () => {
    const asked = kms.counters.unwrap;
    for (const text of ['', 'x', 'kms:', 'kms:a b.c', await parseKeyRing(generateKeyRing()).wrap(context, secret)])
      await expect(provider.unwrap(context, text), text).rejects.toEqual(integrity);
    expect(kms.counters.unwrap).toBe(asked);
  });
});

const faults: [string, Fault, RegExp][] = [
  ['down', { kind: 'down' }, /answers with 503/],
  ['broken', { kind: 'error_500' }, /answers with 500/],
  ['asking for patience', { kind: 'retry_after', seconds: 3, status: 429 }, /answers with 429/],
  ['slow', { kind: 'slow', ms: 5_000 }, /does not answer/],
  ['cut off', { kind: 'drop' }, /does not answer/],
  ['talking nonsense', { kind: 'garbage' }, /cannot be used/],
  ['forbidding it', { kind: 'refuse', error: 'forbidden', status: 403 }, /refuses our credential.*GRANTRY_KMS_TOKEN_FILE/],
  ['refusing us', { kind: 'refuse', error: 'unauthorized', status: 401 }, /refuses our credential/],
  ['refusing the request', { kind: 'refuse', error: 'bad_request', status: 400 }, /answers with 400/],
];

describe.each(faults)('a service that is %s', (_, fault, message) => {
  it('is told of in one sentence, and everything that needs it can be tried again', async () => {
    const wrapped = await provider.wrap(context, secret);
    const unavailable = { code: 'unavailable', retryable: true, message: expect.stringMatching(message), details: { retryAfterS: 5 } };
    const calls: (() => Promise<unknown>)[] = [
      () => provider.current(context),
      () => provider.wrap(context, secret),
      () => provider.unwrap(context, wrapped),
      () => checkCanary(provider, store),
      () => createSeal({ provider, store }).seal(place, 'x'),
    ];
    for (const call of calls) await expect(during(fault, call)).rejects.toMatchObject(unavailable);
    expect([store.records, await store.canary()]).toEqual([[], undefined]);
  });
});

it('nothing listens there; the address is private and that was not allowed; the credential is another one', async () => {
  await expect(providerOf({ ...kms, url: 'http://127.0.0.1:1/v1' }).current(context)).rejects.toMatchObject({ code: 'unavailable' });
  await expect(providerOf({ ...kms, token: 'other' }).current(context)).rejects.toThrow(/refuses our credential/);
  const strict = createDoor({ allowPrivateHosts: false });
  const refused = createKms({ url: 'https://10.0.0.1/v1', send: strict.send, credential: async () => new Secret('x'), log: silent });
  await expect(refused.current(context)).rejects.toThrow(/GRANTRY_KMS_ALLOW_PRIVATE_HOST/);
  await strict.close();
});

it('what goes wrong is in the log once a minute, and not each time: whoever has such a service could fill it otherwise', async () => {
  let nowMs = 0;
  const lines: unknown[] = [];
  const log = { warn: (line: unknown) => void lines.push(line) };
  const credential = async () => new Secret(kms.token);
  const failing = createKms({ url: kms.url, send: door.send, credential, log, elapsedMs: () => nowMs });
  const fails = (fault: Fault) => during(fault, () => expect(failing.current()).rejects.toMatchObject({ code: 'unavailable' }));
  for (let n = 0; n < 3; n += 1) await fails({ kind: 'down' });
  await fails({ kind: 'error_500' });
  expect(lines).toMatchObject([{ what: 'answers with 503' }]);
  await fails({ kind: 'drop' });
  expect(lines).toMatchObject([{}, { what: 'does not answer' }]);
  nowMs = 60_000;
  for (let n = 0; n < 3; n += 1) await fails({ kind: 'down' });
  expect(lines).toMatchObject([{}, {}, { what: 'answers with 503' }]);
});

describe('what is in memory', () => {
  it('seals and opens without the service, however long it is away; a new project is refused until it is back', async () => {
    let nowMs = 0;
    const seal = createSeal({ provider, store, nowMs: () => nowMs });
    const sealed = await seal.seal(place, 'token');
    const asked = { ...kms.counters };
    // The sealing key is read again each minute: from Postgres alone, also while the service could be asked.
    nowMs += 3_600_000;
    await seal.seal(place, 'another');
    expect(kms.counters).toEqual(asked);
    kms.switches.fault = { kind: 'down' };
    nowMs += 3_600_000;
    expect(await seal.open(place, await seal.seal(place, 'another'))).toBe('another');
    expect(seal.openCached(place, sealed)).toBe('token');
    expect(kms.counters).toEqual(asked);
    const other = { ...place, project: 'new' };
    await expect(seal.seal(other, 'x')).rejects.toMatchObject({ code: 'unavailable' });
    kms.switches.fault = { kind: 'none' };
    expect(await seal.open(other, await seal.seal(other, 'x'))).toBe('x');
  });

  it('costs the service one call for each key, whoever asks', async () => {
    const { kid } = await createDataKeys({ provider, store }).forSealing('default');
    const before = kms.counters.unwrap;
    const keys = createDataKeys({ provider, store });
    await Promise.all(Array.from({ length: 50 }, () => Promise.all([keys.forOpening('default', kid), keys.forSealing('default')])));
    expect(kms.counters.unwrap - before).toBeLessThanOrEqual(2);
  });

  it('a key that cannot be opened again is never stored', async () => {
    kms.switches.answers = 'lying';
    await expect(createSeal({ provider, store }).seal(place, 'x')).rejects.toEqual(integrity);
    await expect(wrapSurely(provider, context, secret)).rejects.toThrow(/does not open to the same again/);
    expect(store.records).toEqual([]);
  });
});

describe('the canary', () => {
  it('refuses another service, and one that lies', async () => {
    await checkCanary(provider, store);
    await checkCanary(provider, store);
    const other = await startKms();
    await expect(checkCanary(providerOf(other), store)).rejects.toMatchObject({
      code: 'integrity_error',
      message: expect.stringContaining('not the keys'),
    });
    await other.stop();
    kms.switches.answers = 'lying';
    await expect(checkCanary(provider, store)).rejects.toMatchObject({ code: 'integrity_error', message: expect.stringContaining('not the keys') });
    await expect(checkCanary(parseKeyRing(generateKeyRing()), store)).rejects.toEqual(integrity);
  });
});

describe('the way from one provider to the other', () => {
  it.each(['to', 'from'])('%s the service: the new one wraps, both open', async (way) => {
    const ring = parseKeyRing(generateKeyRing());
    const [former, current] = way === 'to' ? [ring, provider] : [provider, ring];
    await checkCanary(former, store);
    const sealed = await createSeal({ provider: former, store }).seal(place, 'before');
    const both = replacing(former, current);
    await checkCanary(both, store);
    const seal = createSeal({ provider: both, store });
    expect(await seal.open(place, sealed)).toBe('before');
    const wrapped = await wrapSurely(both, context, secret);
    expect([current.isOwn(wrapped), both.keyOf(wrapped)]).toEqual([true, await current.current(context)]);
    // Without the former one it does not start.
    await expect(checkCanary(current, store)).rejects.toEqual(integrity);
  });
});
