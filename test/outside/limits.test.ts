import { expect, test } from 'vitest';
import { createLimits } from '../../src/outside/limits.ts';

const allowances = { calls: 2, wrong_keys: 1, pages: 1, unknown_callbacks: 1, links: 1 };

test('so many in a minute and no more; each name and each limit for itself', () => {
  let nowMs = 0;
  const limits = createLimits({ allowances, elapsedMs: () => nowMs });
  expect([limits.take('calls', 'a'), limits.spent('calls', 'a'), limits.take('calls', 'a')]).toEqual([undefined, undefined, undefined]);
  nowMs = 20_500;
  expect([limits.spent('calls', 'a'), limits.take('calls', 'a')]).toEqual([40, 40]);
  expect([limits.take('calls', 'b'), limits.take('links', 'a')]).toEqual([undefined, undefined]);
  nowMs = 60_000;
  expect([limits.spent('calls', 'a'), limits.take('calls', 'a')]).toEqual([undefined, undefined]);
});

test('of more names than can be remembered the oldest is forgotten', () => {
  const limits = createLimits({ allowances, elapsedMs: () => 0 });
  for (let n = 0; n <= 50_000; n += 1) limits.take('pages', `name ${n}`);
  expect([limits.spent('pages', 'name 0'), limits.spent('pages', 'name 1'), limits.spent('pages', 'name 50000')]).toEqual([undefined, 60, 60]);
});
