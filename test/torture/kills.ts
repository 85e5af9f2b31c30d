import { setTimeout as sleep } from 'node:timers/promises';
import { type Callers, callersOf } from './callers.ts';
import type { Chance } from './chance.ts';
import { type Point, points } from './failpoints.ts';
import { emptyTally, judgeRound, makeDue, type Tally } from './round.ts';
import { settled } from './settled.ts';
import type { Connected, Stage } from './stage.ts';
import { passMinute } from './time.ts';
import type { Worker } from './worker-process.ts';

/** Workers ended by kill -9, one after the other, each in the middle of its work. */

export const moments = ['before_intent', 'after_intent', 'after_send', ...points.slice(2), 'random'] as const;
export type Moment = (typeof moments)[number];

const poolSize = 10;
const fewest = 3;
const reachMs = 5_000;

const isPoint = (name: Moment): name is Point => points.some((point) => point === name);

/** Brings the worker to its end; `begin` sets its work going. */
async function endAt(
  stage: Stage,
  worker: Worker,
  { moment, chance }: { moment: Moment; chance: Chance },
  begin: () => Promise<void>,
): Promise<void> {
  const nth = chance.between(1, fewest);
  const laterMs = chance.between(0, 150);
  if (isPoint(moment)) await worker.arm({ point: moment, nth, act: 'die' });
  // The provider has processed the request, and its answer has not left it.
  if (moment === 'after_send') stage.as.switches.fault = { kind: 'slow_answer', ms: 1_000, times: 1, onHeld: () => worker.kill('SIGKILL') };
  await begin();
  // The web process may have been the one who came to the point.
  const patience = sleep(moment === 'random' ? laterMs : reachMs).then(() => worker.kill('SIGKILL'));
  await Promise.race([worker.ended, patience]);
  await worker.ended;
  stage.as.switches.fault = { kind: 'none' };
}

/** What the dead had: the leases, and the connections they are of. */
async function heldByTheDead({ sql, livingLeases }: Stage): Promise<{ connections: Set<string>; leases: string[] }> {
  const rows = await sql<{ id: string; refresh_lease: string }>('select id, refresh_lease from connections where lease_until is not null');
  const dead = rows.filter(({ refresh_lease }) => !livingLeases.has(refresh_lease));
  return { connections: new Set(dead.map(({ id }) => id)), leases: dead.map(({ refresh_lease }) => refresh_lease) };
}

type Round = {
  worker: Worker;
  url: string;
  next: Worker;
  moment: Moment;
  /** Nobody asks for tokens: it is the worker, and not the web process, who comes to the moment. */
  alone: boolean;
  pool: readonly Connected[];
  chance: Chance;
  tally: Tally;
};

async function round(
  stage: Stage,
  { worker, url, next, moment, alone, pool, chance, tally }: Round,
): Promise<{ spent: ReadonlySet<string>; url: string }> {
  const connections = chance.some(pool, chance.between(fewest, pool.length));
  const ended = alone ? [] : chance.some(connections, chance.between(0, 2));
  const due = await makeDue(stage, connections, ended);
  // Both processes are asked for what has ended, while the worker's own job is at it.
  const asking = alone ? [] : [...ended.flatMap((each) => [each, each]), ...chance.some(connections, chance.between(0, 2))];
  let callers: Callers | undefined;
  await endAt(stage, worker, { moment, chance }, async () => {
    await stage.sweep();
    callers = callersOf(stage, [stage.web, stage.clientOf(url)], asking);
  });
  const held = await heldByTheDead(stage);
  await passMinute(stage, held.leases);
  const nextUrl = await next.start();
  await settled(stage, 'by_hand');
  return { spent: await judgeRound(stage, due, { tally, mayBeLost: held.connections, ...(callers && { callers }) }), url: nextUrl };
}

/** Ends so many workers, at each moment in turn; the first time at each, nobody but the worker is at work. `onRun` hears of each run's end. */
export async function kills(stage: Stage, runs: number, chance: Chance, onRun: (n: number) => void = () => {}): Promise<Record<Moment, Tally>> {
  const tallies = Object.fromEntries(moments.map((moment) => [moment, emptyTally()])) as Record<Moment, Tally>; // each moment has one
  let pool = await Promise.all(Array.from({ length: poolSize }, stage.connect));
  let worker = stage.loadWorker();
  let url = await worker.start();
  try {
    for (let n = 0; n < runs; n += 1) {
      const moment = moments[n % moments.length] ?? 'random';
      const next = stage.loadWorker();
      try {
        const ended = await round(stage, { worker, url, next, moment, alone: n < moments.length, pool, chance, tally: tallies[moment] });
        pool = await Promise.all(pool.map((each) => (ended.spent.has(each.id) ? stage.connect() : each)));
        url = ended.url;
      } catch (error) {
        throw new Error(`Run ${n} (${moment}) broke off. The next worker said: ${next.printed()}`, { cause: error });
      } finally {
        worker.kill('SIGKILL');
        worker = next;
      }
      onRun(n);
    }
  } finally {
    worker.kill('SIGKILL');
  }
  return tallies;
}
