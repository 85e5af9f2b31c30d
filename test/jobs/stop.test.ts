import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { postgresPlace, redisPlace } from './backends.ts';
import { counter, startTrial, type Trial } from './trial.ts';

describe.each([
  { name: 'Redis', find: () => redisPlace(10) },
  { name: 'Postgres', find: () => postgresPlace() },
])('on $name', ({ find }) => {
  let trial: Trial;
  let keep: Trial['keep'];

  beforeAll(async () => {
    trial = await startTrial(await find());
    ({ keep } = trial);
  });
  afterEach(() => trial.clear());
  afterAll(() => trial.end());

  test('a job in flight ends before the stop, and none begins after it', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const counted = counter();
    let hasEnded = false;
    const keeper = keep(async () => {
      await counted.run();
      await gate;
      hasEnded = true;
    });
    await counted.more(1);
    const stopped = keeper.stop().then(() => hasEnded);
    // Longer than the connections get to close.
    expect(await Promise.race([stopped, sleep(3_500, 'still stopping')])).toBe('still stopping');
    release();
    expect(await stopped).toBe(true);
    const { runs } = counted;
    await sleep(500);
    expect(counted.runs).toBe(runs);
  });

  test('it stops while the server is away', async () => {
    const counted = counter();
    const running = keep(counted.run);
    await counted.more();
    await trial.line.cut();
    const neverBegan = keep(counted.run);
    await sleep(200);
    await Promise.all([running.stop(), neverBegan.stop()]);
    await trial.line.mend();
    const { runs } = counted;
    await sleep(500);
    expect(counted.runs).toBe(runs);
  });
});
