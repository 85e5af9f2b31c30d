import { expect, test } from 'vitest';
import { failureText, replay, trySeeds } from './seeds.ts';

/**
 * The refresh engine in virtual time, everything around it a model: thousands of courses of events, each with faults of its own, and after
 * each the guarantees of violations.ts. SIMULATION_SEEDS: how many are tried. SIMULATION_SEED: that one alone, told step by step.
 */

const seeds = Number(process.env.SIMULATION_SEEDS ?? 10_000);
const only = process.env.SIMULATION_SEED;

async function firstHalf(): Promise<void> {
  const { tried, failure } = await trySeeds(1, 1 + Math.ceil(seeds / 2));
  if (failure !== undefined) expect.fail(failureText(failure));
  expect(tried).toBe(Math.ceil(seeds / 2));
}

async function again(): Promise<void> {
  const failure = await replay(Number(only), (who, what) => console.log(`${who} | ${what}`));
  if (failure !== undefined) expect.fail(failureText(failure));
}

if (only === undefined) test(`the refresh engine keeps its guarantees, in the first half of ${seeds} simulations`, { timeout: 600_000 }, firstHalf);
else test(`seed ${only}`, { timeout: 600_000 }, again);
