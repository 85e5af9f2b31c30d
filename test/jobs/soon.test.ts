import { expect, test } from 'vitest';
import { createSoon } from '../../src/jobs/soon.ts';

function start(apartMs: number) {
  let nowMs = 0;
  let sleepers: { untilMs: number; wake: () => void }[] = [];
  const ran: number[] = [];
  const soon = createSoon({
    elapsedMs: () => nowMs,
    sleep: (ms, signal) =>
      new Promise<void>((wake) => {
        sleepers.push({ untilMs: nowMs + ms, wake });
        signal?.addEventListener('abort', () => wake());
      }),
    apartMs,
    run: () => void ran.push(nowMs),
  });
  /** Lets time pass, ten milliseconds at a time. */
  const live = async (ms: number) => {
    for (const untilMs = nowMs + ms; nowMs < untilMs; ) {
      nowMs += 10;
      for (const { untilMs: at, wake } of sleepers) if (at <= nowMs) wake();
      sleepers = sleepers.filter(({ untilMs: at }) => at > nowMs);
      await Promise.resolve().then(() => {});
    }
  };
  return { soon, live, ran };
}

test('it is done at all the times that are asked for, once for those that lie close together', async () => {
  const { soon, live, ran } = start(500);
  for (const ms of [3_000, 1_000, 2_010, 990, 2_400]) soon.within(ms);
  await live(10_000);
  expect(ran).toEqual([1_000, 1_500, 2_500, 3_500]);
  soon.within(600);
  await live(10_000);
  expect(ran).toEqual([1_000, 1_500, 2_500, 3_500, 11_000]);
});

test('however often it is asked for, it is done at intervals', async () => {
  const { soon, live, ran } = start(500);
  for (let n = 0; n < 200; n += 1) {
    soon.within(0);
    await live(10);
  }
  await live(1_000);
  expect(ran).toEqual([500, 1_000, 1_500, 2_000]);
});

test('what has not begun when it stops is not done, nor what is asked for later', async () => {
  const { soon, live, ran } = start(500);
  soon.within(1_000);
  await live(500);
  soon.stop();
  soon.within(100);
  await live(5_000);
  expect(ran).toEqual([]);
});
