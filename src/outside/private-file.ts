import { randomBytes } from 'node:crypto';
import { link, mkdir, open, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GrantryError } from '../protocol/errors.ts';

/** A text, and whether this call made it. */
export type PrivateText = { text: string; origin: 'made' | 'found' };

/**
 * The text of a file that only its owner may touch; made, once, when there is no such file (directory 0700, file 0600).
 * Processes that start at once get the same text. Throws `invalid_request` when others than the owner may touch the
 * file: it is refused, not mended, because what it holds may be known already.
 */
export async function loadOrCreatePrivateFile(path: string, make: () => string): Promise<PrivateText> {
  return (await load(path)) ?? (await create(path, make()));
}

async function load(path: string): Promise<PrivateText | undefined> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
  try {
    const { mode } = await file.stat();
    const others = mode & 0o077;
    if (others !== 0 && process.platform !== 'win32') {
      const octal = (mode & 0o777).toString(8).padStart(4, '0');
      throw new GrantryError('invalid_request', { detail: `The key file ${path} is open to others (mode ${octal}). Run: chmod 600 ${path}` });
    }
    return { text: await file.readFile('utf8'), origin: 'found' };
  } finally {
    await file.close();
  }
}

/** Written whole under another name and then linked: the link fails when somebody was first, and nobody reads half a file. */
async function create(path: string, text: string): Promise<PrivateText> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomBytes(8).toString('hex')}`;
  try {
    await writeFile(draft, text, { flag: 'wx', mode: 0o600, flush: true });
    await link(draft, path);
    return { text, origin: 'made' };
  } catch (error) {
    const winner = isSystemError(error, 'EEXIST') ? await load(path) : undefined;
    if (winner === undefined) throw error;
    return winner;
  } finally {
    await rm(draft, { force: true });
  }
}

function isSystemError(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
