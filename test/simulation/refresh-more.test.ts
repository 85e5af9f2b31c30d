import { expect, test } from 'vitest';
import { failureText, trySeeds } from './seeds.ts';

/** The second half of the simulations of refresh.test.ts, for the second core. To replay one, run that file. */

const seeds = Number(process.env.SIMULATION_SEEDS ?? 10_000);
const half = Math.ceil(seeds / 2);

test(`the refresh engine keeps its guarantees, in the second half of ${seeds} simulations`, { timeout: 600_000 }, async () => {
  const { tried, failure } = await trySeeds(1 + half, 1 + seeds);
  if (failure !== undefined) expect.fail(failureText(failure));
  expect(tried).toBe(seeds - half);
});
