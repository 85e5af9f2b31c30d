import { GrantryError } from '../protocol/errors.ts';

/** What is counted per minute: calls of an API key, wrong keys, pages and unknown callbacks of an address, links of a project. */
export type Limited = 'calls' | 'wrong_keys' | 'pages' | 'unknown_callbacks' | 'links';

/** Those that all processes count together. The others must cost no round trip, and leave nothing behind anywhere. */
export type Shared = 'calls' | 'wrong_keys' | 'links';

/** How much of each is allowed in a minute. */
export type Allowances = Readonly<Record<Limited, number>>;

/** Of `allowance` in `windowS` seconds so many are left, and in `resetS` whole seconds (at least one) all are there again. */
export type Standing = { kind: 'allowed' | 'refused'; allowance: number; windowS: number; left: number; resetS: number };

/** Counts in this process's memory: nothing here waits for anything. */
export type Limits = {
  /** Counts one. */
  take(what: Limited, who: string): Standing;
  /** The same without counting. */
  standing(what: Limited, who: string): Standing;
  /** Nothing more is allowed for so many seconds. */
  exhaust(what: Limited, who: string, seconds: number): void;
};

/** Counts where all processes see it, and in memory while that place is away: it never rejects, and never waits for long. */
export type SharedLimits = { take(what: Shared, who: string): Promise<Standing> };

/** What somebody does who has done too much of it. */
export const tooMany = (detail: string, retryAfterS: number) => new GrantryError('rate_limited', { detail, retryAfterS });
