import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { postgresPlace, redisPlace } from './backends.ts';
import { counter, startTrial, type Trial } from './trial.ts';

describe.each([
  { name: 'Redis', find: () => redisPlace(14) },
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

  test('a job that fails is logged by its kind, stores nothing of its error, and runs again', async () => {
    const counted = counter();
    keep(async () => {
      await counted.run();
      throw Object.assign(new TypeError('secret-marker-in-message', { cause: new Error('secret-marker-in-cause') }), {
        code: 'E_KIND',
        detail: 'secret-marker',
      });
    });
    await counted.more(3);
    const stored = await trial.place.dump();
    expect(stored).toContain('TypeError E_KIND');
    expect(stored).not.toContain('secret-marker');
    expect(logged.join('')).toContain('E_KIND');
    expect(logged.join('')).not.toContain('secret-marker');
  });

  test('finished jobs do not pile up', async () => {
    const counted = counter();
    keep(counted.run, { everyMs: 10 });
    await counted.more(120);
    const { finished } = await trial.place.count('trial');
    expect(finished).toBeGreaterThan(0);
    expect(finished).toBeLessThan(120);
  });
});
