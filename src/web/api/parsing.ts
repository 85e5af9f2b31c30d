import { z } from 'zod';
import { pointerOf } from '../../protocol/definition/faults.ts';
import { type Fault, GrantryError } from '../../protocol/errors.ts';
import { isStorableText } from './json-body.ts';
import { sentenceFor } from './sentences.ts';

/** Bodies and queries through their zod schemas; what is wrong comes back as faults with RFC 6901 pointers, all at once. */

/** Further ones say nothing new, and would be many times as long as what came. */
const mostFaults = 200;

/** Zod's findings as faults; unknown fields are named one by one. */
export function faultsOf(error: z.ZodError): Fault[] {
  return error.issues.flatMap((issue): Fault[] => {
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({ pointer: pointerOf([...issue.path, key]), detail: 'There is no such field.' }));
    if (issue.code === 'invalid_union') {
      const nested = issue.errors.map((branch) =>
        faultsOf(new z.ZodError(branch.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })))),
      );
      const closest = nested.filter((faults) => faults.length > 0).sort((a, b) => a.length - b.length)[0];
      if (closest !== undefined) return closest;
    }
    return [{ pointer: pointerOf(issue.path), detail: issue.message }];
  });
}

function refused(what: 'body' | 'query', errors: readonly Fault[]): GrantryError {
  const [first] = errors;
  return new GrantryError('invalid_request', {
    detail: `The ${what} is not valid: ${first?.pointer || '/'} - ${first?.detail ?? ''}`,
    errors: errors.slice(0, mostFaults),
  });
}

/** A body that has been read. Throws `invalid_request`. */
export function parseBody<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value, { error: sentenceFor });
  if (result.success) return result.data;
  throw refused('body', faultsOf(result.error));
}

/** A query, each parameter given once. Throws `invalid_request`, at most one fault for each name. */
export function parseQuery<T>(schema: z.ZodType<T>, query: URLSearchParams): T {
  const names = [...new Set(query.keys())];
  const odd = new Map<string, string>();
  for (const name of names) {
    const values = query.getAll(name);
    if (values.length > 1) odd.set(name, 'Give it once.');
    else if (values[0] === '') odd.set(name, 'Must not be empty.');
    else if (!isStorableText(values[0] ?? '')) odd.set(name, 'Must not hold NUL or half of a surrogate pair.');
  }
  const result = schema.safeParse(Object.fromEntries(names.map((name) => [name, query.get(name)])), { error: sentenceFor });
  const found = result.success ? [] : faultsOf(result.error);
  const unknown = new Set(found.filter(({ detail }) => detail === 'There is no such field.').map(({ pointer }) => pointer));
  const own = [...odd].map(([name, detail]) => ({ pointer: pointerOf([name]), detail })).filter(({ pointer }) => !unknown.has(pointer));
  const taken = new Set(own.map(({ pointer }) => pointer));
  const faults = [...own, ...found.filter(({ pointer }) => !taken.has(pointer))];
  if (faults.length > 0 || !result.success) throw refused('query', faults);
  return result.data;
}
