import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { postgresPlace, redisPlace } from './backends.ts';
import { counter, startTrial, type Trial } from './trial.ts';

describe.each([
  { name: 'Redis', find: () => redisPlace(11) },
  { name: 'Postgres', find: () => postgresPlace() },
])('on $name', ({ find }) => {
  let trial: Trial;
  let logged: Trial['logged'];
  let keep: Trial['keep'];

  beforeAll(async () => {
    trial = await startTrial(await find());
    ({ keep, logged } = trial);
  });
  afterEach(() => trial.clear());
  afterAll(() => trial.end());

  test('it runs at the beginning and then again and again', async () => {
    const counted = counter();
    keep(counted.run);
    await counted.more(4);
    expect(logged).toEqual([]);
  });

  test('a process that begins beside a schedule runs at once, not at the next turn', async () => {
    const first = counter();
    const keeper = keep(first.run, { everyMs: 3_600_000 });
    await first.more(1);
    await keeper.stop();
    const second = counter();
    keep(second.run, { everyMs: 3_600_000 });
    await second.more(1);
  });

  test('several that begin at once keep one schedule, without a fault', async () => {
    const counted = counter();
    for (let n = 0; n < 4; n += 1) keep(counted.run, { everyMs: 300 });
    await counted.more(4);
    expect(logged).toEqual([]);
    expect(await trial.place.count('trial')).toMatchObject({ schedules: 1 });
  });

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
    expect(await Promise.race([stopped, sleep(300, 'still stopping')])).toBe('still stopping');
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
