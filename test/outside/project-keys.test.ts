import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { checkCanary } from '../../src/outside/canary.ts';
import { createDataKeys } from '../../src/outside/data-keys.ts';
import { createDoor } from '../../src/outside/http.ts';
import { type KeyProvider, replacing, type WrapContext } from '../../src/outside/key-provider.ts';
import { parseKeyRing } from '../../src/outside/key-ring.ts';
import { createKms } from '../../src/outside/kms.ts';
import { byProject, type OwnKey, ownedOf, proveOwnRings } from '../../src/outside/project-keys.ts';
import { createSeal } from '../../src/outside/seal.ts';
import { Secret } from '../../src/protocol/secret.ts';
import { type SandboxKms, startKms } from '../../src/sandbox/kms.ts';
import { createDataKeyMemory, type DataKeyMemory } from './data-key-memory.ts';

const integrity = expect.objectContaining({ code: 'integrity_error' });
/** Everybody calls his key the same. */
const ringOf = (name: string) => parseKeyRing(JSON.stringify({ keys: [{ kty: 'oct', kid: 'kek', k: randomBytes(32).toString('base64url') }] }), name);
const ringKey = (name: string): OwnKey => {
  const ring = ringOf(name);
  return { provider: ring, use: 'wrap', ring };
};
const contextOf = (project: string): WrapContext => ['data_key', project, 'dk_1'];
const placeOf = (project: string) => ({ project, table: 't', row: 'r', field: 'f', version: 1 });
const secret = randomBytes(32);
const door = createDoor({ allowPrivateHosts: true, deadlineMs: 2_000, maxBodyBytes: 16_384 });

let deployment: KeyProvider;
let own: Map<string, OwnKey>;
let provider: KeyProvider;
let store: DataKeyMemory;
let kms: SandboxKms;

const serviceOf = (project: string, { url, token }: SandboxKms) =>
  createKms({
    url,
    send: door.send,
    credential: async () => new Secret(token),
    log: { warn() {} },
    about: { project, tokenFile: 'its token_file', allowPrivateHost: 'its allow_private_host' },
  });

beforeAll(async () => {
  kms = await startKms();
});
afterAll(async () => {
  await door.close();
  await kms.stop();
});
beforeEach(() => {
  kms.switches.fault = { kind: 'none' };
  deployment = ringOf('GRANTRY_KEYS');
  own = new Map([
    ['a', ringKey('the ring of a')],
    ['b', ringKey('the ring of b')],
    ['served', { provider: serviceOf('served', kms), use: 'wrap', ring: undefined }],
  ]);
  provider = byProject(deployment, own);
  store = createDataKeyMemory();
});

describe('who wraps', () => {
  it('a project’s own key, for its data keys and nothing else; the deployment’s key for everybody else', async () => {
    for (const [project, key] of own) {
      const wrapped = await provider.wrap(contextOf(project), secret);
      const { project: named, wrapped: inner = '' } = ownedOf(wrapped) ?? {};
      expect([named, provider.isOwn(wrapped)]).toEqual([project, true]);
      expect(Buffer.from(await key.provider.unwrap(contextOf(project), inner))).toEqual(secret);
      await expect(deployment.unwrap(contextOf(project), inner)).rejects.toEqual(integrity);
      expect(Buffer.from(await provider.unwrap(contextOf(project), wrapped))).toEqual(secret);
      expect(provider.keyOf(wrapped)).toBe(`${await key.provider.current(contextOf(project))} of ${project}`);
      expect(await provider.current(contextOf(project))).toBe(provider.keyOf(wrapped));
    }
    for (const context of [contextOf('c'), ['canary'], ['canary', 'a'], ['other', 'a', 'dk_1']] satisfies WrapContext[]) {
      const wrapped = await provider.wrap(context, secret);
      expect([ownedOf(wrapped), provider.keyOf(wrapped), await provider.current(context)]).toEqual([undefined, 'kek', 'kek']);
      expect(Buffer.from(await deployment.unwrap(context, wrapped))).toEqual(secret);
    }
    expect([provider.kind, provider.name]).toEqual([deployment.kind, deployment.name]);
  });

  it('the canary asks no project’s service', async () => {
    const asked = { ...kms.counters };
    await checkCanary(provider, store);
    await checkCanary(provider, store);
    expect(kms.counters).toEqual(asked);
    await expect(checkCanary(byProject(ringOf('another'), own), store)).rejects.toThrow(/not the keys/);
  });
});

describe('what another one has wrapped', () => {
  it('is refused in the row of another project, without asking anybody, though the keys have the same name', async () => {
    const asked = { ...kms.counters };
    const byA = await provider.wrap(contextOf('a'), secret);
    for (const project of ['b', 'served', 'c']) {
      await expect(provider.unwrap(contextOf(project), byA)).rejects.toThrow(/key of another project/);
      // Nor does it help to change the name in front.
      await expect(provider.unwrap(contextOf(project), byA.replace('own:a:', `own:${project}:`))).rejects.toEqual(integrity);
    }
    await expect(provider.unwrap(['canary'], byA)).rejects.toEqual(integrity);
    expect(kms.counters).toEqual(asked);
  });

  it('does not open for another project with the same key either', async () => {
    const shared = ringKey('a ring that two have');
    const both = byProject(
      deployment,
      new Map([
        ['a', shared],
        ['b', shared],
      ]),
    );
    const byA = await both.wrap(contextOf('a'), secret);
    await expect(both.unwrap(contextOf('b'), byA.replace('own:a:', 'own:b:'))).rejects.toEqual(integrity);
    const service = serviceOf('a', kms);
    const one = byProject(deployment, new Map(['a', 'b'].map((project) => [project, { provider: service, use: 'wrap', ring: undefined }])));
    const served = await one.wrap(contextOf('a'), secret);
    await expect(one.unwrap(contextOf('b'), served.replace('own:a:', 'own:b:'))).rejects.toEqual(integrity);
  });

  it('one project’s data key opens nothing in the row of another one', async () => {
    const seal = createSeal({ provider, store });
    const [sealedA] = await Promise.all([seal.seal(placeOf('a'), 'of a'), seal.seal(placeOf('b'), 'of b')]);
    const [rowA, rowB] = ['a', 'b'].map((project) => store.records.find(({ project_id }) => project_id === project));
    if (rowA === undefined || rowB === undefined) throw new Error('no rows');
    store.records.splice(0, 2, rowA, { ...rowB, wrapped: rowA.wrapped });
    const fresh = createSeal({ provider, store });
    await expect(fresh.seal(placeOf('b'), 'x')).rejects.toThrow(/key of another project/);
    expect(await fresh.open(placeOf('a'), sealedA)).toBe('of a');
  });
});

describe('the way to an own key, and back', () => {
  it('what the deployment’s key wrapped opens; what is new is wrapped by the own one alone', async () => {
    const sealed = await createSeal({ provider: deployment, store }).seal(placeOf('a'), 'before');
    const seal = createSeal({ provider, store });
    expect(await seal.open(placeOf('a'), sealed)).toBe('before');
    store.records.splice(0, 1, ...store.records.map((record) => ({ ...record, retired_at: new Date() })));
    await seal.seal(placeOf('a'), 'after');
    expect(store.records.map(({ wrapped }) => ownedOf(wrapped)?.project)).toEqual([undefined, 'a']);
    expect(store.records[1]?.wrapped_by).toBe('kek of a');
  });

  it('a project that gives its key up is wrapped for by the deployment again; the former key opens what it has wrapped', async () => {
    const key = own.get('a');
    const sealed = await createSeal({ provider, store }).seal(placeOf('a'), 'before');
    const back = byProject(deployment, new Map(key && [['a', { ...key, use: 'unwrap' as const }]]));
    expect(await createSeal({ provider: back, store }).open(placeOf('a'), sealed)).toBe('before');
    expect(ownedOf(await back.wrap(contextOf('a'), secret))).toBeUndefined();
    expect(await back.current(contextOf('a'))).toBe('kek');
  });

  it('from a ring of its own to a service of its own', async () => {
    const ring = ringOf('the ring of a');
    const byRing = await byProject(deployment, new Map([['a', { provider: ring, use: 'wrap', ring }]])).wrap(contextOf('a'), secret);
    const service = serviceOf('a', kms);
    const both = byProject(deployment, new Map([['a', { provider: replacing(ring, service), use: 'wrap', ring }]]));
    expect(Buffer.from(await both.unwrap(contextOf('a'), byRing))).toEqual(secret);
    const wrapped = await both.wrap(contextOf('a'), secret);
    expect(service.isOwn(ownedOf(wrapped)?.wrapped ?? '')).toBe(true);
    expect(both.keyOf(wrapped)).toMatch(/^sandbox\/master\/\S+ of a$/);
  });
});

describe('a key that is gone', () => {
  it('is missed by its project alone, which the error names; nothing is made in its place', async () => {
    const seal = createSeal({ provider, store });
    const sealed = Object.fromEntries(
      await Promise.all(['a', 'b', 'c'].map(async (project) => [project, await seal.seal(placeOf(project), project)] as const)),
    );
    own.delete('a');
    const without = createSeal({ provider: byProject(deployment, own), store });
    await expect(without.open(placeOf('a'), sealed.a ?? '')).rejects.toThrow(
      /project "a" are wrapped by a key of its own.*GRANTRY_PROJECT_KEYS_FILE/,
    );
    await expect(without.seal(placeOf('a'), 'x')).rejects.toEqual(integrity);
    for (const project of ['b', 'c']) expect(await without.open(placeOf(project), sealed[project] ?? '')).toBe(project);
    expect(store.records).toHaveLength(3);
  });

  it('a service that is away is named with its project; what is in memory goes on without it', async () => {
    const seal = createSeal({ provider, store });
    const sealed = await seal.seal(placeOf('served'), 'token');
    const asked = { ...kms.counters };
    kms.switches.fault = { kind: 'down' };
    expect(seal.openCached(placeOf('served'), sealed)).toBe('token');
    expect(kms.counters).toEqual(asked);
    const fresh = createSeal({ provider, store });
    const message = expect.stringMatching(/key service of the project served at 127\.0\.0\.1:\d+ answers with 503/);
    await expect(fresh.open(placeOf('served'), sealed)).rejects.toMatchObject({ code: 'unavailable', message, details: { retryAfterS: 5 } });
    expect(await fresh.open(placeOf('b'), await fresh.seal(placeOf('b'), 'x'))).toBe('x');
    kms.switches.fault = { kind: 'refuse', error: 'forbidden', status: 403 };
    await expect(fresh.open(placeOf('served'), sealed)).rejects.toThrow(/refuses our credential.*its token_file/);
  });
});

describe('at start', () => {
  const prove = (keys: Map<string, OwnKey>) => proveOwnRings(keys, store);

  it('a ring is tried on the data key that seals, and nothing is asked of a service', async () => {
    const keys = createDataKeys({ provider, store });
    for (const project of ['a', 'b', 'served', 'c']) await keys.forSealing(project);
    const asked = { ...kms.counters };
    await prove(own);
    kms.switches.fault = { kind: 'down' };
    await prove(own);
    expect(kms.counters).toEqual(asked);
    await expect(prove(new Map(own).set('b', ringKey('the ring of b')))).rejects.toThrow(/key ring of the project b .*not the one/);
    // A ring is no answer to what a service has wrapped.
    await expect(prove(new Map(own).set('served', ringKey('the ring of served')))).rejects.toEqual(integrity);
    // One that nobody needs yet, or that is needed for what was retired only, is not tried.
    await prove(new Map(own).set('c', ringKey('the ring of c')));
    store.records.splice(0, 4, ...store.records.map((record) => ({ ...record, retired_at: new Date() })));
    await prove(new Map(own).set('b', ringKey('the ring of b')));
  });

  it('a ring beside a service is tried on what a ring has wrapped', async () => {
    const service = serviceOf('a', kms);
    const with_ = (ring: KeyProvider): Map<string, OwnKey> => new Map([['a', { provider: replacing(ring, service), use: 'wrap', ring }]]);
    await createDataKeys({ provider, store }).forSealing('a');
    const ring = own.get('a')?.provider ?? deployment;
    await prove(with_(ring));
    await expect(prove(with_(ringOf('another')))).rejects.toEqual(integrity);
  });

  it('knows which master keys are there; what only a service, or nobody, can tell of is no reason not to start', () => {
    const held = (id: string) => provider.holds?.(id);
    expect(['kek', 'kek of a', 'kek of b', 'any of served', 'kek of gone'].map(held)).toEqual([true, true, true, true, true]);
    expect(['other', 'other of a'].map(held)).toEqual([false, false]);
    expect(byProject(serviceOf('x', kms), own).holds).toBeUndefined();
  });
});
