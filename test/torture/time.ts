import type { Stage } from './stage.ts';

/**
 * A minute, passed at once: what a kill leaves behind is let go of only after some time (leases 45 s, what a sweep has handed out 30 s and
 * 60 s, jobs of a dead worker 20 s and a check), and nobody wants to wait five hundred times for it. To be called while no worker lives.
 */

const queues = ['refresh', 'webhooks', 'maintenance'];

/** `dead`: the leases of whoever was killed. */
export async function passMinute({ sql, redis: { client } }: Stage, dead: readonly string[]): Promise<void> {
  await sql(`update connections set lease_until = now() - interval '1 second' where refresh_lease = any($1::uuid[])`, [dead]);
  await sql(
    `update connections set queued_until = null, refresh_due_at = least(refresh_due_at, now()) where refresh_due_at <= now() or put_off_since is not null`,
  );
  await sql(`update webhook_deliveries set next_attempt_at = now() where next_attempt_at is not null`);
  for (const queue of queues) {
    const key = `{grantry-${queue}}:${queue}`;
    const active = await client.lrange(`${key}:active`, 0, -1);
    if (active.length === 0) continue;
    // BullMQ's own check does the rest when the next worker begins.
    await client.del(...active.map((id) => `${key}:${id}:lock`), `${key}:stalled-check`);
    await client.sadd(`${key}:stalled`, ...active);
  }
}
