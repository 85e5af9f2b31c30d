import { expect, test } from 'vitest';
import { behindBase, isPathToken, tokenSegment } from '../../src/protocol/token-path.ts';

const base = 'https://api.acme.com/rest/1';
const placed = (token: string, url = `${base}/me?a=1`, at = base) => behindBase(url, { base: at, segment: tokenSegment(token, 'bot') });

test('a token is one segment behind the base, whatever it is made of', () => {
  expect(placed('123456:ABC-DEF_1')).toBe(`${base}/bot123456:ABC-DEF_1/me?a=1`);
  for (const token of [
    'a/b',
    '../../x',
    '/etc',
    '%2e%2e',
    '%2F',
    '?x=1',
    '#x',
    '\\x',
    '@evil.com',
    '//evil.com',
    'a;b',
    '%',
    '%3A',
    ':',
    '~',
    '&=+',
    '...',
  ]) {
    const url = new URL(placed(token) ?? '');
    const segments = url.pathname.split('/');
    expect([url.host, url.search, segments.length, ...segments.slice(0, 3), segments[4]]).toEqual(['api.acme.com', '?a=1', 5, '', 'rest', '1', 'me']);
    expect(decodeURIComponent(segments[3] ?? '')).toBe(`bot${token}`);
    expect(url.href).toBe(placed(token));
  }
});

test('what no encoding makes a segment is refused', () => {
  for (const token of ['', '.', '..']) {
    expect(isPathToken(token)).toBe(false);
    expect(() => tokenSegment(token)).toThrow(expect.objectContaining({ code: 'unsupported' }));
    expect(() => tokenSegment(token, 'bot')).toThrow(expect.objectContaining({ code: 'unsupported' }));
  }
});

test('only below the base, once dots are resolved', () => {
  expect(placed('t', base)).toBe(`${base}/bott`);
  expect(placed('t', `${base}/`, `${base}//`)).toBe(`${base}/bott/`);
  expect(placed('t', 'https://api.acme.com/me', 'https://api.acme.com')).toBe('https://api.acme.com/bott/me');
  expect(placed('t', `${base}/x/../me`)).toBe(`${base}/bott/me`);
  for (const url of [
    'https://api.acme.com/rest/12/me',
    'https://api.acme.com/me',
    `${base}/../2/me`,
    `${base}/%2e%2e/2/me`,
    base.replace('https', 'http'),
    'https://api.acme.com:8443/rest/1/me',
    'https://evil.com/rest/1/me',
  ])
    expect([url, placed('t', url)]).toEqual([url, undefined]);
});
