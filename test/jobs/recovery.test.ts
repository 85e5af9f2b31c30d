import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { postgresPlace, redisPlace } from './backends.ts';
import { counter, patience, startTrial, type Trial } from './trial.ts';

describe.each([
  { name: 'Redis', find: () => redisPlace(12) },
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

  test('a server that is away at first holds nothing up, and the work begins when it comes', async () => {
    await trial.line.cut();
    const counted = counter();
    keep(counted.run);
    await vi.waitFor(() => expect(logged.join('')).toContain('in trouble'), patience);
    expect(counted.runs).toBe(0);
    await trial.line.mend();
    await counted.more();
    expect(logged.join('')).toContain('works again');
  });

  test('a connection that is cut comes back', async () => {
    const counted = counter();
    keep(counted.run);
    await counted.more();
    await trial.line.cut();
    await sleep(500);
    await trial.line.mend();
    await counted.more(3);
  });

  test('what was wiped comes back by itself', async () => {
    const counted = counter();
    keep(counted.run);
    await counted.more();
    await trial.place.wipe();
    await counted.more(3);
  });

  test('what was lost with it is put right first, as often as that takes, and nothing runs before', async () => {
    const seen: string[] = [];
    const counted = counter();
    let wiped = 0;
    const run = async () => {
      seen.push('run');
      await counted.run();
    };
    const onWiped = async () => {
      wiped += 1;
      if (wiped === 1) throw new Error('Postgres is away');
      await sleep(300);
      seen.push('put right');
    };
    keep(run, { onWiped });
    await counted.more();
    await trial.place.wipe();
    // What was being run, or was taken before, may still end.
    await vi.waitFor(() => expect(wiped).toBeGreaterThan(0), patience);
    seen.length = 0;
    await counted.more(2);
    expect(seen.slice(0, 2)).toEqual(['put right', 'run']);
    expect(wiped).toBe(2);
  });

  test('a server that refuses everything is asked slowly, and the work goes on when it relents', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const counted = counter();
    let minutes = 0;
    // Each trouble is more than a minute after the one before, so that every one is logged.
    const now = () => {
      minutes += 2;
      return new Date(minutes * 60_000);
    };
    const run = async () => {
      await counted.run();
      await gate;
    };
    keep(run, { now });
    await counted.more(1);
    // Refused in the middle of a job, a worker neither ends it nor takes another, and has no reason to wait.
    const relent = await trial.place.refuse();
    release();
    await sleep(1_000);
    const refusals = logged.length;
    await relent();
    expect(refusals).toBeGreaterThan(0);
    expect(refusals).toBeLessThan(40);
    await counted.more(3);
  });
});
