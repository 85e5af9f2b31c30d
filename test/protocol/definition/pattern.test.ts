import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchesPattern, patternFault } from '../../../src/protocol/definition/pattern.ts';

describe('patterns', () => {
  it.each([
    ['^[a-z0-9-]{1,5}$', 'ab-1', true],
    ['^[a-z0-9-]{1,5}$', 'abcdef', false],
    ['[a-z]+', 'abc', true],
    ['[a-z]+', 'abc1', false],
    ['[a-z]*\\.[a-z]{2,}', 'acme.com', true],
    ['[a-z]*\\.[a-z]{2,}', 'acme.c', false],
    ['a?b{2}c{2,3}', 'bbccc', true],
    ['a?b{2}c{2,3}', 'bbcccc', false],
    ['\\d{3}-\\w+', '123-ab_9', true],
    ['[^@\\s]+@[^@\\s]+', 'a@b', true],
    ['[^@\\s]+@[^@\\s]+', 'a@b@c', false],
    ['[\\]\\-^]+', ']-^', true],
    ['a.c', 'a\nc', false],
    ['a\\$', 'a$', true],
    ['a$', 'a$', false],
    ['.{3}', '😀xy', true],
    ['[a-z]*', '', true],
    ['https?/', 'http/', true],
  ])('%s on %j is %s', (pattern, value, expected) => {
    expect(patternFault(pattern)).toBeUndefined();
    expect(matchesPattern(pattern, value)).toBe(expected);
  });

  it.each([
    '(a)',
    '(?:a)+',
    '(?=a)',
    '(?<!a)b',
    'a|b',
    '\\1',
    '\\b',
    '\\p{L}',
    '\\x41',
    '\\u0041',
    'a+?',
    'a++',
    '*a',
    'a{2,1}',
    'a{,2}',
    'a{9999}',
    'a{1',
    '[z-a]',
    '[]',
    '[a',
    '[a[b]',
    'a^b',
    'a$b',
    '',
    '^$',
    'a\\',
    'a*b*c*',
    '[a-z]+x+y{2,}',
  ])('refuses %s', (pattern) => {
    expect(patternFault(pattern)).toEqual(expect.any(String));
    expect(matchesPattern(pattern, 'a')).toBe(false);
  });

  it('says the same as a regular expression that is anchored', () => {
    const atom = fc.constantFrom('a', 'b', '[ab]', '[^a]', '.', '\\d', '\\w', '\\.', '[a-c1]');
    const quantifier = fc.constantFrom('', '', '?', '{2}', '{1,3}', '{0,2}');
    const part = fc.tuple(atom, quantifier).map(([a, q]) => a + q);
    const pattern = fc
      .tuple(fc.array(part, { minLength: 1, maxLength: 6 }), fc.constantFrom('', 'a*', '[ab]+', '.{2,}'))
      .map(([parts, tail]) => parts.join('') + tail);
    const text = fc.array(fc.constantFrom('a', 'b', 'c', '1', '.'), { maxLength: 10 }).map((letters) => letters.join(''));
    fc.assert(
      fc.property(pattern, text, (source, value) => {
        expect(patternFault(source)).toBeUndefined();
        expect(matchesPattern(source, value)).toBe(new RegExp(`^(?:${source})$`, 'u').test(value));
      }),
      { seed: 20_261, numRuns: 500 },
    );
  });

  // A backtracking engine would need longer than the universe has for most of these; the test would not end.
  it.each([
    `${'a?'.repeat(60)}${'a'.repeat(60)}`,
    `${'a{0,1999}'.repeat(20)}b`,
    'a*a*b',
    '[a-z]*[a-z0-9]+!',
    '.*.{2,}!',
    `${'[ab]{1,2000}'.repeat(15)}`,
  ])('%s never backtracks', (pattern) => {
    expect(patternFault(pattern)).toBeUndefined();
    for (const text of ['a'.repeat(2_000), `${'a'.repeat(1_999)}!`, 'ab'.repeat(1_000), 'a'.repeat(100_000), `${'ab'.repeat(50_000)}!`]) {
      expect([true, false]).toContain(matchesPattern(pattern, text));
    }
  });

  it('refuses values of more than 2000 characters unseen', () => {
    expect(matchesPattern('a*', 'a'.repeat(2_000))).toBe(true);
    expect(matchesPattern('a*', 'a'.repeat(2_001))).toBe(false);
  });
});
