import { refreshDue } from '../../src/broker/refresh.ts';
import type { DueRefresh } from '../../src/broker/store.ts';
import type { Running } from './broker-process.ts';
import type { Stage } from './stage.ts';

/** A model of the job queue: it may lose, repeat, delay and reorder what it is given. Which job is brought to whom is chance. */
export type Queue = {
  add(jobs: readonly DueRefresh[]): void;
  wipe(): void;
};

export function createQueue(stage: Stage, workers: () => readonly Running[]): Queue {
  const { time, chance, scenario } = stage;
  const waiting = new Set<string>();
  let generation = 0;

  function bring(job: DueRefresh, id: string, addedIn: number): void {
    if (addedIn !== generation) return;
    waiting.delete(id);
    const able = workers().filter(({ life }) => life.alive && life.pausedUntilMs <= time.nowMs());
    const worker = able[Math.floor(chance.below(able.length))];
    if (worker === undefined) return;
    stage.trace?.(worker.life.name, `job ${id}`);
    refreshDue(worker.world, job, worker.turns.take).catch((error: unknown) => stage.trace?.(worker.life.name, `job ${id} failed: ${String(error)}`));
  }

  return {
    add(jobs) {
      for (const job of jobs) {
        const id = `${job.connection_id}-${job.token_version}`;
        // A job that is there already is not added again.
        if (waiting.has(id)) continue;
        waiting.add(id);
        const luck = scenario.queue === 'orderly' ? 1 : chance.below(1);
        const addedIn = generation;
        const soonMs = 1 + chance.below(20);
        if (luck > 0.1) time.after(luck < 0.3 ? soonMs + chance.below(60_000) : soonMs, () => bring(job, id, addedIn));
        else waiting.delete(id);
        if (luck > 0.8 && luck < 1) time.after(soonMs + chance.below(100), () => bring(job, id, addedIn));
      }
    },
    wipe() {
      generation += 1;
      waiting.clear();
    },
  };
}
