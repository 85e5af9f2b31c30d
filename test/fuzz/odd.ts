import type { Chance } from './chance.ts';
import { type JsonNode, literal, text } from './json-text.ts';

/** Values that somebody may send where another one belongs. */

export const hostileNames = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'polluted', '', '0', 'length', '\u0000', 'then'];

const texts = [
  '',
  ' ',
  'null',
  'undefined',
  'true',
  'NaN',
  'Infinity',
  '[object Object]',
  'a b',
  'a\r\nX-Injected: 1',
  'a\u0000b',
  '\u007f',
  '\u00a0',
  '\u0085',
  '\u2028',
  '\ufeff',
  '\ud800',
  'x\udfff',
  'ü',
  '\u0430dmin',
  '😀',
  'ａ',
  '%00',
  '%0d%0a',
  "'; drop table connections; --",
  '<script>',
  '{{7*7}}',
  '${x}',
  '../..',
  '3600',
  '3600abc',
  '-1',
  '1e3',
  '0x10',
  '١٢٣',
  '2026-11-20T12:00:00Z',
  '2026-13-45T99:99:99Z',
  '9999999999999999999999',
  '+1',
  ' 5 ',
  'mac',
  'BEARER',
  'error',
];
const numbers = [
  '0',
  '-0',
  '-1',
  '1',
  '1.5',
  '1e3',
  '1e20',
  '1e308',
  '1e999',
  '-1e999',
  '5e-324',
  '0.1e1',
  '2147483647',
  '2147483648',
  '9007199254740991',
  '9007199254740993',
  '18446744073709551616',
  '123456789012345678901234567890',
  '4102444800',
  '4102444800000',
  '253402300800',
  '8640000000000001',
  '-62135596800',
  '-1234567890123456789',
];
/** Not JSON at all. */
const nonsense = [
  'undefined',
  'NaN',
  'Infinity',
  '01',
  '+1',
  '.5',
  '1.',
  '0x1f',
  "'a'",
  'TRUE',
  '/**/1',
  '1n',
  '"a',
  '"\\x41"',
  '"\\ud800"',
  '[1,]',
  '{a:1}',
  '',
  ',',
  '-',
];

/** One in so many is longer than anybody may send. */
export function oddText(chance: Chance, { long = 0.05 }: { long?: number } = {}): string {
  if (chance.is(long)) return chance.pick(['a', 'é', ' ', '0', '"', '\\']).repeat(chance.pick([300, 301, 2_000, 2_001, 8_192, 8_193, 20_000]));
  const n = chance.below(19);
  if (n < 13) return chance.pick(texts);
  if (n < 16) return chance.bytes(chance.below(12)).toString('latin1');
  if (n < 18) return String.fromCharCode(...Array.from({ length: 1 + chance.below(4) }, () => chance.below(0x1_0000)));
  return chance.pick(texts).repeat(1 + chance.below(long > 0.01 ? 300 : 5));
}

/** So many levels of lists or mappings around a value. */
function nested(chance: Chance, levels: number, inner: JsonNode): JsonNode {
  let node = inner;
  for (let level = 0; level < levels; level += 1)
    node = chance.is(0.5) ? { kind: 'list', items: [node] } : { kind: 'object', members: [[chance.is(0.1) ? '__proto__' : 'a', node]] };
  return node;
}

export function oddNode(chance: Chance): JsonNode {
  const n = chance.below(24);
  if (n < 8) return text(oddText(chance));
  if (n < 14) return literal(chance.pick(numbers));
  if (n < 17) return literal(chance.pick(['null', 'true', 'false', '[]', '{}', '[[]]', '{"":{}}', '[null]', '""']));
  if (n < 19) return literal(chance.pick(nonsense));
  if (n < 21) return { kind: 'list', items: Array.from({ length: chance.below(5) }, () => text(oddText(chance))) };
  if (n < 23)
    return { kind: 'object', members: Array.from({ length: 1 + chance.below(4) }, () => [chance.pick(hostileNames), text(oddText(chance))]) };
  return nested(chance, chance.is(0.005) ? 1 + chance.below(12_000) : 1 + chance.below(40), text('x'));
}

/** The text with one thing done to it that no grammar knows. */
export function damaged(written: string, chance: Chance): string {
  const at = chance.below(written.length + 1);
  const [before, behind] = [written.slice(0, at), written.slice(at)];
  const length = chance.below(12);
  switch (chance.below(12)) {
    case 0:
      return before;
    case 1:
      return behind;
    case 2:
      return before + behind.slice(length);
    case 3:
      return before + behind.slice(0, length) + behind;
    case 4:
    case 5:
      return before + oddText(chance) + behind.slice(1);
    case 6:
      return before + chance.pick(['"', '\\', '{', '}', '[', ']', ',', ':', '&', '=', '%', '+', ';', '\0', '\n']) + behind;
    case 7:
      return before + String.fromCharCode((behind.charCodeAt(0) || 0x41) ^ (1 << chance.below(8))) + behind.slice(1);
    case 8:
      return (
        chance.pick(['\ufeff', '\ufeff\ufeff', ")]}',\n", 'while(1);', 'callback(', '<!doctype html>', '<?xml version="1.0"?>', ' ', '//x\n']) +
        written
      );
    case 9:
      return written + chance.pick(['\ufeff', ')', ';', '\n', '\0', 'x', written, '/**/', '}']);
    case 10:
      return before + behind.toUpperCase();
    default:
      return written.replaceAll(chance.pick(['"', ':', ',', '=', '&', '_', 'e']), chance.pick(["'", '', '""', '%3D', '＂', '\\"']));
  }
}
