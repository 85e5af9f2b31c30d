import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { loadOrCreateRootKey } from '../../src/outside/root-key-file.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'grantry-root-key-'));
});
afterEach(() => rm(directory, { recursive: true }));

it('is made once, for its owner alone, and found ever after', async () => {
  const made = await loadOrCreateRootKey(join(directory, 'data'));
  expect(made.origin).toBe('made');
  expect(made.key.reveal()).toMatch(/^root_[A-Za-z0-9_-]{43}$/);
  expect((await stat(made.path)).mode & 0o777).toBe(0o600);
  const found = await loadOrCreateRootKey(join(directory, 'data'));
  expect(found.origin).toBe('found');
  expect(found.key.reveal()).toBe(made.key.reveal());
  expect(inspect(found)).not.toContain(found.key.reveal());
});

it('is one key when many start at once, and one of them made it', async () => {
  const all = await Promise.all(Array.from({ length: 20 }, () => loadOrCreateRootKey(directory)));
  expect(all.filter(({ origin }) => origin === 'made')).toHaveLength(1);
  expect(new Set(all.map(({ key }) => key.reveal()))).toEqual(new Set([(await readFile(join(directory, 'root-key'), 'utf8')).trim()]));
});

it('is refused when others may touch it', async () => {
  const { path } = await loadOrCreateRootKey(directory);
  await chmod(path, 0o644);
  await expect(loadOrCreateRootKey(directory)).rejects.toMatchObject({
    code: 'invalid_request',
    message: expect.stringContaining(`chmod 600 ${path}`),
  });
});

it.each(['', 'short', `grt_${'x'.repeat(60)}`])('a file that holds "%s" is refused, and not replaced', async (text) => {
  const path = join(directory, 'root-key');
  await writeFile(path, text, { mode: 0o600 });
  await expect(loadOrCreateRootKey(directory)).rejects.toMatchObject({ code: 'invalid_request' });
  expect(await readFile(path, 'utf8')).toBe(text);
});
