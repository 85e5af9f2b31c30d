import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadOrCreateKeyFile } from '../../src/outside/key-file.ts';
import { parseKeyRing } from '../../src/outside/key-ring.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'grantry-key-file-'));
});
afterEach(() => rm(directory, { recursive: true }));

it('is made once, for its owner alone, and read ever after', async () => {
  const path = join(directory, 'data', 'keys.json');
  const text = await loadOrCreateKeyFile(path);
  expect(parseKeyRing(text).kids).toHaveLength(1);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await stat(join(directory, 'data'))).mode & 0o777).toBe(0o700);
  expect(await loadOrCreateKeyFile(path)).toBe(text);
  expect(await readFile(path, 'utf8')).toBe(text);
});

it('is one file when many start at once, and no draft stays behind', async () => {
  const path = join(directory, 'keys.json');
  const texts = await Promise.all(Array.from({ length: 20 }, () => loadOrCreateKeyFile(path)));
  expect(new Set(texts)).toEqual(new Set([await readFile(path, 'utf8')]));
  expect(await readdir(directory)).toEqual(['keys.json']);
});

describe('what is there is never replaced', () => {
  it.each(['', 'garbage'])('"%s"', async (text) => {
    const path = join(directory, 'keys.json');
    await writeFile(path, text, { mode: 0o600 });
    expect(await loadOrCreateKeyFile(path)).toBe(text);
    expect(() => parseKeyRing(text)).toThrow('GRANTRY_KEYS');
  });
});

describe('a symbolic link in its place', () => {
  it('is as open as what it names', async () => {
    const [path, elsewhere] = [join(directory, 'keys.json'), join(directory, 'elsewhere')];
    await writeFile(elsewhere, 'keys', { mode: 0o600 });
    await symlink(elsewhere, path);
    expect(await loadOrCreateKeyFile(path)).toBe('keys');
    await chmod(elsewhere, 0o644);
    await expect(loadOrCreateKeyFile(path)).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it('that names nothing is not followed: no keys are written where it leads', async () => {
    const [path, elsewhere] = [join(directory, 'keys.json'), join(directory, 'elsewhere')];
    await symlink(elsewhere, path);
    await expect(loadOrCreateKeyFile(path)).rejects.toMatchObject({ code: 'EEXIST' });
    expect(await readdir(directory)).toEqual(['keys.json']);
  });
});

it.each([0o644, 0o640, 0o604, 0o660, 0o602])('is refused when others may touch it: mode %o', async (mode) => {
  const path = join(directory, 'keys.json');
  await loadOrCreateKeyFile(path);
  await chmod(path, mode);
  await expect(loadOrCreateKeyFile(path)).rejects.toMatchObject({ code: 'invalid_request', message: expect.stringContaining(`chmod 600 ${path}`) });
  await chmod(path, 0o400);
  expect(parseKeyRing(await loadOrCreateKeyFile(path)).kids).toHaveLength(1);
});
