import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createChance } from './chance.ts';
import { kills, moments } from './kills.ts';
import { postgresStops } from './postgres-stops.ts';
import { redisLosses } from './redis-losses.ts';
import type { Tally } from './round.ts';
import { type Stage, setStage } from './stage.ts';

/** The same as `npm run torture`, in small. */

const seed = Date.now() % 2 ** 31;
const minutes = 60_000;
const nothingWrong = { fates: { wrong: 0, silent: 0 }, doubleSends: 0, untold: 0, faults: [] };
const nothingLost = { ...nothingWrong, fates: { wrong: 0, silent: 0, lost: 0 } };
const stages: Stage[] = [];

beforeAll(async () => {
  for (let n = 0; n < 3; n += 1) stages.push(await setStage());
});
afterAll(() => Promise.all(stages.map(({ stop }) => stop())));

function stage(number: number): Stage {
  const found = stages[number];
  if (found === undefined) throw new Error('There is no stage.');
  return found;
}

describe.concurrent('torture', () => {
  test(
    'workers that are killed at any moment hand out no wrong token, and lose nothing in silence',
    async () => {
      const tallies = await kills(stage(0), 2 * moments.length, createChance(seed));
      const all: Tally[] = Object.values(tallies);
      for (const tally of all) expect(tally, `seed ${seed}`).toMatchObject(nothingWrong);
      // The moments are what they are called: before the request is sent nothing can be lost by it, and afterwards it is.
      expect(tallies.after_send.fates.lost).toBeGreaterThan(0);
      expect(tallies.after_answer.fates.lost).toBeGreaterThan(0);
      expect(tallies.after_intent.fates.retried).toBeGreaterThan(0);
    },
    15 * minutes,
  );

  test(
    'a Postgres that is stopped when the provider has answered costs nothing',
    async () => {
      expect(await postgresStops(stage(1), ['lives', 'asked_to_end', 'killed'], createChance(seed)), `seed ${seed}`).toMatchObject(nothingLost);
    },
    15 * minutes,
  );

  test(
    'a Redis that is emptied or killed costs nothing, and work goes on with the next sweep',
    async () => {
      const lose = async (chance: number) => {
        const tally = await redisLosses(stage(2), 5, createChance(chance));
        expect(tally, `seed ${chance}`).toMatchObject(nothingLost);
        return tally.sweeps;
      };
      // On a machine that is busy a refresh that was under way may come back by itself, and a later sweep hands it out: that does not happen each time.
      const sweeps = await lose(seed);
      if (sweeps > 1) expect(await lose(seed + 1), `seed ${seed + 1}`).toBeLessThanOrEqual(1);
    },
    15 * minutes,
  );
});
