import { parseArgs } from 'node:util';
import { createChance } from './chance.ts';
import { kills, moments } from './kills.ts';
import { ends, postgresStops } from './postgres-stops.ts';
import { redisLosses } from './redis-losses.ts';
import { emptyTally, type Tally } from './round.ts';
import { setStage } from './stage.ts';
import { table } from './table.ts';

/** `npm run torture [-- --runs 500 --seed N]`: ends with 1 when a token was wrong, a loss was silent, or a webhook never came. */

const { values } = parseArgs({ options: { runs: { type: 'string', default: '500' }, seed: { type: 'string' } } });
const runs = Number(values.runs);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const chance = createChance(seed);
/** The provider of a stage remembers only so much. */
const runsPerStage = 500;

const say = (line: string) => void process.stdout.write(`${line}\n`);

async function onStage<T>(work: (stage: Awaited<ReturnType<typeof setStage>>) => Promise<T>): Promise<T> {
  const stage = await setStage();
  return work(stage).finally(stage.stop);
}

function added(sum: Tally, more: Tally): Tally {
  const fates = { ...sum.fates };
  for (const [fate, count] of Object.entries(more.fates)) fates[fate as keyof typeof fates] += count; // its own keys
  return {
    runs: sum.runs + more.runs,
    fates,
    doubleSends: sum.doubleSends + more.doubleSends,
    untold: sum.untold + more.untold,
    faults: [...sum.faults, ...more.faults],
  };
}

say(`${runs} kills of a worker, seed ${seed}`);
const tallies: Record<string, Tally> = Object.fromEntries(moments.map((moment) => [moment, emptyTally()]));
for (let done = 0; done < runs; done += runsPerStage) {
  const part = await onStage((stage) =>
    kills(stage, Math.min(runsPerStage, runs - done), chance, (n) => {
      if ((n + 1) % 50 === 0) say(`${done + n + 1} of ${runs}`);
    }),
  );
  for (const moment of moments) tallies[moment] = added(tallies[moment] ?? emptyTally(), part[moment]);
}
await onStage(async (stage) => {
  say('Postgres stopped');
  tallies['postgres stopped'] = await postgresStops(stage, [...ends, ...ends.slice(0, 3), ...ends.slice(0, 3)], chance);
  say('Redis lost');
  const redis = await redisLosses(stage, 10, chance);
  tallies['redis lost'] = redis;
  say(`After Redis was lost, all due work was handed out by ${redis.sweeps} sweep at most.`);
});
say(table(tallies));
const faults = Object.entries(tallies).flatMap(([what, tally]) => tally.faults.map((fault) => `${what}: ${fault}`));
for (const fault of faults) say(fault);
const lost = (tallies['postgres stopped']?.fates.lost ?? 0) + (tallies['redis lost']?.fates.lost ?? 0);
process.exitCode = faults.length > 0 || lost > 0 || Object.values(tallies).some(({ doubleSends }) => doubleSends !== 0) ? 1 : 0;
