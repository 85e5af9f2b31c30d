import { expect, test } from 'vitest';
import { pointerValue } from '../../src/protocol/pointer.ts';

const document = { foo: ['bar', 'baz'], '': 0, 'a/b': 1, 'm~n': 8, deep: { nothing: null } };

test.each([
  ['', document],
  ['/foo/1', 'baz'],
  ['/', 0],
  ['/a~1b', 1],
  ['/m~0n', 8],
  ['/deep/nothing', null],
  ['/foo/2', undefined],
  ['/foo/01', undefined],
  ['/foo/-', undefined],
  ['/foo/length', undefined],
  ['/foo/0/length', undefined],
  ['/deep/nothing/x', undefined],
  ['/__proto__', undefined],
  ['/constructor/name', undefined],
  ['/toString', undefined],
])('RFC 6901: %s', (pointer, expected) => {
  expect(pointerValue(document, pointer)).toBe(expected);
});

test('a member that is called __proto__ is a member', () => {
  expect(pointerValue(JSON.parse('{"__proto__":{"a":1}}'), '/__proto__/a')).toBe(1);
});
