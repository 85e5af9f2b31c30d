import { sql } from 'drizzle-orm';

/**
 * A condition that always holds. What its statement or transaction writes is on the disk before anybody hears that it was committed, also
 * where the server, the database or the role says `synchronous_commit = off`: a refresh token that was used and whose successor is forgotten
 * ends a connection. Every other value waits for our own disk already. Said with the statement, because a parameter of the connection
 * does not pass a pooler.
 */
export const durablyText = `(case when current_setting('synchronous_commit') = 'off' then set_config('synchronous_commit', 'on', true) else '' end) is not null`;

/** The same as a statement of its own, for a transaction. */
export const durably = sql.raw(`select ${durablyText}`);
