import { expect, test } from 'vitest';
import { refreshesSettled, tracked } from '../../src/broker/under-way.ts';
import type { World } from '../../src/broker/world.ts';

test('what follows from something under way is waited for, too, and what fails holds up nobody', async () => {
  const owner = { store: {} as World['store'] }; // only its identity counts
  const pause = () => new Promise((resolve) => setTimeout(resolve, 20));
  const ended: string[] = [];
  const follow = async () => {
    await pause();
    ended.push('what followed');
  };
  const work = async () => {
    await pause();
    void tracked(owner, follow());
    ended.push('the refresh');
  };
  void tracked(owner, work());
  tracked(owner, Promise.reject(new Error('failed'))).catch(() => {});
  await refreshesSettled(owner);
  expect(ended).toEqual(['the refresh', 'what followed']);
});
