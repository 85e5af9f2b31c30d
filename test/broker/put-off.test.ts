import { describe, expect, test } from 'vitest';
import { putOffMs } from '../../src/broker/put-off.ts';

const now = new Date('2030-01-01T12:00:00Z');
const [second, minute, hour] = [1_000, 60_000, 3_600_000];

/** The pause of a refresh that has been waiting for so long, of a token that lives for so long. */
function pause({ waitedMs, livesMs, toldMs, chance }: { waitedMs: number | null; livesMs: number | null; toldMs: number; chance: number }): number {
  const at = (ms: number | null) => (ms === null ? null : new Date(now.getTime() + ms));
  // What else a connection has says nothing here.
  const connection = { put_off_since: at(waitedMs === null ? null : -waitedMs), expires_at: at(livesMs) };
  return putOffMs({ connection, now }, toldMs, chance);
}

describe('the pause of what is put off', () => {
  test('is what its host asks for at first', () => {
    expect(pause({ waitedMs: null, livesMs: hour, toldMs: minute, chance: 0 })).toBe(minute);
    expect(pause({ waitedMs: 10 * minute, livesMs: hour, toldMs: 2 * minute, chance: 0 })).toBe(2 * minute);
  });

  test('grows with the time for which it has been waiting, to a quarter of an hour', () => {
    expect(pause({ waitedMs: hour, livesMs: null, toldMs: minute, chance: 0 })).toBe(6 * minute);
    expect(pause({ waitedMs: 30 * hour, livesMs: null, toldMs: minute, chance: 0 })).toBe(15 * minute);
  });

  test('is not the same for all that were put off together', () => {
    expect(pause({ waitedMs: hour, livesMs: null, toldMs: minute, chance: 1 })).toBe(4.5 * minute);
  });

  test('ends with the token, but not before its host may be asked again', () => {
    expect(pause({ waitedMs: hour, livesMs: 3 * minute, toldMs: minute, chance: 0 })).toBe(3 * minute);
    expect(pause({ waitedMs: hour, livesMs: 10 * second, toldMs: minute, chance: 0 })).toBe(minute);
  });

  test('grows for a token that has ended as for one without an end', () => {
    expect(pause({ waitedMs: hour, livesMs: -minute, toldMs: minute, chance: 0 })).toBe(6 * minute);
  });
});
