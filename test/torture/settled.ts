import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from './stage.ts';

/** Waits until there is nothing left to do: nothing due, no lease, no webhook under way. */

const patienceMs = 25_000;
const pollMs = 25;
const sweepEveryMs = 500;

type Left = { due: number; leased: number; undelivered: number };

/** `sweeps`: whether the sweeps are run by hand, or only when their turn comes. */
export async function settled(stage: Stage, sweeps: 'by_hand' | 'by_themselves'): Promise<void> {
  const begunMs = performance.now();
  let sweptMs = -Infinity;
  for (;;) {
    if (sweeps === 'by_hand' && performance.now() - sweptMs > sweepEveryMs) {
      await stage.sweep();
      sweptMs = performance.now();
    }
    const [left] = await stage.sql<Left>(`
      select count(*) filter (where refresh_due_at <= now() + interval '2 minutes')::int as due, count(*) filter (where lease_until is not null)::int as leased,
        (select count(*)::int from webhook_deliveries where next_attempt_at is not null) as undelivered
      from connections where deleted_at is null`);
    if (left !== undefined && left.due + left.leased + left.undelivered === 0) return;
    if (performance.now() - begunMs > patienceMs) throw new Error(`It does not come to rest: ${JSON.stringify(left)}\n${await stateOf(stage)}`);
    await sleep(pollMs);
  }
}

async function stateOf({ sql }: Stage): Promise<string> {
  const rows = await sql(`
    select id, status, token_version, refresh_due_at - now() as due_in, queued_until - now() as queued_for, lease_until - now() as leased_for, last_error
    from connections where refresh_due_at <= now() + interval '2 minutes' or lease_until is not null`);
  const deliveries = await sql(
    'select id, status, attempts, next_attempt_at - now() as next_in, last_status, last_error from webhook_deliveries where next_attempt_at is not null limit 20',
  );
  return JSON.stringify({ rows, deliveries }, null, 1);
}
