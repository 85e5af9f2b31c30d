import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import type { DataKeyRecord, DataKeyStore, NewDataKey } from '../broker/seal.ts';
import { isGrantryError } from '../protocol/errors.ts';
import { integrityError } from './jwe.ts';
import { type KeyProvider, type WrapContext, wrapSurely } from './key-provider.ts';
import { createRecent } from './recent.ts';

/** A project's data key, ready for use. A KeyObject prints without its bytes. */
export type DataKey = { kid: string; project: string; key: KeyObject };

export type DataKeys = {
  /** The key that the project seals with now; made when there is none. */
  forSealing(project: string): Promise<DataKey>;
  /** The key of that name; `integrity_error` unless it exists, opens and is this project's. */
  forOpening(project: string, kid: string): Promise<DataKey>;
  /** The same from memory; undefined when it is not there. */
  inMemory(project: string, kid: string): DataKey | undefined;
};

/** So many keys (and projects) stay in memory; the one that was used longest ago goes first. */
const defaultLimit = 10_000;
/** After this long a project's sealing key is read again, so that one that was retired elsewhere is given up. */
export const usualSealingKeyMaxAgeMs = 60_000;

/** The data keys of all projects, cached; concurrent misses on one of them share one read. `nowMs`: epoch milliseconds. */
export function createDataKeys({
  provider,
  store,
  limit = defaultLimit,
  sealingKeyMaxAgeMs = usualSealingKeyMaxAgeMs,
  nowMs = Date.now,
}: DataKeysWorld): DataKeys {
  const byKid = createRecent<DataKey>(limit);
  const sealing = createRecent<{ dataKey: DataKey; readAtMs: number }>(limit);
  const readSealing = sharing<DataKey>();
  const readOpening = sharing<DataKey>();

  async function load(record: DataKeyRecord): Promise<DataKey> {
    const dataKey = { kid: record.kid, project: record.project_id, key: createSecretKey(await unwrapDataKey(provider, record)) };
    byKid.set(record.kid, dataKey);
    return dataKey;
  }

  async function makeFirst(project: string): Promise<DataKeyRecord> {
    return store.insert(await freshDataKey(provider, project));
  }

  function inMemory(project: string, kid: string): DataKey | undefined {
    const dataKey = byKid.get(kid);
    return dataKey === undefined ? undefined : ofProject(dataKey, project);
  }

  /** Whether a key may seal although nobody could say that it still does. `listed`: what the database has; undefined: it is away. */
  async function maySealStill(listed: readonly DataKeyRecord[] | undefined, { project, kid }: DataKey): Promise<boolean> {
    if (listed === undefined) return true;
    const record = listed.find((each) => each.kid === kid);
    if (record === undefined) return false;
    if (record.retired_at === null) return true;
    try {
      // Before anything is sealed with it: it would be destroyed under that otherwise.
      return await store.stillInUse(project, kid);
    } catch (error) {
      if (isGrantryError(error, 'unavailable')) return true;
      throw error;
    }
  }

  return {
    inMemory,
    async forSealing(project) {
      const cached = sealing.get(project);
      if (cached !== undefined && nowMs() - cached.readAtMs < sealingKeyMaxAgeMs) return cached.dataKey;
      return readSealing(project, async () => {
        let listed: readonly DataKeyRecord[] | undefined;
        try {
          const readAtMs = nowMs();
          listed = await store.list(project);
          const record = newest(listed) ?? (await makeFirst(project));
          // One that is in memory needs no provider, which may be away, or far.
          const dataKey = ofProject(byKid.get(record.kid) ?? (await load(record)), project);
          sealing.set(project, { dataKey, readAtMs });
          return dataKey;
        } catch (error) {
          // What a provider gave has to be sealed while the database, or who unwraps our keys, is away, too.
          if (cached === undefined || !isGrantryError(error, 'unavailable')) throw error;
          if (await maySealStill(listed, cached.dataKey)) return cached.dataKey;
          throw error;
        }
      });
    },
    async forOpening(project, kid) {
      const dataKey =
        byKid.get(kid) ??
        (await readOpening(kid, async () => {
          const record = await store.find(kid);
          if (record === undefined) throw integrityError('A stored secret names a data key that does not exist.');
          return load(record);
        }));
      return ofProject(dataKey, project);
    },
  };
}

export type DataKeysWorld = { provider: KeyProvider; store: DataKeyStore; limit?: number; sealingKeyMaxAgeMs?: number; nowMs?: () => number };

/** What a data key's wrapping is bound to. */
export const dataKeyContext = ({ project_id, kid }: Pick<DataKeyRecord, 'project_id' | 'kid'>): WrapContext => ['data_key', project_id, kid];

/** The bytes of a stored data key. Throws `integrity_error`, `unavailable`. */
export async function unwrapDataKey(provider: KeyProvider, record: DataKeyRecord): Promise<Uint8Array> {
  const bytes = await provider.unwrap(dataKeyContext(record), record.wrapped);
  if (bytes.length !== 32) throw integrityError('A stored data key has the wrong length.');
  return bytes;
}

/** A new data key, wrapped; it is in no memory yet. */
export async function freshDataKey(provider: KeyProvider, project: string): Promise<NewDataKey> {
  const named = { project_id: project, kid: `dk_${randomBytes(16).toString('hex')}` };
  const wrapped = await wrapSurely(provider, dataKeyContext(named), randomBytes(32));
  return { ...named, wrapped, wrapped_by: provider.keyOf(wrapped) };
}

function newest(records: readonly DataKeyRecord[]): DataKeyRecord | undefined {
  return records.filter(({ retired_at }) => retired_at === null).toSorted((a, b) => b.created_at.getTime() - a.created_at.getTime())[0];
}

function ofProject(dataKey: DataKey, project: string): DataKey {
  if (dataKey.project !== project) throw integrityError('A stored secret is sealed with the data key of another project.');
  return dataKey;
}

/** Calls for one key that come while one is under way get its result. A failure is not kept. */
function sharing<Value>(): (key: string, read: () => Promise<Value>) => Promise<Value> {
  const underWay = new Map<string, Promise<Value>>();
  return (key, read) => {
    const running = underWay.get(key);
    if (running !== undefined) return running;
    const started = read().finally(() => underWay.delete(key));
    underWay.set(key, started);
    return started;
  };
}
