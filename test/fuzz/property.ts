import fc from 'fast-check';

/**
 * What a case is made of: where it begins, and the changes that are made to that, as seeds. Each change follows from its own seed alone, so that
 * fast-check makes a failing case smaller by leaving out those that do not matter; and a draft costs a microsecond.
 */
export type Draft = readonly [base: number, changes: readonly number[]];

const seed = fc.noShrink(fc.integer({ min: 0, max: 0xffff_ffff }));
const mostChanges = 6;

export const drafts: fc.Arbitrary<Draft> = fc.tuple(seed, fc.array(seed, { maxLength: mostChanges }));

/** Counts what became of the cases. */
export type Count = (what: string) => void;

/** What of it was not reached by so many cases as there should have been. */
export const notReached = ({
  reaches,
  counts,
  runs,
}: {
  reaches: Property['reaches'];
  counts: Readonly<Record<string, number>>;
  runs: number;
}): string[] =>
  Object.entries(reaches).flatMap(([what, share]) => {
    const reached = counts[what] ?? 0;
    return reached >= share * runs ? [] : [`${what}: ${reached} of ${runs} cases`];
  });

export type Property = {
  name: string;
  /** In `npm test`; `npm run fuzz` runs ten times as many. */
  runs: number;
  /** What must have been counted, each with the least share of the cases: a generator that makes nothing but rubbish proves nothing. */
  reaches: Readonly<Record<string, number>>;
  prepare(given: { packageRoot: string }): Promise<Checked>;
};

export type Checked = {
  /** Throws a `Violation` when something is wrong; whatever else it throws is a crash. */
  check(draft: Draft, count: Count): void | Promise<void>;
  /** The case as a person would want to see it. */
  shown(draft: Draft): unknown;
};

export type Kind = 'wrong' | 'bad token' | 'bad exchange';

/** What must never be. */
export class Violation extends Error {
  readonly kind: Kind;
  constructor(what: string, kind: Kind = 'wrong') {
    super(what);
    this.kind = kind;
  }
}

/** Throws when it does not hold. */
export function must(holds: boolean, what: string, kind: Kind = 'wrong'): asserts holds {
  if (!holds) throw new Violation(what, kind);
}
