import { readFile } from 'node:fs/promises';
import type { Log } from './broker/world.ts';
import type { KmsConfig } from './config-keys.ts';
import { createDoor } from './outside/http.ts';
import type { KeyProvider } from './outside/key-provider.ts';
import { createKms, type KmsAbout } from './outside/kms.ts';
import { readMountedFile } from './outside/mounted-file.ts';
import { sparing } from './outside/sparing.ts';
import { GrantryError, isGrantryError } from './protocol/errors.ts';
import { Secret } from './protocol/secret.ts';

/** A key service with what it takes to reach it. */
export type OpenedService = { provider: KeyProvider; close(): Promise<void> };

/** While the process runs, a credential that cannot be read is an outage and no wrong configuration. */
async function credentialOf(path: string, name: string): Promise<Secret> {
  try {
    const text = (await readMountedFile(name, path)).trim();
    if (!/^[!-~]{1,8192}$/.test(text)) throw new GrantryError('invalid_request', { detail: `The file ${path} of ${name} holds no credential.` });
    return new Secret(text);
  } catch (error) {
    if (isGrantryError(error, 'invalid_request')) throw new GrantryError('unavailable', { detail: error.message, retryAfterS: 5, cause: error });
    throw error;
  }
}

async function authorities(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    throw new GrantryError('invalid_request', { detail: `The certificates ${path} for a key service cannot be read (${code}).`, cause });
  }
}

/**
 * Each service has a door of its own: private addresses pass for it alone, and nobody else's requests wait for it. Nothing is asked of it yet.
 * Throws `invalid_request` for certificates that cannot be read.
 */
export async function openKeyService(
  { url, tokenFile, allowPrivateHost, caFile }: KmsConfig,
  { log, about }: { log: Log; about?: KmsAbout },
): Promise<OpenedService> {
  const ca = caFile === undefined ? [] : [await authorities(caFile)];
  const door = createDoor({ allowPrivateHosts: allowPrivateHost, deadlineMs: 5_000, maxBodyBytes: 16_384, perHost: 16, ca });
  const credential = () => credentialOf(tokenFile, about?.tokenFile ?? 'GRANTRY_KMS_TOKEN_FILE');
  const provider = createKms({ url, send: door.send, credential, log, ...(about !== undefined && { about }) });
  return { provider: sparing(provider, () => performance.now()), close: door.close };
}
