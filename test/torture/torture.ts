import { parseArgs } from 'node:util';
import { createChance } from './chance.ts';
import { kills } from './kills.ts';
import { setStage } from './stage.ts';
import { table } from './table.ts';

/** `npm run torture [-- --runs 500 --seed N]`: ends with 1 when a token was wrong, or anything was lost in silence. */

const { values } = parseArgs({ options: { runs: { type: 'string', default: '500' }, seed: { type: 'string' } } });
const runs = Number(values.runs);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
process.stdout.write(`${runs} kills, seed ${seed}\n`);
const stage = await setStage();
try {
  const begunMs = performance.now();
  const tallies = await kills(stage, runs, createChance(seed), (n) => {
    if ((n + 1) % 50 === 0) process.stdout.write(`${n + 1} (${((performance.now() - begunMs) / (n + 1)).toFixed(0)} ms a run)\n`);
  });
  process.stdout.write(`${table(tallies)}\n`);
} finally {
  await stage.stop();
}
