import { expect, test } from 'vitest';
import { durationS, durationText, isDuration } from '../../src/protocol/duration.ts';

test.each([
  ['P7D', 604_800],
  ['PT1H', 3_600],
  ['P1DT12H', 129_600],
  ['PT1M30S', 90],
  ['PT0S', 0],
])('%s is %i seconds, and back', (text, seconds) => {
  expect(durationS(text)).toBe(seconds);
  expect(durationText(seconds)).toBe(text);
});

test.each(['', 'P', 'PT', 'P1DT', 'P1Y', '7D', 'PT1.5H', 'P-1D', 'P1D '])('%j is no duration', (text) => {
  expect(isDuration(text)).toBe(false);
  expect(() => durationS(text)).toThrow(expect.objectContaining({ code: 'invalid_definition' }));
});
