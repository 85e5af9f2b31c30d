import fc from 'fast-check';
import { type Scenario, scenarios } from './scenario.ts';
import { simulate } from './simulation.ts';
import { type Violation, violationText } from './violations.ts';

/** Simulations by number: the same number is the same scenario, and the same course of things. */

export type Failure = { seed: number; violations: readonly Violation[]; scenario: Scenario };

/** Undefined when nothing was violated; else the smallest scenario that fast-check finds in which something is. */
export async function tryHard(seed: number, mostShrinks = 300): Promise<Failure | undefined> {
  let tries = 0;
  const property = fc.asyncProperty(scenarios, async (scenario) => {
    tries += 1;
    // Making a scenario smaller costs a simulation for each step.
    if (tries > mostShrinks) return;
    const { violations } = await simulate(scenario);
    if (violations.length > 0) throw new Error(violations.map(violationText).join('\n'));
  });
  // Half of them with fast-check's preference for the ends of each range, half without.
  const { failed, counterexample } = await fc.check(property, { seed, numRuns: 1, unbiased: seed % 2 === 0 });
  if (!failed || counterexample === null) return undefined;
  const [scenario] = counterexample;
  return { seed, scenario, violations: (await simulate(scenario)).violations };
}
