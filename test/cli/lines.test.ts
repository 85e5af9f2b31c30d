import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Line, linesOf } from '../../src/cli/lines.ts';
import { UsageError } from '../../src/cli/outcome.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'grantry-lines-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function linesIn(text: string): Promise<Line[]> {
  await writeFile(join(dir, 'file'), text);
  const lines: Line[] = [];
  for await (const line of linesOf(join(dir, 'file'))) lines.push(line);
  return lines;
}

test('a line ends with a line feed and with nothing else, also over the parts in which a file is read', async () => {
  const long = '\u00e9'.repeat(50_000); // more than one part, and letters that are cut in two
  expect(await linesIn(`a\u2028b\u0085c\n\n${long}\nd`)).toEqual([
    { line: 1, text: 'a\u2028b\u0085c' },
    { line: 2, text: '' },
    { line: 3, text: long },
    { line: 4, text: 'd' },
  ]);
});

test('one that is too long to be kept costs no memory, and hides no other', async () => {
  expect(await linesIn(`a\n${'x'.repeat(1_000_001)}\nb\n`)).toEqual([
    { line: 1, text: 'a' },
    { line: 2, text: undefined },
    { line: 3, text: 'b' },
    { line: 4, text: '' },
  ]);
});

test('a file that cannot be read is said with why', async () => {
  const read = async (file: string) => {
    for await (const _ of linesOf(file));
  };
  await expect(read(join(dir, 'none'))).rejects.toEqual(new UsageError(`${join(dir, 'none')} cannot be read: there is no such file.`));
  await expect(read(dir)).rejects.toEqual(new UsageError(`${dir} cannot be read: it is a directory.`));
});
