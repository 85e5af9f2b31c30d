import { type ErrorCode, errorTable } from '../protocol/errors.ts';

/** Words that may become a label's value. Each set is closed: whatever is not in it is one word, so that nobody can invent series. */

const codes: ReadonlySet<string> = new Set(['refreshed', ...Object.keys(errorTable)]);
const statuses: ReadonlySet<number> = new Set([200, ...Object.values(errorTable).map(({ status }) => status)]);

export const outcomeLabel = (outcome: string): string => (codes.has(outcome) ? outcome : 'other');

/** `failed` may succeed later by itself, `refused` will not. */
export function outcomeClass(outcome: 'refreshed' | ErrorCode): 'refreshed' | 'failed' | 'refused' {
  if (outcome === 'refreshed') return outcome;
  return Object.hasOwn(errorTable, outcome) && !errorTable[outcome].retryable ? 'refused' : 'failed';
}

export const statusLabel = (status: number): string => (statuses.has(status) ? String(status) : 'other');

/** Keeps the first so many words that it hears. */
export function firstWords(most: number): (word: string) => string {
  const known = new Set<string>();
  return (word) => {
    if (known.size < most) known.add(word);
    return known.has(word) ? word : 'other';
  };
}

/** The word itself when it is one of these. */
export const oneOf =
  (words: readonly string[]) =>
  (word: string): string =>
    words.includes(word) ? word : 'other';
