import fc from 'fast-check';
import { type Scenario, scenarios } from './scenario.ts';
import { simulate } from './simulation.ts';
import type { Stage } from './stage.ts';
import { type Violation, violationText } from './violations.ts';

/** Simulations by number: the same number is the same scenario, and the same course of things. */

export type Failure = { seed: number; violations: readonly Violation[]; scenario: Scenario };

/** Making a scenario smaller costs a simulation for each step. */
const mostSteps = 400;

/** Half of the seeds with fast-check's preference for the ends of each range, half without. */
const parameters = (seed: number) => ({ seed, numRuns: 1, unbiased: seed % 2 === 0 });

/** Undefined when nothing is violated; else the smallest scenario that fast-check finds in which the same guarantee is. */
export async function trySeed(seed: number): Promise<Failure | undefined> {
  let steps = 0;
  let violated: string | undefined;
  const property = fc.asyncProperty(scenarios, async (scenario) => {
    if (steps++ > mostSteps) return;
    const [first] = (await simulate(scenario)).violations;
    violated ??= first?.guarantee;
    if (first !== undefined && first.guarantee === violated) throw new Error(violated);
  });
  const { failed, counterexample } = await fc.check(property, parameters(seed));
  if (!failed || counterexample === null) return undefined;
  const [scenario] = counterexample;
  return { seed, scenario, violations: (await simulate(scenario)).violations };
}

/** What a person needs to look into it. */
export const failureText = ({ seed, violations, scenario }: Failure): string =>
  [
    `Seed ${seed}:`,
    ...violations.map(violationText),
    `The smallest scenario found: ${JSON.stringify(scenario)}`,
    `Step by step: SIMULATION_SEED=${seed} npx vitest run test/simulation/refresh`,
  ].join('\n');

/** All seeds from one number up to another; ends at the first that fails. Returns how many were tried. */
export async function trySeeds(from: number, to: number): Promise<{ tried: number; failure: Failure | undefined }> {
  const { stackTraceLimit } = Error;
  // Errors are part of the game here, and their stacks are a third of its cost.
  Error.stackTraceLimit = 0;
  try {
    for (let seed = from; seed < to; seed += 1) {
      const failure = await trySeed(seed);
      if (failure !== undefined) return { tried: seed - from + 1, failure };
    }
    return { tried: to - from, failure: undefined };
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** One seed, made smaller if it fails, and told step by step. */
export async function replay(seed: number, tell: NonNullable<Stage['trace']>): Promise<Failure | undefined> {
  const failure = await trySeed(seed);
  const told: { scenario: Scenario | undefined } = { scenario: failure?.scenario };
  if (told.scenario === undefined) {
    const property = fc.asyncProperty(scenarios, async (scenario) => {
      told.scenario = scenario;
    });
    await fc.check(property, parameters(seed));
  }
  if (told.scenario !== undefined) await simulate(told.scenario, tell);
  return failure;
}
