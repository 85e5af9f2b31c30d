import { describe, expect, it } from 'vitest';
import { encodeForm, parseForm } from '../../src/protocol/form.ts';

describe('parseForm', () => {
  it.each<[string, [string, string][]]>([
    ['', []],
    [
      'a=1&b=2',
      [
        ['a', '1'],
        ['b', '2'],
      ],
    ],
    ['a=1&a=2', [['a', '2']]],
    ['a', [['a', '']]],
    ['&&a=&&', [['a', '']]],
    ['a=b=c', [['a', 'b=c']]],
    ['a+b=c+%2B', [['a b', 'c +']]],
    ['%C3%A4=%E2%82%AC', [['ä', '€']]],
    ['a=1\r\n', [['a', '1']]],
    [
      '__proto__=x&constructor=y',
      [
        ['__proto__', 'x'],
        ['constructor', 'y'],
      ],
    ],
  ])('reads %j', (text, expected) => {
    expect([...(parseForm(text) ?? [['refused', '']])]).toEqual(expected);
  });

  it.each([
    '<html lang="en">a=b</html>\n<p>',
    '<b>&a=b</b>',
    'a=b c',
    'a=%',
    'a=%2',
    'a=%zz',
    'a=%FF',
    'a=%C3',
    'a=ä',
    'a=\0',
    'a=%00',
    'a%00=b',
    'a=1\r\nb=2',
    'a=\x7f',
  ])('refuses %j', (text) => {
    expect(parseForm(text)).toBeUndefined();
  });

  it('takes time in proportion to the text', () => {
    expect(parseForm(`${'%4'.repeat(32_000)}`)).toBeUndefined();
    expect(parseForm('a&'.repeat(32_000))?.size).toBe(1);
  });
});

describe('encodeForm', () => {
  it('keeps order and duplicates and encodes what a form must encode', () => {
    expect(
      encodeForm([
        ['b', '1 2'],
        ['a', '&=+%'],
        ['b', 'ä'],
        ['e', ''],
      ]),
    ).toBe('b=1+2&a=%26%3D%2B%25&b=%C3%A4&e=');
  });

  it('is read back by parseForm', () => {
    const pairs: [string, string][] = [
      ['a b', "!*'()~"],
      ['__proto__', '\r\n€'],
    ];
    expect([...(parseForm(encodeForm(pairs)) ?? [])]).toEqual(pairs);
  });

  it('makes a lone surrogate U+FFFD instead of throwing', () => {
    expect(encodeForm([['a', '\ud800']])).toBe('a=%EF%BF%BD');
  });
});
