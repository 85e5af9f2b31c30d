import { expect, it } from 'vitest';
import { isTokenText } from '../../src/protocol/token-text.ts';

it('accepts visible ASCII up to 8192 characters and nothing else, at every position', () => {
  for (let code = 0; code < 0x180; code++) {
    const char = String.fromCharCode(code);
    const visible = code >= 0x21 && code <= 0x7e;
    for (const text of [char, `${char}ab`, `a${char}b`, `ab${char}`]) expect(isTokenText(text), JSON.stringify(text)).toBe(visible);
  }
  expect(isTokenText('x'.repeat(8192))).toBe(true);
  expect(isTokenText('x'.repeat(8193))).toBe(false);
});

it.each([undefined, null, '', 5, true, {}, [], ['abc'], { toString: () => 'abc' }])('refuses %j', (value) => {
  expect(isTokenText(value)).toBe(false);
});
