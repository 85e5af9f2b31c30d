import { GrantryError } from '../protocol/errors.ts';

/** What is counted per minute: calls of an API key, wrong keys, pages and unknown callbacks of an address, links of a project. */
export type Limited = 'calls' | 'wrong_keys' | 'pages' | 'unknown_callbacks' | 'links';

/** How much of each is allowed in a minute. */
export type Allowances = Readonly<Record<Limited, number>>;

/** Counts in this process's memory: nothing here waits for anything. */
export type Limits = {
  /** Counts one; the whole seconds to wait when it is one too many, and undefined when it is allowed. */
  take(what: Limited, who: string): number | undefined;
  /** The same without counting. */
  spent(what: Limited, who: string): number | undefined;
};

/** What somebody does who has done too much of it. */
export const tooMany = (detail: string, retryAfterS: number) => new GrantryError('rate_limited', { detail, retryAfterS });
