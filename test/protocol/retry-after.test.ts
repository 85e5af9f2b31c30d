import { describe, expect, it } from 'vitest';
import { parseHttpDate } from '../../src/protocol/http-date.ts';
import { retryAfterS } from '../../src/protocol/retry-after.ts';

const now = new Date('1994-11-06T08:49:07.500Z');

describe('retryAfterS', () => {
  it.each<[string, number | undefined]>([
    ['120', 120],
    [' 7 ', 7],
    ['0', 0],
    ['999999999', 86_400],
    ['Sun, 06 Nov 1994 08:49:37 GMT', 30],
    ['Sun, 06 Nov 1994 08:00:00 GMT', 0],
    ['Sun, 06 Nov 2094 08:00:00 GMT', 86_400],
    ['-1', undefined],
    ['1.5', undefined],
    ['1e3', undefined],
    ['soon', undefined],
    ['', undefined],
    ['1994', 1994],
    ['1994-11-06', undefined],
  ])('reads %j as %j', (value, expected) => {
    expect(retryAfterS({ 'retry-after': value }, now)).toBe(expected);
  });

  it('is undefined without the header, whatever the prototype says', () => {
    expect(retryAfterS({}, now)).toBeUndefined();
    expect(retryAfterS(Object.create({ 'retry-after': '5' }), now)).toBeUndefined();
  });
});

describe('parseHttpDate', () => {
  it.each(['Sun, 06 Nov 1994 08:49:37 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994'])('reads %s', (text) => {
    expect(parseHttpDate(text)?.toISOString()).toBe('1994-11-06T08:49:37.000Z');
  });

  it.each(['Sun, 06 Nov 1994 08:49:37 +0100', 'Sun, 06 Nov 1994 28:99:37 GMT', '5', '2020', 'null'])('refuses %s', (text) => {
    expect(parseHttpDate(text)).toBeUndefined();
  });
});
