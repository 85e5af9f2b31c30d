import { inspect } from 'node:util';
import { beforeEach, describe, expect, it } from 'vitest';
import { createDataKeys } from '../../src/outside/data-keys.ts';
import type { KeyProvider } from '../../src/outside/key-provider.ts';
import { generateKeyRing, parseKeyRing } from '../../src/outside/key-ring.ts';
import { createSeal } from '../../src/outside/seal.ts';
import { GrantryError } from '../../src/protocol/errors.ts';
import { createDataKeyMemory, type DataKeyMemory } from './data-key-memory.ts';

const integrity = expect.objectContaining({ code: 'integrity_error' });
const bytesOf = (dataKey: { key: { export(): Buffer } }) => dataKey.key.export().toString('hex');

let provider: KeyProvider;
let store: DataKeyMemory;

beforeEach(() => {
  provider = parseKeyRing(generateKeyRing());
  store = createDataKeyMemory();
});

function recordAt(index: number) {
  const record = store.records[index];
  if (record === undefined) throw new Error('no such record');
  return record;
}

describe('the first key of a project', () => {
  it('is made by its first seal, 256 bits, wrapped', async () => {
    const dataKey = await createDataKeys({ provider, store }).forSealing('default');
    expect(dataKey.key.symmetricKeySize).toBe(32);
    expect(store.records).toMatchObject([{ project_id: 'default', kid: dataKey.kid, retired_at: null }]);
    expect(Buffer.from(recordAt(0).wrapped, 'base64url').toString('hex')).not.toContain(bytesOf(dataKey));
  });

  it('is one, however many callers and processes ask at once', async () => {
    const processes = Array.from({ length: 5 }, () => createDataKeys({ provider, store }));
    const got = await Promise.all(processes.flatMap((keys) => Array.from({ length: 20 }, () => keys.forSealing('default'))));
    expect(store.records).toHaveLength(1);
    expect(new Set(got.map(bytesOf)).size).toBe(1);
    expect(store.reads()).toBe(5); // one per process
  });

  it('lets every process open what another one sealed meanwhile', async () => {
    const place = { project: 'default', table: 't', row: 'r', field: 'f', version: 1 };
    const [a, b] = [createSeal({ provider, store }), createSeal({ provider, store })];
    const [byA, byB] = await Promise.all([a.seal(place, 'from a'), b.seal(place, 'from b')]);
    expect(await Promise.all([a.open(place, byB), b.open(place, byA)])).toEqual(['from b', 'from a']);
  });

  it('differs from project to project', async () => {
    const keys = createDataKeys({ provider, store });
    const [one, two] = [await keys.forSealing('one'), await keys.forSealing('two')];
    expect(bytesOf(one)).not.toBe(bytesOf(two));
  });
});

describe('reading', () => {
  it('asks once for a key, then remembers it', async () => {
    const { kid } = await createDataKeys({ provider, store }).forSealing('default');
    const keys = createDataKeys({ provider, store });
    const before = store.reads();
    await Promise.all(Array.from({ length: 50 }, () => keys.forOpening('default', kid)));
    await keys.forOpening('default', kid);
    expect(store.reads() - before).toBe(1);
    expect(keys.inMemory('default', kid)?.kid).toBe(kid);
  });

  it('tries again after a failure', async () => {
    const { kid } = await createDataKeys({ provider, store }).forSealing('default');
    let away = true;
    const find = (name: string) => (away ? Promise.reject(new Error('database away')) : store.find(name));
    const keys = createDataKeys({ provider, store: { ...store, find } });
    await expect(keys.forOpening('default', kid)).rejects.toThrow('database away');
    away = false;
    expect((await keys.forOpening('default', kid)).kid).toBe(kid);
  });

  it('goes on sealing with the key it knows while the database is away, and reads again when it is back', async () => {
    let nowMs = 0;
    let away = false;
    const list = (project: string) => (away ? Promise.reject(new GrantryError('unavailable')) : store.list(project));
    const keys = createDataKeys({ provider, store: { ...store, list }, nowMs: () => nowMs });
    const first = await keys.forSealing('default');
    nowMs = 3_600_000;
    away = true;
    expect(await keys.forSealing('default')).toBe(first);
    await expect(keys.forSealing('other')).rejects.toThrow(expect.objectContaining({ code: 'unavailable' }));
    away = false;
    const before = store.reads();
    await keys.forSealing('default');
    expect(store.reads()).toBe(before + 1);
  });

  it('keeps no more in memory than it may, and forgets what was used longest ago', async () => {
    const keys = createDataKeys({ provider, store, limit: 2 });
    const one = await keys.forSealing('one');
    const two = await keys.forSealing('two');
    expect(keys.inMemory('one', one.kid)).toBeDefined();
    const three = await keys.forSealing('three');
    expect(keys.inMemory('two', two.kid)).toBeUndefined();
    expect(keys.inMemory('one', one.kid)).toBeDefined();
    expect(keys.inMemory('three', three.kid)).toBeDefined();
    expect((await keys.forOpening('two', two.kid)).kid).toBe(two.kid);
  });

  it('refuses a key that does not exist or is of another project, cached or not', async () => {
    const warm = createDataKeys({ provider, store });
    const { kid } = await warm.forSealing('default');
    for (const keys of [warm, createDataKeys({ provider, store })]) {
      await expect(keys.forOpening('default', 'dk_none')).rejects.toEqual(integrity);
      await expect(keys.forOpening('other', kid)).rejects.toEqual(integrity);
    }
    expect(() => warm.inMemory('other', kid)).toThrow(integrity);
  });
});

describe('a stored key that was tampered with is refused', () => {
  it.each([
    ['given to another project', () => ({ ...recordAt(0), project_id: 'two' })],
    ['renamed', () => ({ ...recordAt(0), kid: recordAt(1).kid })],
    ["replaced by another project's", () => ({ ...recordAt(0), wrapped: recordAt(1).wrapped })],
    [
      'altered',
      () => ({
        ...recordAt(0),
        wrapped: recordAt(0).wrapped.replace(/^(.*\.)(.)/, (_, head: string, first: string) => head + (first === 'A' ? 'B' : 'A')),
      }),
    ],
  ])('%s', async (_, tamper) => {
    const keys = createDataKeys({ provider, store });
    await keys.forSealing('one');
    await keys.forSealing('two');
    const record = tamper();
    store.records.splice(0, 2, record);
    const fresh = createDataKeys({ provider, store });
    await expect(fresh.forOpening(record.project_id, record.kid)).rejects.toEqual(integrity);
    await expect(fresh.forSealing(record.project_id)).rejects.toEqual(integrity);
    expect(store.records).toHaveLength(1); // nothing made anew in its place
  });

  it('a key of another length', async () => {
    const wrapped = await provider.wrap(['data_key', 'default', 'dk_short'], new Uint8Array(16));
    store.records.push({ project_id: 'default', kid: 'dk_short', wrapped, wrapped_by: '', created_at: new Date(), retired_at: null });
    await expect(createDataKeys({ provider, store }).forSealing('default')).rejects.toEqual(integrity);
  });
});

describe('a retired key', () => {
  /** A process that knows the former key, and cannot unwrap the one that has taken its place. */
  async function left() {
    let nowMs = 0;
    const unwrap: KeyProvider['unwrap'] = (context, text) =>
      text === store.records[1]?.wrapped ? Promise.reject(new GrantryError('unavailable')) : provider.unwrap(context, text);
    const keys = createDataKeys({ provider: { ...provider, unwrap }, store, nowMs: () => nowMs });
    const known = await keys.forSealing('default');
    const retiredAt = new Date(Date.now() - 86_400_000);
    store.records.splice(0, 1, { ...recordAt(0), retired_at: retiredAt });
    await createDataKeys({ provider, store }).forSealing('default');
    expect(store.records).toHaveLength(2);
    nowMs = 60_000;
    return { keys, known, retiredAt };
  }

  it('seals once more where the new one cannot be unwrapped, and says so first: how long it is kept counts from then', async () => {
    const { keys, known, retiredAt } = await left();
    expect(await keys.forSealing('default')).toBe(known);
    expect(recordAt(0).retired_at?.getTime()).toBeGreaterThan(retiredAt.getTime());
    // The database goes away in between: as when it could not be read.
    const told = recordAt(0).retired_at;
    store.stillInUse = () => Promise.reject(new GrantryError('unavailable'));
    expect(await keys.forSealing('default')).toBe(known);
    expect(recordAt(0).retired_at).toBe(told);
  });

  it('seals nothing any more once it was destroyed, also when that happens in the same moment', async () => {
    const { keys, known } = await left();
    const away = expect.objectContaining({ code: 'unavailable' });
    store.stillInUse = async () => false;
    await expect(keys.forSealing('default')).rejects.toEqual(away);
    store.stillInUse = async () => true;
    expect(await keys.forSealing('default')).toBe(known);
    store.list = async () => store.records.slice(1);
    await expect(keys.forSealing('default')).rejects.toEqual(away);
  });

  it('still opens; sealing goes on with a new one, within a minute also where it is in use', async () => {
    let nowMs = 0;
    const keys = createDataKeys({ provider, store, nowMs: () => nowMs });
    const first = await keys.forSealing('default');
    store.records.splice(0, 1, { ...recordAt(0), retired_at: new Date() });
    nowMs = 59_999;
    expect((await keys.forSealing('default')).kid).toBe(first.kid);
    nowMs = 60_000;
    const second = await keys.forSealing('default');
    expect(second.kid).not.toBe(first.kid);
    expect((await createDataKeys({ provider, store }).forSealing('default')).kid).toBe(second.kid);
    expect(bytesOf(await createDataKeys({ provider, store }).forOpening('default', first.kid))).toBe(bytesOf(first));
  });
});

it('prints without its bytes', async () => {
  const dataKey = await createDataKeys({ provider, store }).forSealing('default');
  const printed = inspect(dataKey, { depth: 9, showHidden: true }) + JSON.stringify(dataKey);
  expect(printed).toContain(dataKey.kid);
  for (const encoding of ['hex', 'base64', 'base64url'] as const) expect(printed).not.toContain(dataKey.key.export().toString(encoding));
  expect(printed).not.toContain(inspect(dataKey.key.export()).slice(8, 30));
});
