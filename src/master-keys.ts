import type { Log } from './broker/world.ts';
import type { KeysConfig, RingConfig } from './config-keys.ts';
import { type OpenedService, openKeyService } from './key-service.ts';
import { loadOrCreateKeyFile } from './outside/key-file.ts';
import { type KeyProvider, replacing } from './outside/key-provider.ts';
import { parseKeyRing } from './outside/key-ring.ts';
import { readMountedFile } from './outside/mounted-file.ts';
import { byProject, type OwnKeys } from './outside/project-keys.ts';
import { openProjectKeys } from './project-keys.ts';
import { GrantryError } from './protocol/errors.ts';

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

/** `own`: the master keys that projects bring; `provider` goes by them. */
export type OpenedKeys = { provider: KeyProvider; own: OwnKeys; close(): Promise<void> };

async function deploymentKeys({ keys, kms, wrapWith }: KeysConfig, log: Log): Promise<OpenedService> {
  const ring = await ringOf(keys);
  const service = kms && (await openKeyService(kms, { log }));
  if (service === undefined) {
    if (ring === undefined) throw new GrantryError('invalid_request', { detail: 'There are no keys.' });
    return { provider: ring, close: async () => {} };
  }
  if (ring === undefined) return service;
  return { ...service, provider: wrapWith === 'kms' ? replacing(ring, service.provider) : replacing(service.provider, ring) };
}

/** Opens the provider. Throws `invalid_request` for files that cannot be used; nothing is asked of a key service yet. */
export async function openMasterKeys(config: KeysConfig, log: Log): Promise<OpenedKeys> {
  const { own, close: closeOwn } = await openProjectKeys(config.projectKeysFile, log);
  try {
    const { provider, close } = await deploymentKeys(config, log);
    return { provider: byProject(provider, own), own, close: async () => void (await Promise.all([close(), closeOwn()])) };
  } catch (error) {
    await closeOwn();
    throw error;
  }
}
