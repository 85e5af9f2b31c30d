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
});
