import type { PageRequest } from '../../broker/store.ts';
import { GrantryError } from '../../protocol/errors.ts';

/** Cursors are opaque to callers: the last id of the page, in base64url. */

export const cursorOf = (lastId: string | undefined): string | null => (lastId === undefined ? null : Buffer.from(lastId).toString('base64url'));

/** Throws `invalid_request` for what is not a cursor of ours. */
export function readCursor(cursor: string | undefined, form = /^[a-z0-9_-]{1,100}$/): string | undefined {
  if (cursor === undefined) return undefined;
  const id = Buffer.from(cursor, 'base64url').toString('latin1');
  if (!form.test(id)) {
    throw new GrantryError('invalid_request', {
      detail: 'The cursor is not one of ours.',
      errors: [{ pointer: '/cursor', detail: 'Use next_cursor of the page before.' }],
    });
  }
  return id;
}

/** The page that a query asks for; `form`: what the ids of the list look like. */
export const pageOf = ({ limit, cursor }: { limit: number; cursor?: string | undefined }, form?: RegExp): PageRequest => ({
  limit,
  after: readCursor(cursor, form),
});
