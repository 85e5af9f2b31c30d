import { expect, test } from 'vitest';
import { withQuery } from '../../src/protocol/query.ts';

test.each([
  ['https://a.b', { x: '1' }, 'https://a.b?x=1'],
  ['https://a.b/p?', { x: '1' }, 'https://a.b/p?x=1'],
  ['https://a.b/p?q=%2f+%zz&&r', { x: '1' }, 'https://a.b/p?q=%2f+%zz&r&x=1'],
  ['https://a.b/p?x=0&y=2&x=3', { x: '1' }, 'https://a.b/p?y=2&x=1'],
  ['https://a.b/p?%78=0&x', { x: '1' }, 'https://a.b/p?x=1'],
  ['https://a.b/p?a[]=0', { 'a[]': "&=#+ é'\ud800" }, 'https://a.b/p?a%5B%5D=%26%3D%23%2B%20%C3%A9%27%EF%BF%BD'],
  ['https://a.b/p?y=2#frag?x=0', { x: '1' }, 'https://a.b/p?y=2&x=1#frag?x=0'],
  ['https://a.b/p', {}, 'https://a.b/p'],
] as [string, Record<string, string>, string][])('%s with %o', (url, params, expected) => {
  expect(withQuery(url, Object.entries(params))).toBe(expected);
});
