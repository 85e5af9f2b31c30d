import { open } from 'node:fs/promises';
import { GrantryError } from '../protocol/errors.ts';

/**
 * The text of a file with a secret that the operator has put there. Its owner and group may read it, as secrets are mounted in containers;
 * throws `invalid_request` when everybody may touch it, or when it cannot be read.
 * @param name the variable that names it, for messages
 */
export async function readMountedFile(name: string, path: string): Promise<string> {
  const refuse = (what: string, cause?: unknown) =>
    new GrantryError('invalid_request', { detail: `The file ${path} of ${name} ${what}`, ...(cause !== undefined && { cause }) });
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    throw refuse(`cannot be read (${code}).`, cause);
  }
  try {
    const { mode } = await file.stat();
    if ((mode & 0o007) !== 0 && process.platform !== 'win32')
      throw refuse(`is open to everybody (mode ${(mode & 0o777).toString(8).padStart(4, '0')}). Run: chmod o= ${path}`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
