import { expect, test } from 'vitest';
import { forEyes, printable, tableOf } from '../../src/cli/output.ts';

const rows = [
  { id: 'one', name: '\u6771\u4eac', extra: {} },
  { id: 'two', name: 'a\u001b[2Jb\nc', extra: { a: 1 } },
];
const columns = ['id', 'name', 'extra'];

test('a table has a line for each row, whatever stands in it', () => {
  expect(tableOf(rows, columns, 'none').split('\n')).toEqual([
    'ID   NAME      EXTRA',
    'one  \u6771\u4eac      -',
    'two  a\ufffd[2Jb\ufffdc  {"a":1}',
  ]);
  expect(tableOf([], columns, 'none')).toBe('none');
});

test('where a terminal is too narrow for the table, there is a line for each field', () => {
  const widest = 'two  a.[2Jb.c  {"a":1}'.length;
  expect(tableOf(rows, columns, 'none', widest).split('\n')[0]).toMatch(/^ID/);
  expect(tableOf(rows, columns, 'none', widest - 1)).toBe(
    'id     one\nname   \u6771\u4eac\nextra  -\n\nid     two\nname   a\ufffd[2Jb\ufffdc\nextra  {"a":1}',
  );
  // Two columns for each sign.
  expect(tableOf([{ id: '\u6771\u4eac\u6771\u4eac' }], ['id'], 'none', 7)).toMatch(/^id {2}/);
  expect(tableOf([{ id: '\u6771\u4eac\u6771\u4eac' }], ['id'], 'none', 8)).toMatch(/^ID\n/);
});

test('nothing that is said moves the cursor; lines stay lines', () => {
  expect(printable('a\n\tb\u001b[1A\u009b2J\u202e\r')).toBe('a\n\tb\ufffd[1A\ufffd2J\ufffd\ufffd');
  expect(forEyes('a\u200db', { isTTY: true })).toBe('a\ufffdb');
  // A definition in a file is as it was written.
  expect(forEyes('a\u200db', {})).toBe('a\u200db');
});
