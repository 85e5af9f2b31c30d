import { deflateSync, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { encodings } from './encodings.ts';
import { createMarkers } from './markers.ts';
import { createSearch } from './search.ts';

const markers = createMarkers();
const plain = markers.make('access token', 'a');
const odd = markers.make('client secret', 'b', 'odd');
const long = markers.make('id token', 'c') + 'x'.repeat(60) + markers.make('id token', 'c');
markers.note('id token', 'long', long);
const search = createSearch(markers.all());
const names = (bytes: Buffer, depth?: number) => [...new Set(search(bytes, depth).map(({ marker }) => marker.text))];
const amid = (bytes: Buffer) => Buffer.concat([Buffer.from('before "'), bytes, Buffer.from('" behind')]);

test.each(Object.entries(encodings))('%s: a secret is found as it is written, without any unpacking', (_, { write }) => {
  for (const text of [plain, odd]) expect(names(amid(write(text)), 0)).toEqual([text]);
  expect(names(amid(write(long)), 0)).toContain(long);
});

test('base64 of a text that holds a secret anywhere', () => {
  for (let before = 0; before < 6; before += 1)
    for (let behind = 0; behind < 6; behind += 1)
      for (const encoding of ['base64', 'base64url'] as const) {
        const text = `${'<'.repeat(before)}${odd}${'>'.repeat(behind)}`;
        expect(names(Buffer.from(`Basic ${Buffer.from(text).toString(encoding)}`), 0)).toEqual([odd]);
      }
});

test.each([
  ['gzip', gzipSync],
  ['deflate', deflateSync],
])('%s, amid other bytes', (_, pack) => {
  for (const { write } of Object.values(encodings)) expect(names(amid(pack(write(odd))), 1)).toEqual([odd]);
});

test('one encoding within another', () => {
  const { raw, base64, base64url, hex, percent, json } = encodings;
  const text = odd.slice(0, -1);
  const look = createSearch([{ name: 'ascii', kind: 'code', owner: 'd', text }]);
  const outer = { raw, base64, base64url, hex, percent, json };
  const missed = Object.entries(outer).flatMap(([outside, encoding]) =>
    Object.entries(encodings).flatMap(([inside, { write }]) => {
      const packed = encoding?.write(write(text).toString()) ?? Buffer.alloc(0);
      return [packed, gzipSync(packed)].flatMap((bytes, n) => (look(amid(bytes)).length > 0 ? [] : [`${inside} within ${outside}, ${n}`]));
    }),
  );
  expect(missed).toEqual([]);
});

test('other texts are not found', () => {
  const others = createMarkers();
  for (const { write } of Object.values(encodings)) expect(search(write(others.make('access token', 'a', 'odd')))).toEqual([]);
  expect(search(Buffer.from(plain.slice(0, -1)))).toEqual([]);
});
