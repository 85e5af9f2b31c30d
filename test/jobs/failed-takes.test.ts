import { expect, test } from 'vitest';
import { takeWithCare } from '../../src/jobs/careful-backend.ts';

/** What a server is asked when it refuses to hand out a job: a pause that is counted and not waited for. */
function refusing() {
  const pauses: number[] = [];
  const answers: (Error | [job: object, id: string, wait: number])[] = [];
  const taken = async (): Promise<unknown> => {
    const answer = answers.shift() ?? new Error('out of memory');
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const ended = async () => ({ result: await taken() });
  const sleep = async (ms: number) => void pauses.push(ms);
  const own = (_: unknown, id: string) => ({ id, name: 'ours' });
  const backend = takeWithCare({ moveToActive: taken, moveToCompleted: ended, moveToFailed: ended }, { own, sleep });
  const again = () => backend.moveToActive();
  return { pauses, answers, again };
}

test('a take that fails is told, and the next one after it waits longer and longer, up to a second', async () => {
  const { pauses, again } = refusing();
  for (let n = 0; n < 13; n += 1) await expect(again()).rejects.toThrow('out of memory');
  expect(pauses).toEqual([1, 3, 7, 15, 31, 63, 127, 255, 511, 1_000, 1_000, 1_000]);
});

test('one that cannot be read holds up nobody: whatever comes between ends the growing', async () => {
  const { pauses, answers, again } = refusing();
  for (let n = 0; n < 4; n += 1) await again().catch(() => {});
  answers.push([{ name: 'theirs' }, '7', 5_000]);
  // What is taken is made ours, and nobody waits because of what it says.
  expect(await again()).toEqual([{ id: '7', name: 'ours' }, '7', 0]);
  for (let n = 0; n < 3; n += 1) await again().catch(() => {});
  expect(pauses).toEqual([1, 3, 7, 1, 3]);
});
