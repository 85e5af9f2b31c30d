import { parentPort, workerData } from 'node:worker_threads';
import fc from 'fast-check';
import { memoryMb, warmShare } from './memory.ts';
import type { Given, Told } from './orders.ts';
import { properties } from './properties/index.ts';
import { type Draft, drafts, Violation } from './property.ts';
import { mustBeUnpollutedAtLast } from './token-oracle.ts';

/** One property, in a thread of its own: whoever watches can end it when a case never comes back, and sees when it dies. */

const { name, seed, runs, regressions, packageRoot, shared }: Given = workerData;
const property = properties.find((each) => each.name === name);
if (property === undefined) throw new Error(`There is no property ${name}.`);

let unhandled = 0;
let rejection: string | undefined;
process.on('unhandledRejection', (reason) => {
  unhandled += 1;
  rejection ??= reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
});

const counts: Record<string, number> = {};
const count = (what: string) => {
  counts[what] = (counts[what] ?? 0) + 1;
};
const progress = new Int32Array(shared);
/** Since nothing that refuses is slow but the stack of its error. */
const stackTraceLimit = Error.stackTraceLimit;

const { check, shown } = await property.prepare({ packageRoot });
const startedWith = process.cpuUsage();
let done = 0;
let slowestMs = 0;
let warmMb = 0;

async function once(draft: Draft): Promise<void> {
  const [base, changes] = draft;
  progress.set([base | 0, changes.length, ...changes.map((change) => change | 0)], 1);
  Atomics.add(progress, 0, 1);
  const startedAt = performance.now();
  const checked = check(draft, count);
  if (checked !== undefined) await checked;
  slowestMs = Math.max(slowestMs, performance.now() - startedAt);
  done += 1;
  // What was rejected and not handled is told between turns of the loop only.
  if (done % 1_000 === 0) await new Promise(setImmediate);
  if (done === Math.ceil(runs * warmShare)) warmMb = memoryMb();
}

/** Without a path: so many cases. With one: the case that it leads to. */
async function run(from: { seed: number; path?: string | undefined }, numRuns: number): Promise<Told['failure']> {
  const { path } = from;
  const result = await fc.check(fc.asyncProperty(drafts, once), {
    seed: from.seed,
    numRuns,
    ...(path !== undefined && { path, endOnFailure: true }),
  });
  if (!result.failed) return undefined;
  const [draft] = result.counterexample ?? [];
  Error.stackTraceLimit = stackTraceLimit;
  const error: unknown = draft === undefined ? result.errorInstance : await thrownBy(draft);
  return {
    seed: from.seed,
    path: result.counterexamplePath ?? '',
    kind: error instanceof Violation ? error.kind : 'crash',
    what: error instanceof Error ? (error.stack ?? error.message) : String(error),
    shown: draft === undefined ? undefined : JSON.stringify(shown(draft)),
  };
}

/** Once more, with a whole stack. */
const thrownBy = async (draft: Draft): Promise<unknown> => {
  try {
    await check(draft, () => {});
    return new Error('It failed once, and not again.');
  } catch (error) {
    return error;
  }
};

Error.stackTraceLimit = 0;
let failure: Told['failure'];
for (const regression of regressions) failure ??= await run(regression, 1);
failure ??= await run({ seed }, runs);
Error.stackTraceLimit = stackTraceLimit;
await new Promise((resolve) => setTimeout(resolve, 20));
mustBeUnpollutedAtLast();
const told: Told = {
  runs: done,
  counts,
  slowestMs,
  cpuS: process.cpuUsage(startedWith).user / 1e6,
  unhandled,
  rejection,
  growthMb: failure === undefined ? memoryMb() - warmMb : 0,
  failure,
};
parentPort?.postMessage(told);
