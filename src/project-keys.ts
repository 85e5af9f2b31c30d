import type { Log } from './broker/world.ts';
import { type KeyPlace, type ProjectKeys, parseProjectKeys, ringNameOf } from './config-project-keys.ts';
import { openKeyService } from './key-service.ts';
import { type KeyProvider, replacing } from './outside/key-provider.ts';
import { parseKeyRing } from './outside/key-ring.ts';
import { readMountedFile } from './outside/mounted-file.ts';
import type { OwnKey, OwnKeys } from './outside/project-keys.ts';

/** The master keys of projects, put together as their file says. */

type Opening = { project: string; pointer: string; log: Log; onClose(close: () => Promise<void>): void };

async function providerOf(place: KeyPlace, { project, pointer, log, onClose }: Opening): Promise<KeyProvider> {
  const named = (member: string) => `${pointer}/${member} in GRANTRY_PROJECT_KEYS_FILE`;
  switch (place.kind) {
    case 'ring':
      return place.ring;
    case 'ring_file':
      return parseKeyRing(await readMountedFile(named('keys_file'), place.path), ringNameOf(project));
    case 'service': {
      const about = { project, tokenFile: named('service/token_file'), allowPrivateHost: named('service/allow_private_host') };
      const { provider, close } = await openKeyService(place.service, { log, about });
      onClose(close);
      return provider;
    }
  }
}

async function ownKeyOf({ current, former }: ProjectKeys, opening: Opening): Promise<OwnKey | undefined> {
  const wraps = current && (await providerOf(current, opening));
  const opens = former && (await providerOf(former, { ...opening, pointer: `${opening.pointer}/former` }));
  const provider = wraps !== undefined && opens !== undefined ? replacing(opens, wraps) : (wraps ?? opens);
  const ring = [wraps, opens].find((each) => each?.kind === 'ring');
  return provider && { provider, use: wraps === undefined ? 'unwrap' : 'wrap', ring };
}

export type OpenedOwnKeys = { own: OwnKeys; close(): Promise<void> };

/** Opens them, without asking any service. Throws `invalid_request` for files that cannot be used. `path`: undefined where no project brings a key. */
export async function openProjectKeys(path: string | undefined, log: Log): Promise<OpenedOwnKeys> {
  const own = new Map<string, OwnKey>();
  const closes: (() => Promise<void>)[] = [];
  const close = async () => void (await Promise.all(closes.map((each) => each())));
  if (path === undefined) return { own, close };
  const entries = parseProjectKeys(await readMountedFile('GRANTRY_PROJECT_KEYS_FILE', path), path);
  try {
    for (const [project, keys] of entries) {
      const key = await ownKeyOf(keys, { project, pointer: `/${project}`, log, onClose: (each) => closes.push(each) });
      if (key !== undefined) own.set(project, key);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { own, close };
}
