/** Choices that can be made again from the same seed; what the processes do in the meantime cannot. */
export type Chance = {
  /** 0 to 1. */
  share(): number;
  /** A whole number, both ends included. */
  between(least: number, most: number): number;
  /** So many of them, in any order. */
  some<T>(items: readonly T[], count: number): T[];
};

/** mulberry32. */
export function createChance(seed: number): Chance {
  let state = seed >>> 0;
  const share = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (least: number, most: number) => least + Math.floor(share() * (most - least + 1));
  return {
    share,
    between,
    some(items, count) {
      const left = [...items];
      return Array.from({ length: Math.min(count, left.length) }, () => left.splice(between(0, left.length - 1), 1)).flat();
    },
  };
}
