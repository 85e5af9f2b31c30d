import { Worker } from 'node:worker_threads';
import type { Bundle } from '../harness/bundle.ts';
import type { Given, Told } from './orders.ts';

/** What a run came to, for the table. */
export type Outcome = Told & { name: string; seed: number; hangs: number; crashes: number };

/** A case that has not come back after so long never will: it takes microseconds, and the machine may be busy. */
const patienceMs = 60_000;

/**
 * Runs a property in a thread and watches it. A case that does not come back is a hang and is ended; a thread that dies, as of a heap that is
 * full, has crashed.
 */
export async function watched(bundle: Bundle, given: Omit<Given, 'packageRoot' | 'shared'>): Promise<Outcome> {
  const shared = new SharedArrayBuffer(64);
  const progress = new Int32Array(shared);
  const workerData: Given = { ...given, packageRoot: bundle.packageRoot, shared };
  const worker = new Worker(bundle.program, { workerData, resourceLimits: { maxOldGenerationSizeMb: 512 } });
  const nothing: Told = { runs: 0, counts: {}, slowestMs: 0, cpuS: 0, unhandled: 0, rejection: undefined, growthMb: 0, failure: undefined };
  const outcome = { ...nothing, name: given.name, seed: given.seed, hangs: 0, crashes: 0 };
  /** The case that was under way. */
  const draft = () => {
    const [, base = 0, count = 0, ...changes] = progress;
    return JSON.stringify([base >>> 0, changes.slice(0, count).map((change) => change >>> 0)]);
  };
  const broken = (what: string) => ({ seed: given.seed, path: '', kind: 'crash' as const, what, shown: draft() });

  let [seen, seenAt] = [-1, performance.now()];
  let hung = false;
  const watch = setInterval(() => {
    const begun = Atomics.load(progress, 0);
    if (begun !== seen) [seen, seenAt] = [begun, performance.now()];
    else if (performance.now() - seenAt > patienceMs) {
      hung = true;
      void worker.terminate();
    }
  }, 500);
  const told: Told[] = [];
  const died: unknown[] = [];
  worker.on('message', (message: Told) => told.push(message)).on('error', (error) => died.push(error));
  // Not `once`, which an error would end, and so hide what the thread came to.
  await new Promise((resolve) => worker.on('exit', resolve));
  clearInterval(watch);

  const [answer] = told;
  const runs = progress[0] ?? 0;
  if (hung) return { ...outcome, runs, hangs: 1, failure: broken('It never came back.') };
  if (answer === undefined) return { ...outcome, runs, crashes: 1, failure: broken(`The thread died: ${String(died[0])}`) };
  return { ...outcome, ...answer, crashes: answer.failure?.kind === 'crash' ? 1 : 0 };
}
