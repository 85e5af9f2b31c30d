import { expect, test } from 'vitest';
import { gather } from '../../src/outside/gathered.ts';

/** A fetch whose lists end when the test says so. */
function manual() {
  const lists: { keys: readonly number[]; end: (values: readonly string[]) => void; fail: (error: Error) => void }[] = [];
  const fetchAll = (keys: readonly number[]) =>
    new Promise<readonly string[]>((resolve, reject) => {
      lists.push({ keys, end: resolve, fail: reject });
    });
  return { lists, fetchAll };
}
const answers = (keys: readonly number[]) => keys.map((key) => `answer ${key}`);

test('the first goes at once, those that come meanwhile go together, each gets its own answer', async () => {
  const { lists, fetchAll } = manual();
  const get = gather(fetchAll, { most: 100, slowMs: 60_000, lanes: 4 });
  const all = [1, 2, 3].map(get);
  expect(lists.map(({ keys }) => keys)).toEqual([[1]]);
  lists[0]?.end(['answer 1']);
  expect(await all[0]).toBe('answer 1');
  expect(lists[1]?.keys).toEqual([2, 3]);
  lists[1]?.end(answers([2, 3]));
  expect(await Promise.all(all)).toEqual(answers([1, 2, 3]));
});

test('a list holds no more than it may', async () => {
  const seen: number[] = [];
  const fetchAll = async (keys: readonly number[]) => {
    seen.push(keys.length);
    return answers(keys);
  };
  const get = gather(fetchAll, { most: 10, slowMs: 60_000, lanes: 1 });
  const keys = Array.from({ length: 35 }, (_, key) => key);
  expect(await Promise.all(keys.map(get))).toEqual(answers(keys));
  expect(seen).toEqual([1, 10, 10, 10, 4]);
});

test('a failure is that of those who shared it, and nobody else', async () => {
  const { lists, fetchAll } = manual();
  const get = gather(fetchAll, { most: 100, slowMs: 60_000, lanes: 1 });
  const [first, second, third] = [get(1), get(2), get(3)].map((call) => call.catch((error: Error) => error.message));
  lists[0]?.end(['answer 1']);
  expect(await first).toBe('answer 1');
  lists[1]?.fail(new Error('gone'));
  expect([await second, await third]).toEqual(['gone', 'gone']);
  const later = get(4);
  lists[2]?.end(['answer 4']);
  expect(await later).toBe('answer 4');
});

test('too few answers are nobody else’s answers', async () => {
  const get = gather(async () => [], { most: 100, slowMs: 60_000, lanes: 1 });
  await expect(get(1)).rejects.toThrow('missing');
});

test('one that hangs holds nobody up, as far as there are lanes', async () => {
  const { lists, fetchAll } = manual();
  const get = gather(fetchAll, { most: 100, slowMs: 0, lanes: 2 });
  const hanging = get(1);
  await new Promise((resolve) => setTimeout(resolve, 5));
  const other = get(2);
  expect(lists.map(({ keys }) => keys)).toEqual([[1], [2]]);
  await new Promise((resolve) => setTimeout(resolve, 5));
  const third = get(3);
  expect(lists).toHaveLength(2);
  lists[1]?.end(['answer 2']);
  expect(await other).toBe('answer 2');
  lists[2]?.end(['answer 3']);
  lists[0]?.end(['answer 1']);
  expect(await Promise.all([hanging, third])).toEqual(['answer 1', 'answer 3']);
});
