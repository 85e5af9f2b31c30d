import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Chance } from './chance.ts';
import { emptyTally, judgeRound, makeDue, type Tally } from './round.ts';
import { settled } from './settled.ts';
import type { Stage } from './stage.ts';

/** Postgres ended at once when the provider has answered, and nothing of it is saved yet. Nothing may be lost of that. */

export const ends = [
  /** The worker lives and waits. */
  'lives',
  /** It is asked to end, and does when Postgres is back. */
  'asked_to_end',
  /** It is ended by kill -9 when what it has is on the disk. */
  'killed',
  /** It is asked to end, and does before Postgres is back. Takes as long as an orderly stop may. */
  'ends_without',
] as const;
export type End = (typeof ends)[number];

/** As many as one worker of the stage has under way at one host. */
const atOnce = 3;

async function spilled({ dataDir }: Stage): Promise<void> {
  const files = async () => (await readdir(`${dataDir}/spill`).catch(() => [])).filter((name) => name.endsWith('.json'));
  for (let left = 1_000; (await files()).length < atOnce; left -= 1) {
    if (left === 0) throw new Error('What could not be saved is not on the disk.');
    await sleep(10);
  }
}

async function stopOnce(stage: Stage, end: End, chance: Chance, tally: Tally): Promise<void> {
  const connections = await Promise.all(Array.from({ length: atOnce }, stage.connect));
  const worker = stage.loadWorker();
  const next = end === 'lives' ? undefined : stage.loadWorker();
  try {
    await worker.start();
    await worker.arm({ point: 'after_answer', nth: 1, act: 'wait' });
    const due = await makeDue(stage, connections);
    await stage.sweep();
    while (worker.count('reached') < atOnce) await worker.hear('reached');
    await stage.postgres.crash();
    worker.goOn();
    await spilled(stage);
    if (end === 'asked_to_end' || end === 'ends_without') worker.kill('SIGTERM');
    if (end === 'killed') worker.kill('SIGKILL');
    await sleep(chance.between(0, 1_000));
    if (end === 'ends_without') await worker.ended;
    await stage.postgres.restart();
    if (next !== undefined) {
      const how = await worker.ended;
      if (how !== (end === 'killed' ? 'SIGKILL' : 0)) tally.faults.push(`the worker ended with ${how}: ${worker.printed()}`);
      await next.start();
    }
    await settled(stage, 'by_hand');
    await judgeRound(stage, due, { tally });
    const left = await readdir(`${stage.dataDir}/spill`);
    if (left.length > 0) tally.faults.push(`left on the disk: ${left.join()}`);
  } finally {
    worker.kill('SIGKILL');
    next?.kill('SIGKILL');
    await Promise.all([worker.ended, next?.ended]);
  }
}

/** Stops Postgres once for each of the ends. */
export async function postgresStops(stage: Stage, wanted: readonly End[], chance: Chance): Promise<Tally> {
  const tally = emptyTally();
  for (const end of wanted) {
    await stopOnce(stage, end, chance, tally).catch((error: unknown) => {
      throw new Error(`Postgres stopped, and the worker ${end}: broke off`, { cause: error });
    });
  }
  return tally;
}
