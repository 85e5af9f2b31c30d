import { describe, expect, it } from 'vitest';
import { readDocument } from '../../../src/protocol/definition/document.ts';
import { copyPlain } from '../../../src/protocol/definition/plain.ts';
import { faultsOf } from './samples.ts';

const details = (text: string) => faultsOf(() => readDocument(text)).map(({ pointer, detail }) => `${pointer} ${detail}`);

describe('readDocument', () => {
  it('reads YAML and JSON alike', () => {
    const value = { id: 'a', list: [1, true, null, 'x'], deep: { 'Notion-Version': '2022-06-28' } };
    expect(readDocument('id: a\nlist: [1, true, null, x]\ndeep:\n  Notion-Version: 2022-06-28 # a text, not a date\n')).toEqual(value);
    expect(readDocument(JSON.stringify(value))).toEqual(value);
    expect(readDocument('\uFEFFid: a\r\n')).toEqual({ id: 'a' });
  });

  it('knows YAML 1.2 words only: no, on and octals stay texts', () => {
    expect(readDocument('a: no\nb: on\nc: 012\nd: 1_000\ne: 0x1F\n<<: x')).toEqual({ a: 'no', b: 'on', c: 12, d: '1_000', e: 31, '<<': 'x' });
  });

  it.each([
    ['aliases', 'a: &x [1]\nb: *x', '/b Aliases (*name) are not allowed.'],
    [
      'a billion laughs',
      `a: &a [x,x]\n${[...'bcdefghij'].map((c, i) => `${c}: &${c} [${`*${'abcdefghi'[i]},`.repeat(9)}]`).join('\n')}`,
      'Aliases (*name) are not allowed.',
    ],
    ['merge keys', 'a: &x {b: 1}\nc: { <<: *x }', '/c/<< Aliases (*name) are not allowed.'],
    ['custom tags', 'a: !thing x', 'Unresolved tag: !thing'],
    ['core tags', 'a: !!str 1', '/a Tags (!name) are not allowed.'],
    ['binary', 'a: !!binary aGk=', 'Unresolved tag: tag:yaml.org,2002:binary'],
    ['sets', 'a: !!set {x, y}', 'Unresolved tag: tag:yaml.org,2002:set'],
    ['tagged collections', 'a: !!map {x: 1}', '/a Tags (!name) are not allowed.'],
    ['duplicate keys', 'a: 1\nb: 2\na: 3', 'Line 3, column 1: Map keys must be unique'],
    ['duplicate keys in JSON', '{"a":{"b":1,"b":2}}', 'Map keys must be unique'],
    ['keys that are no texts', '? [x]\n: 1', 'all keys must be strings'],
    ['two documents', 'a: 1\n---\nb: 2', 'The text must hold one document.'],
    ['no document', '', 'The text is empty.'],
    ['broken syntax', 'a: [1', 'Line 1'],
    ['tabs as indentation', 'a:\n\tb: 1', 'Tabs are not allowed as indentation'],
    ['__proto__', '{"__proto__": {"polluted": true}}', '/__proto__ This name is not allowed.'],
    ['a prototype deep inside', 'a:\n  constructor:\n    prototype: {polluted: true}', '/a/constructor This name is not allowed.'],
    ['a prototype in a list', 'a: [{prototype: 1}]', '/a/0/prototype This name is not allowed.'],
    ['numbers that JSON has not', 'a: .inf', '/a Is not a value that a definition can hold.'],
  ])('refuses %s', (_, text, expected) => {
    expect(details(text)).toEqual(expect.arrayContaining([expect.stringContaining(expected)]));
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
  });

  it('refuses more than 64 KiB of bytes, not of characters', () => {
    expect(readDocument(`a: ${'x'.repeat(65_533)}`)).toEqual({ a: 'x'.repeat(65_533) });
    expect(details(`a: ${'x'.repeat(65_534)}`)).toEqual([' The text is larger than 64 KiB.']);
    expect(details(`a: ${'é'.repeat(32_768)}`)).toEqual([' The text is larger than 64 KiB.']);
  });

  it.each([
    ['lists', '['.repeat(60_000)],
    ['closed lists', '['.repeat(30_000) + ']'.repeat(30_000)],
    ['mappings', '{a: '.repeat(15_000)],
    ['block lists', '- '.repeat(30_000)],
    ['complex keys', '? '.repeat(30_000)],
    ['indented mappings', Array.from({ length: 300 }, (_, level) => `${' '.repeat(level)}a:`).join('\n')],
    ['10^5 lists', '['.repeat(100_000)],
    ['10^5 mappings', '{"a":'.repeat(100_000)],
  ])('refuses what is nested too deeply: %s', (_, text) => {
    expect(details(text)).toEqual([expect.stringMatching(/^ The text is (?:nested too deeply|larger than 64 KiB)\.$/)]);
  });

  it('refuses too many entries before it compares them with each other, and too many documents', () => {
    expect(details(Array.from({ length: 6_000 }, (_, i) => `k${i}: 1`).join('\n'))).toEqual([' One list or mapping has more than 1000 entries.']);
    expect(details('---\n'.repeat(16_000))).toEqual([' The text holds too many parts.']);
    expect(details(`a: ["x"${', 1'.repeat(1_000)}]`)).toEqual([' One list or mapping has more than 1000 entries.']);
  });
});

describe('copyPlain', () => {
  it('takes own members only and leaves nothing behind', () => {
    class Thing {
      a = 1;
      get b() {
        return 2;
      }
    }
    const copied = copyPlain({ thing: new Thing(), none: undefined, bare: Object.assign(Object.create({ inherited: 1 }), { own: 1 }) });
    expect(copied).toStrictEqual({ thing: { a: 1 }, bare: { own: 1 } });
  });

  it.each([
    ['functions', { a: () => 1 }, '/a'],
    ['symbols', { a: [Symbol('x')] }, '/a/0'],
    ['big integers', { a: 1n }, '/a'],
    ['NaN', { a: Number.NaN }, '/a'],
    ['own prototypes', JSON.parse('{"a":{"__proto__":{"x":1}}}'), '/a/__proto__'],
    ['names with / and ~', { 'a/b~': { constructor: 1 } }, '/a~1b~0/constructor'],
  ])('refuses %s', (_, value, pointer) => {
    expect(faultsOf(() => copyPlain(value)).map((fault) => fault.pointer)).toEqual([pointer]);
  });

  it('ends with circles, with depth, and with parts that are shared ever again', () => {
    const circle: { self?: unknown } = {};
    circle.self = circle;
    expect(faultsOf(() => copyPlain(circle))).toHaveLength(1);
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i += 1) deep = [deep];
    expect(faultsOf(() => copyPlain(deep))).toHaveLength(1);
    let shared: unknown = 'x';
    for (let i = 0; i < 14; i += 1) shared = [shared, shared, shared];
    expect(faultsOf(() => copyPlain(shared))).toEqual([{ pointer: '', detail: 'Holds too much: at most 5000 values.' }]);
  });
});
