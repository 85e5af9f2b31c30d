import { afterEach, expect, test, vi } from 'vitest';
import { createUses } from '../../src/outside/uses.ts';

/** Uses are gathered, written in batches, kept while they cannot be written, and bounded. */

const silent = { warn() {} };
let closing: (() => Promise<void>) | undefined;
afterEach(async () => {
  await closing?.();
  closing = undefined;
});

function usesWith(flush: (ids: readonly string[]) => Promise<void>, everyMs = 3_600_000) {
  const uses = createUses({ flush, everyMs, log: silent });
  closing = uses.close;
  return uses;
}

test('each connection is written once, in batches, when the time has come', async () => {
  const written: string[][] = [];
  const uses = usesWith(async (ids) => void written.push([...ids]), 20);
  for (let n = 0; n < 5_000; n += 1) uses.note(`con_${n % 2_500}`);
  expect(written).toEqual([]);
  await vi.waitFor(() => expect(written.map((ids) => ids.length)).toEqual([1_000, 1_000, 500]), { timeout: 5_000 });
  expect(new Set(written.flat()).size).toBe(2_500);
});

test('what could not be written is written later', async () => {
  const written: string[] = [];
  let attempts = 0;
  const uses = usesWith(async (ids) => {
    attempts += 1;
    if (attempts === 2) throw new Error('away');
    written.push(...ids);
  }, 20);
  for (let n = 0; n < 2_500; n += 1) uses.note(`con_${n}`);
  await vi.waitFor(() => expect(written).toHaveLength(2_500), { timeout: 5_000 });
  expect(new Set(written).size).toBe(2_500);
});

test('more than a hundred thousand are not remembered', async () => {
  const written: string[] = [];
  const uses = usesWith(async (ids) => void written.push(...ids));
  for (let n = 0; n < 100_500; n += 1) uses.note(`con_${n}`);
  await uses.close();
  expect(written).toHaveLength(100_000);
});

test('the end writes what is left, also what came while a batch was being written', async () => {
  const written: string[] = [];
  let release: () => void = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let begun = false;
  const uses = usesWith(async (ids) => {
    begun = true;
    await held;
    written.push(...ids);
  }, 10);
  uses.note('con_1');
  await vi.waitFor(() => expect(begun).toBe(true));
  uses.note('con_2');
  const closed = uses.close();
  release();
  await closed;
  expect(written).toEqual(['con_1', 'con_2']);
});

test('the end does not wait for ever for a database that hangs', async () => {
  const uses = usesWith(() => new Promise(() => {}));
  uses.note('con_1');
  await uses.close();
  closing = undefined;
});
