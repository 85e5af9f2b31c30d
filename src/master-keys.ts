import { readFile } from 'node:fs/promises';
import type { Log } from './broker/world.ts';
import type { KeysConfig, KmsConfig, RingConfig } from './config-keys.ts';
import { createDoor } from './outside/http.ts';
import { loadOrCreateKeyFile } from './outside/key-file.ts';
import { type KeyProvider, replacing } from './outside/key-provider.ts';
import { parseKeyRing } from './outside/key-ring.ts';
import { createKms } from './outside/kms.ts';
import { readMountedFile } from './outside/mounted-file.ts';
import { GrantryError, isGrantryError } from './protocol/errors.ts';
import { Secret } from './protocol/secret.ts';

/** The provider of the master keys, put together as the configuration says. */

async function ringOf(config: RingConfig): Promise<KeyProvider | undefined> {
  switch (config.kind) {
    case 'given':
      return config.ring;
    case 'mounted':
      return parseKeyRing(await readMountedFile('GRANTRY_KEYS_FILE', config.path), 'GRANTRY_KEYS_FILE');
    case 'file':
      return parseKeyRing(await loadOrCreateKeyFile(config.path), config.path);
    case 'none':
      return undefined;
  }
}

/** While the process runs, a credential that cannot be read is an outage and no wrong configuration. */
async function credentialOf(path: string): Promise<Secret> {
  try {
    const text = (await readMountedFile('GRANTRY_KMS_TOKEN_FILE', path)).trim();
    if (!/^[!-~]{1,8192}$/.test(text))
      throw new GrantryError('invalid_request', { detail: `The file ${path} of GRANTRY_KMS_TOKEN_FILE holds no credential.` });
    return new Secret(text);
  } catch (error) {
    if (isGrantryError(error, 'invalid_request')) throw new GrantryError('unavailable', { detail: error.message, retryAfterS: 5, cause: error });
    throw error;
  }
}

/** Its own door: private addresses pass for the key service alone, and nobody else's requests wait for it. */
async function kmsOf({ url, tokenFile, allowPrivateHost, caFile }: KmsConfig, log: Log): Promise<Opened> {
  const ca = caFile === undefined ? [] : [await readFile(caFile, 'utf8')];
  const door = createDoor({ allowPrivateHosts: allowPrivateHost, deadlineMs: 5_000, maxBodyBytes: 16_384, perHost: 16, ca });
  return { provider: createKms({ url, send: door.send, credential: () => credentialOf(tokenFile), log }), close: door.close };
}

export type Opened = { provider: KeyProvider; close(): Promise<void> };

/** Opens the provider. Throws `invalid_request` for files that cannot be used; nothing is asked of a key service yet. */
export async function openMasterKeys({ keys, kms, wrapWith }: KeysConfig, log: Log): Promise<Opened> {
  const ring = await ringOf(keys);
  const service = kms && (await kmsOf(kms, log));
  if (service === undefined) {
    if (ring === undefined) throw new GrantryError('invalid_request', { detail: 'There are no keys.' });
    return { provider: ring, close: async () => {} };
  }
  if (ring === undefined) return service;
  return { ...service, provider: wrapWith === 'kms' ? replacing(ring, service.provider) : replacing(service.provider, ring) };
}
