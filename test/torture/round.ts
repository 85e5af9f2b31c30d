import type { Callers } from './callers.ts';
import type { Connected, Stage } from './stage.ts';
import { type Fate, judge, untold } from './verdict.ts';

/** One round of a torture: connections that become due, and what became of them when all is quiet again. */

export type Tally = {
  runs: number;
  fates: Record<Fate, number>;
  /** Requests with a refresh token that had been used before, beyond the one by which a loss is found out. */
  doubleSends: number;
  /** Events without a webhook. */
  untold: number;
  /** What was wrong, in words. */
  faults: string[];
};

export const emptyTally = (): Tally => ({
  runs: 0,
  fates: { refreshed: 0, retried: 0, lost: 0, wrong: 0, silent: 0 },
  doubleSends: 0,
  untold: 0,
  faults: [],
});

export type Due = { connections: readonly Connected[]; versions: ReadonlyMap<string, number>; since: Date; reuse: number };

/** They are due now. `ended`: those whose token has ended as well, so that callers have to wait. */
export async function makeDue({ sql, as }: Stage, connections: readonly Connected[], ended: readonly Connected[] = []): Promise<Due> {
  const rows = await sql<{ id: string; token_version: number; now: Date }>(
    `update connections set refresh_due_at = now(), queued_until = null,
       issued_at = case when id = any($2) then now() - interval '1 hour' else issued_at end,
       expires_at = case when id = any($2) then now() - interval '1 second' else expires_at end
     where id = any($1) returning id, token_version, now() as now`,
    [connections.map(({ id }) => id), ended.map(({ id }) => id)],
  );
  return {
    connections,
    versions: new Map(rows.map((row) => [row.id, row.token_version])),
    since: rows[0]?.now ?? new Date(),
    reuse: as.counters.refresh_reuse,
  };
}

/**
 * Adds what became of them to the tally; returns those that are of no use any more.
 *
 * @param mayBeLost those whose lease had somebody who was ended the hard way
 */
export async function judgeRound(
  stage: Stage,
  { connections, versions, since, reuse }: Due,
  { tally, mayBeLost = new Set(), callers }: { tally: Tally; mayBeLost?: ReadonlySet<string>; callers?: Callers },
): Promise<ReadonlySet<string>> {
  const judged = await Promise.all(connections.map((each) => judge(stage, each, versions.get(each.id) ?? 0, mayBeLost.has(each.id))));
  for (const { fate, detail } of judged) {
    tally.fates[fate] += 1;
    if (fate === 'wrong' || fate === 'silent') tally.faults.push(detail);
  }
  const lost = new Set(judged.filter(({ fate }) => fate === 'lost').map(({ connection }) => connection.id));
  const wrong = (await callers?.wrong(lost)) ?? [];
  const missing = await untold(stage, since);
  tally.runs += 1;
  tally.fates.wrong += wrong.length;
  tally.doubleSends += stage.as.counters.refresh_reuse - reuse - lost.size;
  tally.untold += missing.length;
  tally.faults.push(...wrong, ...missing);
  return new Set(judged.filter(({ fate }) => fate !== 'refreshed' && fate !== 'retried').map(({ connection }) => connection.id));
}
