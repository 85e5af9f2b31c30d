import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { id, inputsOf, mostOf } from '../../src/cli/command.ts';
import { UsageError } from '../../src/cli/outcome.ts';
import { type GlobalOptions, readSettings } from '../../src/cli/settings.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'grantry-settings-'));
  await writeFile(join(dir, 'two'), 'one\ntwo\n');
  await writeFile(join(dir, 'empty'), '\n');
  await writeFile(join(dir, 'key'), 'grt_1\n');
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const refusal = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return 'taken';
};
const read = (options: GlobalOptions, env: NodeJS.ProcessEnv = { GRANTRY_API_KEY: 'grt_1' }) => refusal(() => readSettings(options, env));

test('what cannot be meant is refused before anything is sent, with what to write instead', () => {
  expect(read({})).toBe('taken');
  expect(read({ apiKeyFile: join(dir, 'key') }, {})).toBe('taken');
  expect(read({ url: 'localhost:3000' })).toContain('must begin with http:// or https://, as in http://localhost:3000');
  for (const url of ['http://u:p@localhost:3000', 'http://localhost:3000?x', 'http://localhost:3000#x'])
    expect(read({ url })).toContain('no user name, password, ? or #');
  expect(read({ project: '\u0416' })).toContain('is no id of a project');
  expect(read({ apiKeyFile: join(dir, 'two') })).toContain('must hold the key alone, on one line');
  expect(read({ apiKeyFile: join(dir, 'empty') })).toContain('There is no key in');
  expect(read({ apiKeyFile: join(dir, 'none') })).toContain('cannot be read: there is no such file');
  expect(read({}, { GRANTRY_API_KEY: 'a b' })).toContain('must hold the key alone');
  expect(read({}, { GRANTRY_ROOT_KEY: 'root_1' })).toBe('taken');
  expect(read({}, { GRANTRY_DATA_DIR: dir })).toContain('No API key');
});

test('inputs come as arguments, and secret ones from files', async () => {
  expect(await inputsOf({})).toBeUndefined();
  expect(await inputsOf({ input: ['a=1', 'b=x=y'] })).toEqual({ a: '1', b: 'x=y' });
  expect(await inputsOf({ input: ['a=1'], inputFile: [`key=${join(dir, 'key')}`] })).toEqual({ a: '1', key: 'grt_1' });
  await expect(inputsOf({ inputFile: [`key=${join(dir, 'none')}`] })).rejects.toThrow('there is no such file');
  await expect(inputsOf({ inputFile: ['key'] })).rejects.toThrow('"key" must be name=value.');
});

test('an id that would lead to another path is none', () => {
  for (const text of ['', '.', '..']) expect(refusal(() => id(text))).toBe(`"${text}" is no id.`);
  expect(id('a/../b')).toBe('a%2F..%2Fb');
});

test('a limit is a whole number', () => {
  expect(mostOf({ limit: '3' })).toBe(3);
  expect(mostOf({})).toBe(Infinity);
  for (const limit of ['1.5', '0', '-1', 'many', '1e3']) expect(refusal(() => mostOf({ limit }))).toBe('--limit must be a whole number from 1 on.');
});
