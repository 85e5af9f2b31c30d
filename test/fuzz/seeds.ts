import { readFileSync } from 'node:fs';
import type { Place } from './orders.ts';

/** The recorded seeds, and those that an environment asks for instead (see `fuzz.ts`). */

type Recorded = { seed: number; regressions: Place[] };
const recorded: Record<string, Recorded> = JSON.parse(readFileSync(new URL('./seeds.json', import.meta.url), 'utf8'));

const { FUZZ_SEED: seed, FUZZ_PATH: path, FUZZ_TIMES: times = '1', FUZZ_ONLY: only } = process.env;

/** Whether nothing else is run: then two properties at a time. */
export const isAlone = seed !== undefined;

/** Whether the property takes part. */
export const takesPart = (name: string): boolean => only === undefined || only === name;

/** Where to begin, how many times as many cases as in `npm test`, and what has once failed. With a path: that one case alone. */
export function startOf(name: string): Recorded & { times: number } {
  const known = recorded[name];
  if (known === undefined) throw new Error(`Record a seed for ${name} in test/fuzz/seeds.json.`);
  if (path !== undefined) return { seed: Number(seed), regressions: [{ seed: Number(seed), path }], times: 0 };
  return { seed: seed === undefined ? known.seed : Number(seed), regressions: known.regressions, times: Number(times) };
}
