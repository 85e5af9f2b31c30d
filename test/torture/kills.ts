import { setTimeout as sleep } from 'node:timers/promises';
import { callersOf } from './callers.ts';
import type { Chance } from './chance.ts';
import { type Point, points } from './failpoints.ts';
import { settled } from './settled.ts';
import type { Connected, Stage } from './stage.ts';
import { passMinute } from './time.ts';
import { type Fate, judge, untold } from './verdict.ts';
import type { Worker } from './worker-process.ts';

/** Workers ended by kill -9, one after the other, each in the middle of its work. */

export const moments = ['before_intent', 'after_intent', 'after_send', ...points.slice(2), 'random'] as const;
export type Moment = (typeof moments)[number];

export type Tally = { runs: number; fates: Record<Fate, number>; doubleSends: number; untold: number; faults: string[] };
export type Kills = Record<Moment, Tally>;

const poolSize = 10;
const fewest = 3;
const reachMs = 3_000;

const emptyTally = (): Tally => ({
  runs: 0,
  fates: { refreshed: 0, retried: 0, lost: 0, wrong: 0, silent: 0 },
  doubleSends: 0,
  untold: 0,
  faults: [],
});

/** Makes them due; some have ended, so that callers have to wait. */
async function makeDue({ sql }: Stage, ids: readonly string[], ended: readonly string[]): Promise<void> {
  await sql(
    `update connections set refresh_due_at = now(), queued_until = null,
       issued_at = case when id = any($2) then now() - interval '1 hour' else issued_at end,
       expires_at = case when id = any($2) then now() - interval '1 second' else expires_at end
     where id = any($1)`,
    [ids, ended],
  );
}

/** Brings the worker to its end; `begin` sets its work going. */
async function endAt(stage: Stage, worker: Worker, moment: Moment, chance: Chance, begin: () => Promise<void>): Promise<void> {
  const isPoint = (name: Moment): name is Point => points.some((point) => point === name);
  const nth = chance.between(1, fewest);
  const laterMs = chance.between(0, 150);
  if (isPoint(moment)) await worker.arm({ point: moment, nth, act: 'die' });
  // The provider has processed the request, and its answer has not left it.
  if (moment === 'after_send') stage.as.switches.fault = { kind: 'slow_answer', ms: 1_000, times: 1, onHeld: () => worker.kill('SIGKILL') };
  await begin();
  if (moment === 'random') await sleep(laterMs).then(() => worker.kill('SIGKILL'));
  // The web process may have been the one who came there.
  const patience = sleep(reachMs, undefined, { ref: false }).then(() => worker.kill('SIGKILL'));
  await Promise.race([worker.ended, patience]);
  await worker.ended;
  stage.as.switches.fault = { kind: 'none' };
}

async function deadLeases({ sql, livingLeases }: Stage): Promise<{ ids: Set<string>; leases: string[] }> {
  const rows = await sql<{ id: string; refresh_lease: string }>('select id, refresh_lease from connections where lease_until is not null');
  const dead = rows.filter(({ refresh_lease }) => !livingLeases.has(refresh_lease));
  return { ids: new Set(dead.map(({ id }) => id)), leases: dead.map(({ refresh_lease }) => refresh_lease) };
}

type Round = { stage: Stage; worker: Worker; url: string; next: Worker; moment: Moment; pool: readonly Connected[]; chance: Chance };
type Ended = { lost: Set<string>; url: string };

async function round({ stage, worker, url, next, moment, pool, chance }: Round, tally: Tally): Promise<Ended> {
  const due = chance.some(pool, chance.between(fewest, pool.length));
  const ids = due.map(({ id }) => id);
  const [clock] = await stage.sql<{ now: Date }>('select now()');
  const versions = new Map(
    (await stage.sql<{ id: string; token_version: number }>('select id, token_version from connections where id = any($1)', [ids])).map((row) => [
      row.id,
      row.token_version,
    ]),
  );
  const reuseBefore = stage.as.counters.refresh_reuse;
  await makeDue(stage, ids, chance.some(ids, chance.between(0, 2)));
  const asking = chance.some(due, chance.between(0, 4));
  let callers = callersOf(stage, [], []);
  await endAt(stage, worker, moment, chance, async () => {
    await stage.sweep();
    callers = callersOf(stage, [stage.web, stage.clientOf(url)], asking);
  });
  const dead = await deadLeases(stage);
  await passMinute(stage, dead.leases);
  const nextUrl = await next.start();
  await settled(stage, 'by_hand');

  const judged = await Promise.all(due.map((each) => judge(stage, each, versions.get(each.id) ?? 0, dead.ids.has(each.id))));
  for (const { fate, detail } of judged) {
    tally.fates[fate] += 1;
    if (fate === 'wrong' || fate === 'silent') tally.faults.push(detail);
  }
  const lost = new Set(judged.filter(({ fate }) => fate === 'lost').map(({ connection }) => connection.id));
  const wrong = await callers.wrong(lost);
  const missing = await untold(stage, clock?.now ?? new Date(0));
  tally.runs += 1;
  tally.fates.wrong += wrong.length;
  // Each loss is told by one refused second try. Any more would be somebody's second refresh of a version.
  tally.doubleSends += stage.as.counters.refresh_reuse - reuseBefore - lost.size;
  tally.untold += missing.length;
  tally.faults.push(...wrong, ...missing);
  return { lost, url: nextUrl };
}

/** `onRun` hears of each run's end. */
export async function kills(stage: Stage, runs: number, chance: Chance, onRun: (n: number) => void = () => {}): Promise<Kills> {
  const tallies = Object.fromEntries(moments.map((moment) => [moment, emptyTally()])) as Kills; // each moment has one
  let pool = await Promise.all(Array.from({ length: poolSize }, stage.connect));
  let worker = stage.loadWorker();
  let url = await worker.start();
  try {
    for (let n = 0; n < runs; n += 1) {
      const moment = moments[n % moments.length] ?? 'random';
      const next = stage.loadWorker();
      try {
        const ended = await round({ stage, worker, url, next, moment, pool, chance }, tallies[moment]);
        pool = await Promise.all(pool.map((each) => (ended.lost.has(each.id) ? stage.connect() : each)));
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
