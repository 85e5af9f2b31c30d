import type { ConnectionRecord } from './records.ts';

/** How long a refresh waits that was put off before anything was sent. */

/** Whatever is mended that nobody tells us of is found out within this. */
const longestMs = 900_000;

type Waiting = { connection: Pick<ConnectionRecord, 'put_off_since' | 'expires_at'>; now: Date };

/**
 * The pause until a refresh is looked at again that was put off: as long as its host or registration asks for, or a tenth of the time for
 * which it has been waiting already, so that what stays down for hours is looked at less and less. A token that still lives is not left
 * to end because of that growth. Milliseconds.
 *
 * @param toldMs how long to wait at least
 * @param chance 0 to 1: those that were put off together do not come back together
 */
export function putOffMs({ connection: { put_off_since, expires_at }, now }: Waiting, toldMs: number, chance: number): number {
  const waitedMs = put_off_since === null ? 0 : now.getTime() - put_off_since.getTime();
  const grownMs = Math.min(longestMs, waitedMs / 10) * (1 - chance / 4);
  const livesMs = expires_at === null ? 0 : expires_at.getTime() - now.getTime();
  return Math.max(toldMs, livesMs > 0 ? Math.min(grownMs, livesMs) : grownMs);
}
