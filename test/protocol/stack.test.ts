import { expect, test } from 'vitest';
import { stackOf } from '../../src/protocol/stack.ts';

test('is where an error came from, without a word of its message', () => {
  const stack = stackOf(new TypeError('Failed query: x\nparams: secret\n    at secret'));
  expect(stack[0]).toMatch(/^ {4}at .*stack\.test\.ts:\d+:\d+\)?$/);
  expect(stack.join()).not.toContain('secret');
  expect(stack.length).toBeLessThanOrEqual(8);
});

test('is nothing for what is no error', () => {
  for (const thrown of ['text', undefined, null, { stack: '    at x' }, Object.assign(new Error('x'), { stack: undefined })])
    expect(stackOf(thrown)).toEqual([]);
});
