import { generateKeyRing } from './key-ring.ts';
import { loadOrCreatePrivateFile } from './private-file.ts';

/**
 * The text of the key file, for `parseKeyRing`; made once, with one fresh key. Processes that start at once get the same keys.
 * Throws `invalid_request` when others than the owner may touch the file.
 */
export async function loadOrCreateKeyFile(path: string): Promise<string> {
  return (await loadOrCreatePrivateFile(path, generateKeyRing)).text;
}
