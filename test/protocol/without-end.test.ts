import { expect, test } from 'vitest';
import { withoutEnd } from '../../src/protocol/without-end.ts';

test('what the end repeats goes, and nothing else', () => {
  for (const [text, left] of [
    ['https://a.example/', 'https://a.example'],
    ['https://a.example///', 'https://a.example'],
    ['/a//b', '/a//b'],
    ['///', ''],
    ['', ''],
  ] as const)
    expect(withoutEnd(text, '/')).toBe(left);
});
