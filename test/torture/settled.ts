import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from './stage.ts';

/** Waits until there is nothing left to do: nothing due, no lease, no webhook under way. */

const patienceMs = 60_000;
const pollMs = 50;
const sweepEveryMs = 500;

type Left = { due: number; leased: number; undelivered: number };

/**
 * `refreshes`: whether the sweep for them is run by hand, or only when its turn comes. Webhooks that a queue has lost, or that failed, would
 * wait for a minute: those are brought forward when all else is at rest.
 */
export async function settled(stage: Stage, refreshes: 'by_hand' | 'by_themselves'): Promise<void> {
  const begunMs = performance.now();
  let sweptMs = -Infinity;
  for (;;) {
    const [left] = await stage.sql<Left>(`
      select count(*) filter (where refresh_due_at <= now() + interval '2 minutes' or put_off_since is not null)::int as due, count(*) filter (where lease_until is not null)::int as leased,
        (select count(*)::int from webhook_deliveries where next_attempt_at is not null) as undelivered
      from connections where deleted_at is null`);
    const { due, leased, undelivered } = left ?? { due: 0, leased: 0, undelivered: 0 };
    if (due + leased + undelivered === 0) return;
    const nowMs = performance.now();
    if (nowMs - begunMs > patienceMs) throw new Error(`It does not come to rest: ${JSON.stringify(left)}\n${await stateOf(stage)}`);
    const isAtRest = due + leased === 0;
    if ((isAtRest || refreshes === 'by_hand') && nowMs - sweptMs > sweepEveryMs) {
      if (isAtRest && sweptMs > 0) await stage.sql('update webhook_deliveries set next_attempt_at = now() where next_attempt_at is not null');
      await stage.sweep();
      sweptMs = nowMs;
    }
    await sleep(pollMs);
  }
}

async function stateOf({ sql }: Stage): Promise<string> {
  const rows = await sql(`
    select id, status, token_version, refresh_due_at - now() as due_in, queued_until - now() as queued_for, lease_until - now() as leased_for, last_error
    from connections where refresh_due_at <= now() + interval '2 minutes' or put_off_since is not null or lease_until is not null`);
  const deliveries = await sql(
    'select id, status, attempts, next_attempt_at - now() as next_in, last_status, last_error from webhook_deliveries where next_attempt_at is not null limit 20',
  );
  return JSON.stringify({ rows, deliveries }, null, 1);
}
