import { expect, test } from 'vitest';
import { z } from 'zod';
import { GrantryError } from '../../../src/protocol/errors.ts';
import { parseBody, parseQuery } from '../../../src/web/api/parsing.ts';

const faultsOf = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    if (error instanceof GrantryError) return Object.fromEntries((error.details.errors ?? []).map(({ pointer, detail }) => [pointer, detail]));
    throw error;
  }
  return {};
};

test('a fault says what to write instead', () => {
  const schema = z.strictObject({
    name: z.string().min(1),
    id: z.string(),
    tall: z.string().min(3),
    short: z.string().max(2),
    tags: z.array(z.string()).min(1),
    kind: z.enum(['shared', 'own']),
    other: z.enum(['a', 'b']),
    at: z.iso.datetime({ offset: true }),
    own: z.string().regex(/^x$/, 'Must be x.'),
    seconds: z.number().int().min(60),
    most: z.number().max(5),
    user: z.strictObject({ id: z.string() }),
  });
  const value = { name: '', tall: 'a', short: 'abc', tags: 'one', kind: 'mine', at: 'tomorrow', own: 'y', seconds: 1.5, most: 9, user: [] };
  expect(faultsOf(() => parseBody(schema, value))).toEqual({
    '/name': 'Must not be empty.',
    '/id': 'Is required.',
    '/tall': 'Must have at least 3 characters.',
    '/short': 'Must have at most 2 characters.',
    '/tags': 'Must be a list, [...].',
    '/kind': 'Must be one of shared, own.',
    '/other': 'Is required. Must be one of a, b.',
    '/at': 'Must be a time such as 2026-12-01T00:00:00Z.',
    '/own': 'Must be x.',
    '/seconds': 'Must be a whole number.',
    '/most': 'Must be 5 or less.',
    '/user': 'Must be an object, {...}.',
  });
  const query = z.strictObject({ limit: z.coerce.number().int().min(1), grant: z.enum(['oauth1']).optional() });
  expect(faultsOf(() => parseQuery(query, new URLSearchParams('limit=many&grant=oauth3')))).toEqual({
    '/limit': 'Must be a number.',
    '/grant': 'Must be oauth1.',
  });
});
