import { createChance as createNumbers } from '../simulation/chance.ts';

/** Choices that follow from a seed. */
export type Chance = {
  /** A whole number from 0 on, below the bound. */
  below(bound: number): number;
  /** True for such a share of the calls. */
  is(share: number): boolean;
  pick<T>(items: readonly [T, ...T[]] | readonly T[]): T;
  bytes(count: number): Buffer;
};

export function createChance(seed: number): Chance {
  const { below, bytes } = createNumbers(seed);
  const whole = (bound: number) => Math.floor(below(bound));
  return {
    below: whole,
    is: (share) => below(1) < share,
    pick<T>(items: readonly T[]): T {
      // An empty list has nothing to pick from, and every list here is written out.
      return items[whole(items.length)] as T;
    },
    bytes,
  };
}
