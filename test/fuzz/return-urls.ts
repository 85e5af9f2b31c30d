import { type Chance, createChance } from './chance.ts';
import { oddText } from './odd.ts';
import type { Draft } from './property.ts';

/** Return URLs: some that a project has registered, and one that somebody asks for, which is nearly one of them. */

export type Asked = { publicUrl: string; registered: string[]; url: string; isPlain: boolean };

const hosts = ['ok.example', 'app.ok.example', 'xn--bcher-kva.example', 'a-b.example.co.uk', '203.0.113.7', '[2001:db8::1]'];
const paths = ['', '/', '/cb', '/cb/', '/a/b/c', '/cb;v=1', '/%2F', '/a%20b', "/it's", '/~x', '/@x', '/a:b', '/(x)'];
const queries = ['', '', '', '?', '?tenant=1', '?a=1&b=2', '?next=%2Fhome', '?u=https://ok.example/', '?x=a+b'];
const publicUrls = ['https://connect.example', 'https://connect.example', 'http://localhost:3000', 'http://127.0.0.1:3000'];
const loopbackHosts = ['localhost', '127.0.0.1', '[::1]'];
const nearlyLoopback = [
  '127.1',
  '2130706433',
  '0x7f000001',
  '0177.0.0.1',
  '0.0.0.0',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[0:0:0:0:0:0:0:1]',
  'localhost.',
  'LOCALHOST',
  'localhost.evil.example',
  'evil.localhost',
  '127.0.0.1.evil.example',
  '127.0.0.2',
  'ｌocalhost',
];
const evil = 'evil.example';

const urlOf = (chance: Chance) =>
  `https://${chance.pick(hosts)}${chance.pick(['', '', '', ':8443', ':1'])}${chance.pick(paths)}${chance.pick(queries)}`;

type Parts = { scheme: string; host: string; rest: string };
function partsOf(url: string): Parts {
  const [, scheme = '', host = '', rest = ''] = /^([^:/]*:?\/{0,2})([^/?#]*)(.*)$/s.exec(url) ?? [];
  return { scheme, host, rest };
}

const lookalikes: Record<string, string> = { a: 'а', o: 'о', e: 'е', k: 'ｋ', '.': '。', '/': '∕', ':': '：', '?': '？' };

/** The tricks that have made an address look like another one. */
const tricks: ((url: string, chance: Chance, parts: Parts) => string)[] = [
  (url) => url.replace(/^https:/, ''),
  (url) => url.replace('://', ':'),
  (url) => url.replace('://', ':/'),
  (url) => url.replace('://', ':///'),
  (url) => url.replace('://', ':\\\\'),
  (url) => url.replace(/^https/, 'HTTPS'),
  (url) => url.replace(/^https/, 'http'),
  (_, chance, { host, rest }) => `${chance.pick(['javascript', 'data', 'ftp', 'file', 'blob:https', 'view-source:https', 'wss'])}://${host}${rest}`,
  (_, chance, { host, rest }) => `${chance.pick(['javascript:alert(1)//', 'data:text/html,', '/\\', '//', '\\\\', '/'])}${host}${rest}`,
  (_, chance, { scheme, host, rest }) => `${scheme}${host}${chance.pick(['@', '\\@', '%40', ':pw@', '#@', '?@', '/@', ':443@'])}${evil}${rest}`,
  (_, chance, { scheme, host, rest }) => `${scheme}${chance.pick(['', 'user', 'user:pw', ':', evil])}@${host}${rest}`,
  (_, chance, { scheme, host, rest }) => `${scheme}${host}${chance.pick(['.', '-', '', '%2e', '%00.', '\t.', '。'])}${evil}${rest}`,
  (_, chance, { scheme, host, rest }) => `${scheme}${evil}${chance.pick(['.', '-', '/', '#', '?', '\\', '%2f', '%23', '%5c', ';'])}${host}${rest}`,
  (_, chance, { scheme, host, rest }) =>
    `${scheme}${host}${chance.pick(['.', ':', ':443', ':0443', ':80', ':444', ':65536', ':-1', ':1e3', ':８443', '%20', '..'])}${rest}`,
  (_, chance, { scheme, host, rest }) => `${scheme}${chance.is(0.5) ? host.toUpperCase() : host.replace(/[a-z]/, (c) => c.toUpperCase())}${rest}`,
  (_, chance, { scheme, rest }) => `${scheme}${chance.pick([...nearlyLoopback, ...loopbackHosts])}${chance.pick(['', ':5000'])}${rest}`,
  (_, chance, { rest }) => `http://${chance.pick([...loopbackHosts, ...nearlyLoopback])}${chance.pick(['', ':5000', ':80', ':0'])}${rest}`,
  (url, chance) =>
    `${url}${chance.pick(['/', '//', '/.', '/..', '/../x', '/%2e%2e/x', '\\..\\x', '?', '#', '#x', '?x=1', '&x=1', ';x', '.', '%', '%00', '%0d%0aX:%20y', '\r\nX: y', '\t', ' ', '\0', '\u2028'])}`,
  (url, chance) => `${chance.pick([' ', '\t', '\n', '\u00a0', '\ufeff', '\0', 'x', '/', 'url=', '\u200b'])}${url}`,
  (_, chance, { scheme, host, rest }) => `${scheme}${host}${chance.pick(['/x/..', '/.', '/%2e', '//', '/x/%2e%2e'])}${rest}`,
  (url, chance) => {
    const at = chance.below(url.length);
    return `${url.slice(0, at)}%${(url.charCodeAt(at) || 0x2f).toString(16)}${url.slice(at + 1)}`;
  },
  (url) => url.replace(/%([0-9a-f]{2})/i, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
  (url) => url.replace(/%[0-9a-f]{2}/i, (hex) => (hex === hex.toUpperCase() ? hex.toLowerCase() : hex.toUpperCase())),
  (url, chance) => {
    const letter = chance.pick(Object.keys(lookalikes));
    return url.replace(letter, lookalikes[letter] ?? '');
  },
  (url, chance) => {
    const at = chance.below(url.length + 1);
    return (
      url.slice(0, at) +
      chance.pick(['\t', '\n', '\r', '\0', '\u200b', '\u00ad', '\u202e', '\ufeff', ' ', '@', '\\', '/', '.', ':', '#', '*', '%']) +
      url.slice(at)
    );
  },
  (url, chance) => {
    const at = chance.below(url.length);
    return url.slice(0, at) + String.fromCharCode(url.charCodeAt(at) ^ (1 << chance.below(7))) + url.slice(at + 1);
  },
  (url, chance) => {
    const at = chance.below(url.length + 1);
    return url.slice(0, at) + oddText(chance, { long: 0.01 }) + url.slice(at);
  },
  (url, chance) => url.slice(0, chance.below(url.length + 1)),
  (url, chance) => url.slice(chance.below(url.length + 1)),
  (url) => url + url,
  (url) => `${url}${url.includes('?') ? '&' : '?'}x=${'a'.repeat(1_950)}`,
  (_, chance) => urlOf(chance),
  (_, chance, { scheme, rest }) =>
    `${scheme}${chance.pick(['*.example', '*', '[::1', '[v1.x]', 'xn--', 'xn--a', '%6f%6b.example', '1', '0', '-', ''])}${rest}`,
  (url) => url.normalize('NFD'),
];

/** What a draft asks for. */
export function askedOf([base, changes]: Draft): Asked {
  const chance = createChance(base);
  const registered = Array.from({ length: 1 + chance.below(3) }, () => urlOf(chance));
  const publicUrl = chance.pick(publicUrls);
  const url = changes.reduce((changed, seed) => {
    const own = createChance(seed);
    return own.pick(tricks)(changed, own, partsOf(changed));
  }, chance.pick(registered));
  return { publicUrl, registered, url, isPlain: changes.length === 0 };
}
