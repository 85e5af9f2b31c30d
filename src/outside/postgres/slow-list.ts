import { GrantryError } from '../../protocol/errors.ts';

/** `query_canceled`: the statement timeout of the pool. drizzle keeps what Postgres said as the cause. */
const isTimedOut = (error: unknown): boolean =>
  error instanceof Error && (('code' in error && error.code === '57014') || (error.cause !== undefined && isTimedOut(error.cause)));

/**
 * The rows of a list whose filters no index serves: one that matches next to nothing looks at every row. When that takes too long it is
 * answered by `unavailable` and `advice`, not by a Postgres that is away: trying again would not help, and nothing says when to.
 */
export async function listed<Row>(rows: Promise<Row[]>, advice: string): Promise<Row[]> {
  try {
    return await rows;
  } catch (error) {
    if (!isTimedOut(error)) throw error;
    // Without its cause, by which it would be taken for a Postgres that is away.
    throw new GrantryError('unavailable', { detail: `The list took too long: too many rows had to be looked at. ${advice}` });
  }
}
