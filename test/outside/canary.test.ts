import { beforeEach, expect, it } from 'vitest';
import { checkCanary } from '../../src/outside/canary.ts';
import { generateKeyRing, parseKeyRing } from '../../src/outside/key-ring.ts';
import { createDataKeyMemory, type DataKeyMemory } from './data-key-memory.ts';

const newRing = () => parseKeyRing(generateKeyRing());
let store: DataKeyMemory;

beforeEach(() => {
  store = createDataKeyMemory();
});

it('is stored by the first start and opened by every later one', async () => {
  const ring = newRing();
  await checkCanary(ring, store);
  const stored = await store.canary();
  await checkCanary(ring, store);
  expect(stored).toEqual(expect.any(String));
  expect(await store.canary()).toBe(stored);
});

it('refuses another ring, clearly, and changes nothing', async () => {
  await checkCanary(newRing(), store);
  const stored = await store.canary();
  await expect(checkCanary(newRing(), store)).rejects.toMatchObject({
    code: 'integrity_error',
    message: expect.stringContaining('These are not the keys this database was sealed with'),
  });
  expect(await store.canary()).toBe(stored);
});

it('refuses a key of the same name with other bytes', async () => {
  const text = generateKeyRing();
  await checkCanary(parseKeyRing(text), store);
  const set: { keys: { kid: string }[] } = JSON.parse(text);
  const other: { keys: { kid: string }[] } = JSON.parse(generateKeyRing());
  const forged = JSON.stringify({ keys: [{ ...other.keys[0], kid: set.keys[0]?.kid }] });
  await expect(checkCanary(parseKeyRing(forged), store)).rejects.toMatchObject({ code: 'integrity_error' });
});

it('accepts a ring that the old key is still in', async () => {
  const [old, fresh] = [generateKeyRing(), generateKeyRing()];
  await checkCanary(parseKeyRing(old), store);
  const both = JSON.stringify({ keys: [...JSON.parse(fresh).keys, ...JSON.parse(old).keys] });
  await checkCanary(parseKeyRing(both), store);
});

it('lets one of two first starts with different keys win', async () => {
  const results = await Promise.allSettled([checkCanary(newRing(), store), checkCanary(newRing(), store)]);
  expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
});

it('refuses another text and a canary that is none', async () => {
  const ring = newRing();
  for (const sealed of [
    '',
    'x',
    await ring.wrap(['canary'], Buffer.from('other')),
    await ring.wrap(['data_key', 'p', 'k'], Buffer.from('grantry')),
  ]) {
    store.replaceCanary(sealed);
    await expect(checkCanary(ring, store)).rejects.toMatchObject({ code: 'integrity_error' });
  }
});
