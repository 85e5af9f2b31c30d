import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readMountedFile } from '../../src/outside/mounted-file.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'grantry-test-'));
});
afterAll(() => rm(dir, { recursive: true }));

it.each([0o400, 0o600, 0o440, 0o640])('a file of mode %o is read', async (mode) => {
  const path = join(dir, String(mode));
  await writeFile(path, 'secret\n');
  await chmod(path, mode);
  expect(await readMountedFile('NAME', path)).toBe('secret\n');
});

it.each([0o604, 0o644, 0o666, 0o602, 0o601])('one of mode %o is refused, with what to do', async (mode) => {
  const path = join(dir, String(mode));
  await writeFile(path, 'secret\n');
  await chmod(path, mode);
  const message = `The file ${path} of NAME is open to everybody (mode 0${mode.toString(8)}). Run: chmod o= ${path}`;
  await expect(readMountedFile('NAME', path)).rejects.toMatchObject({ code: 'invalid_request', message });
});

it('one that is not there is refused', async () => {
  await expect(readMountedFile('NAME', join(dir, 'absent'))).rejects.toMatchObject({
    code: 'invalid_request',
    message: expect.stringMatching(/ENOENT/),
  });
});
