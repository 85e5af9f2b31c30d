import { describe, expect, test } from 'vitest';
import { type Attempted, verdictOf } from '../../src/broker/webhook-verdict.ts';

const now = new Date('2026-11-20T12:00:00Z');
const verdict = (answer: Attempted['answer'], change: Partial<Attempted> = {}) =>
  verdictOf({ answer, ageS: 0, failingSince: null, now, random: 0.5, ...change });
const status = (code: number, headers: Record<string, string> = {}) => ({ status: code, headers });
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1000);
const day = 86_400;

test.each([200, 201, 202, 204, 299])('%i is success', (code) => {
  expect(verdict(status(code), { ageS: 2 * day, failingSince: ago(9 * day) })).toEqual({ kind: 'delivered', status: code });
});

test.each([100, 199, 300, 301, 302, 307, 308, 400, 401, 403, 404, 408, 409, 422, 425, 429, 500, 502, 503, 504, 599])(
  '%i is tried again, and given up after a day',
  (code) => {
    const failure = { status: code, error: 'unexpected_status' };
    expect(verdict(status(code))).toEqual({ kind: 'retry', failure, inS: 2.5 });
    expect(verdict(status(code), { ageS: day })).toEqual({ kind: 'give_up', failure });
  },
);

test.each(['provider_unreachable', 'no_answer', 'bad_provider_answer', 'address_refused', 'integrity_error'] as const)(
  '%s is tried again, and given up after a day',
  (error) => {
    expect(verdict(error)).toEqual({ kind: 'retry', failure: { status: null, error }, inS: 2.5 });
    expect(verdict(error, { ageS: day })).toMatchObject({ kind: 'give_up' });
  },
);

test('410 disables at once, whatever came before', () => {
  expect(verdict(status(410))).toEqual({ kind: 'disable', reason: 'gone', failure: { status: 410, error: 'unexpected_status' } });
});

describe('an endpoint that fails', () => {
  test('for five days is disabled', () => {
    expect(verdict(status(500), { failingSince: ago(5 * day), ageS: 3_600 })).toMatchObject({ kind: 'disable', reason: 'failing' });
    expect(verdict('no_answer', { failingSince: ago(5 * day), ageS: day })).toMatchObject({ kind: 'disable', reason: 'failing' });
    expect(verdict(status(500), { failingSince: ago(5 * day - 1), ageS: 3_600 })).toMatchObject({ kind: 'retry' });
  });

  test('is not disabled by a delivery that was tried for less than an hour', () => {
    expect(verdict(status(500), { failingSince: ago(50 * day), ageS: 3_599 })).toMatchObject({ kind: 'retry' });
  });
});

describe('the next attempt', () => {
  const waits = (change: Partial<Attempted>, answer: Attempted['answer'] = status(500)) => {
    const found = verdict(answer, change);
    return found.kind === 'retry' ? found.inS : Number.NaN;
  };

  test('comes at any time under a bound that grows to two hours', () => {
    for (const [ageS, bound] of [
      [0, 5],
      [2, 5],
      [10, 20],
      [600, 1_200],
      [3_600, 7_200],
      [40_000, 7_200],
    ] as const) {
      expect(waits({ ageS, random: 0 })).toBe(0);
      expect(waits({ ageS, random: 0.25 })).toBe(bound / 4);
      expect(waits({ ageS, random: 1 })).toBe(bound);
    }
  });

  test('is the last one at the end of the day', () => {
    expect(waits({ ageS: day - 10, random: 1 })).toBe(10);
    expect(waits({ ageS: 100 }, status(429, { 'retry-after': '86400' }))).toBe(day - 100);
  });

  test('is not before what a receiver asks for that is busy, in seconds or as a date', () => {
    for (const code of [429, 503]) {
      expect(waits({ random: 0 }, status(code, { 'retry-after': '120' }))).toBe(120);
      expect(waits({ random: 0.5 }, status(code, { 'retry-after': '120' }))).toBe(126);
      expect(waits({ random: 0 }, status(code, { 'retry-after': 'Fri, 20 Nov 2026 12:10:00 GMT' }))).toBe(600);
      expect(waits({ random: 0.5 }, status(code, { 'retry-after': 'soon' }))).toBe(2.5);
      expect(waits({ random: 0.5, ageS: 3_600 }, status(code, { 'retry-after': '1' }))).toBe(3_600);
    }
    expect(waits({ random: 0 }, status(500, { 'retry-after': '120' }))).toBe(0);
  });

  test('comes some dozens of times in a day', () => {
    let seed = 7;
    const random = () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    for (let round = 0; round < 200; round += 1) {
      let attempts = 1;
      for (let ageS = 0; ageS < day; attempts += 1) ageS += Math.max(waits({ ageS, random: random() }), 0.05);
      expect(attempts).toBeGreaterThan(20);
      expect(attempts).toBeLessThan(80);
    }
  });
});
