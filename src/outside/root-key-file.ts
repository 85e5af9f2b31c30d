import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { GrantryError } from '../protocol/errors.ts';
import { isRootKeyText } from '../protocol/root-key.ts';
import { Secret } from '../protocol/secret.ts';
import { loadOrCreatePrivateFile } from './private-file.ts';

/** The root key, where it lies, and whether it was made now: then it is shown, once, to whoever started us. */
export type RootKeyFile = { key: Secret; path: string; origin: 'made' | 'found' };

/**
 * The root key in the data directory (`root-key`, mode 0600); made once, 256 random bits. Processes that start at once get the
 * same one. Throws `invalid_request` when others may touch the file, or when what it holds cannot be a root key.
 */
export async function loadOrCreateRootKey(dir: string): Promise<RootKeyFile> {
  const path = join(dir, 'root-key');
  const { text, origin } = await loadOrCreatePrivateFile(path, () => `root_${randomBytes(32).toString('base64url')}\n`);
  const key = text.trim();
  if (!isRootKeyText(key)) {
    throw new GrantryError('invalid_request', {
      detail: `The file ${path} does not hold a root key. Delete it, and a new one is made at the next start.`,
    });
  }
  return { key: new Secret(key), path, origin };
}
