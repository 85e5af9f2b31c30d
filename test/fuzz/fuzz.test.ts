import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Bundle, bundled } from '../harness/bundle.ts';
import { properties } from './properties/index.ts';
import { notReached } from './property.ts';
import { isAlone, startOf, takesPart } from './seeds.ts';
import { failureText, table } from './table.ts';
import { type Outcome, watched } from './watched.ts';

/** Whatever is sent: no crash, no hang, nothing bad taken for good. The seeds are recorded, so that this is the same every time; `npm run fuzz` draws new ones. */

const hours = 3_600_000;
/** A property keeps nothing from one case to the next. */
const mostGrowthMb = 16;

const outcomes: Outcome[] = [];
let bundle: Bundle;
beforeAll(async () => {
  bundle = await bundled('test/fuzz/worker.ts');
});
afterAll(async () => {
  await bundle?.remove();
  process.stdout.write(`\n${table(outcomes)}\n`);
});

/** In the suite something else runs beside them already. */
const tests = isAlone ? test.concurrent : test;

tests.each(properties.filter(({ name }) => takesPart(name)))(
  '$name',
  async ({ name, runs, reaches }) => {
    const { seed, regressions, times } = startOf(name);
    const outcome = await watched(bundle, { name, seed, runs: runs * times, regressions });
    outcomes.push(outcome);
    expect(failureText(outcome)).toBe('');
    expect(outcome).toMatchObject({ hangs: 0, crashes: 0, unhandled: 0, rejection: undefined });
    if (times === 0) return;
    expect(outcome.runs).toBeGreaterThanOrEqual(runs * times);
    expect(notReached({ ...outcome, reaches })).toEqual([]);
    expect(outcome.growthMb).toBeLessThan(mostGrowthMb);
  },
  2 * hours,
);
