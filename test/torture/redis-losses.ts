import { setTimeout as sleep } from 'node:timers/promises';
import { callersOf } from './callers.ts';
import type { Chance } from './chance.ts';
import { emptyTally, judgeRound, makeDue, type Tally } from './round.ts';
import { settled } from './settled.ts';
import type { Connected, Stage } from './stage.ts';
import type { Worker } from './worker-process.ts';

/** Redis emptied, or ended by kill -9, at any moment while refreshes are queued and under way. Nothing may be lost of that, or sent twice. */

export type RedisTally = Tally & {
  /** After the loss was noticed: how many sweeps it took at most until all was handed out again. */ sweeps: number;
};

const poolSize = 10;

async function lose({ redis }: Stage, how: 'flush' | 'kill', chance: Chance): Promise<void> {
  if (how === 'flush') {
    await redis.client.flushall();
    return;
  }
  await redis.crash();
  await sleep(chance.between(0, 500));
  await redis.restart();
}

/** The sweeps after the worker had noticed the loss (or after the loss, when it never did), up to the last one that found something to do. */
function sweepsNeeded(worker: Worker, from: number): number {
  const reports = worker.reports().slice(from);
  const noticed = reports.findIndex(({ kind }) => kind === 'handed_out_again');
  const sweeps = reports.slice(noticed + 1).flatMap((each) => (each.kind === 'swept' ? [each.handedOut] : []));
  return sweeps.findLastIndex((handedOut) => handedOut > 0) + 1;
}

export async function redisLosses(stage: Stage, rounds: number, chance: Chance): Promise<RedisTally> {
  const tally = { ...emptyTally(), sweeps: 0 };
  const pool: Connected[] = await Promise.all(Array.from({ length: poolSize }, stage.connect));
  const worker = stage.loadWorker();
  try {
    const url = await worker.start();
    for (let n = 0; n < rounds; n += 1) {
      stage.as.switches.fault = { kind: 'slow_answer', ms: chance.between(0, 60) };
      const due = await makeDue(stage, pool, chance.some(pool, 2));
      await stage.sweep();
      const callers = callersOf(stage, [stage.web, stage.clientOf(url)], chance.some(pool, 2));
      await sleep(chance.between(0, 150));
      const from = worker.reports().length;
      await lose(stage, n % 2 === 0 ? 'flush' : 'kill', chance);
      await settled(stage, 'by_themselves');
      stage.as.switches.fault = { kind: 'none' };
      await judgeRound(stage, due, { tally, callers });
      tally.sweeps = Math.max(tally.sweeps, sweepsNeeded(worker, from));
    }
  } catch (error) {
    throw new Error(`A loss of Redis broke off. The worker said: ${worker.printed()}`, { cause: error });
  } finally {
    worker.kill('SIGKILL');
    await worker.ended;
  }
  return tally;
}
