import { expect, it } from 'vitest';
import { boundedMap } from '../../src/sandbox/memory.ts';

it('forgets the oldest entry when it is full, and keeps what is only set anew', () => {
  const map = boundedMap<string, number>(2);
  map.set('a', 1).set('b', 2).set('b', 3);
  expect([...map]).toEqual([
    ['a', 1],
    ['b', 3],
  ]);
  map.set('c', 4);
  expect([...map.keys()]).toEqual(['b', 'c']);
});
