import { expect, test } from 'vitest';
import { idFloor, newId } from '../../src/broker/ids.ts';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
/** The 128 bits of an id, read the slow way. */
const bitsOf = (id: string): string => {
  const value = [...id.slice(4)].reduce((sum, letter) => sum * 32n + BigInt(alphabet.indexOf(letter)), 0n);
  return value.toString(2).padStart(128, '0');
};
const msOf = (id: string) => Number.parseInt(bitsOf(id).slice(0, 48), 2);

test('an id is its time and 80 random bits', () => {
  const fromMs = Date.now();
  const ids = Array.from({ length: 5_000 }, () => newId('evt'));
  const untilMs = Date.now();
  expect(ids.every((id) => /^evt_[0-7][0-9a-hjkmnp-tv-z]{25}$/.test(id))).toBe(true);
  expect(ids.every((id) => msOf(id) >= fromMs && msOf(id) <= untilMs)).toBe(true);
  const random = ids.map((id) => bitsOf(id).slice(48));
  expect(new Set(random).size).toBe(ids.length);
  // Five bytes of one id that come again in the next one, or at another place, would be bytes used twice.
  const halves = random.flatMap((bits) => [bits.slice(0, 40), bits.slice(40)]);
  expect(new Set(halves).size).toBe(halves.length);
  // Every bit is set in about half of them: 2,500 with a standard deviation of 35.
  const set = Array.from({ length: 80 }, (_, bit) => random.filter((bits) => bits[bit] === '1').length);
  expect(set.filter((count) => count < 2_200 || count > 2_800)).toEqual([]);
});

test.each([0, 1, 1_763_700_000_000, 281_474_976_710_655])('the floor of %d ms is that time, and no random bits', (ms) => {
  expect(bitsOf(idFloor('evt', new Date(ms)))).toBe(BigInt(ms).toString(2).padStart(48, '0').padEnd(128, '0'));
});
