import { expect, test } from 'vitest';
import type { Limited, Limits } from '../../src/broker/limits.ts';
import { createLimits } from '../../src/outside/limits.ts';

const allowances = { calls: 2, wrong_keys: 1, pages: 1, unknown_callbacks: 1, links: 1 };

/** What `take` and `standing` say, in short: how many are left, or the seconds to wait. */
const said = ({ kind, left, resetS }: ReturnType<Limits['take']>) => (kind === 'allowed' ? `${left} left` : `${resetS} s`);
const inShort = (limits: Limits) => ({
  take: (what: Limited, who: string) => said(limits.take(what, who)),
  standing: (what: Limited, who: string) => said(limits.standing(what, who)),
});

test('so many in a minute and no more; each name and each limit for itself', () => {
  let nowMs = 0;
  const { take, standing } = inShort(createLimits({ allowances, elapsedMs: () => nowMs }));
  expect([standing('calls', 'a'), take('calls', 'a'), standing('calls', 'a'), take('calls', 'a')]).toEqual(['2 left', '1 left', '1 left', '0 left']);
  nowMs = 20_500;
  expect([standing('calls', 'a'), take('calls', 'a')]).toEqual(['40 s', '40 s']);
  expect([take('calls', 'b'), take('links', 'a')]).toEqual(['1 left', '0 left']);
  nowMs = 60_000;
  expect([standing('calls', 'a'), take('calls', 'a')]).toEqual(['2 left', '1 left']);
});

test('of more names than can be remembered the older half is forgotten', () => {
  const limits = createLimits({ allowances, elapsedMs: () => 0 });
  const { standing } = inShort(limits);
  const add = (from: number, to: number) => {
    for (let n = from; n < to; n += 1) limits.take('pages', `name ${n}`);
  };
  add(0, 50_000);
  expect([standing('pages', 'name 0'), standing('pages', 'name 49999')]).toEqual(['60 s', '60 s']);
  add(50_000, 50_001);
  expect([standing('pages', 'name 24999'), standing('pages', 'name 25000'), standing('pages', 'name 50000')]).toEqual(['1 left', '60 s', '60 s']);
});

test('what others have used up is used up here for as long', () => {
  let nowMs = 0;
  const limits = createLimits({ allowances, elapsedMs: () => nowMs });
  const { take, standing } = inShort(limits);
  take('calls', 'a');
  limits.exhaust('calls', 'a', 15);
  expect([standing('calls', 'a'), take('calls', 'a'), standing('calls', 'b')]).toEqual(['15 s', '15 s', '2 left']);
  nowMs = 15_000;
  expect(standing('calls', 'a')).toBe('2 left');
});
