import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import type { DataKeyRecord, DataKeyStore } from '../broker/seal.ts';
import { isGrantryError } from '../protocol/errors.ts';
import { integrityError } from './jwe.ts';
import type { KeyRing } from './key-ring.ts';
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
const sealingKeyMaxAgeMs = 60_000;

/** The data keys of all projects, cached; concurrent misses on one of them share one read. `nowMs`: epoch milliseconds. */
export function createDataKeys({ ring, store, limit = defaultLimit, nowMs = Date.now }: DataKeysWorld): DataKeys {
  const byKid = createRecent<DataKey>(limit);
  const sealing = createRecent<{ dataKey: DataKey; readAtMs: number }>(limit);
  const readSealing = sharing<DataKey>();
  const readOpening = sharing<DataKey>();

  async function load(record: DataKeyRecord): Promise<DataKey> {
    const bytes = await ring.unwrap(['data_key', record.project_id, record.kid], record.wrapped);
    if (bytes.length !== 32) throw integrityError('A stored data key has the wrong length.');
    const dataKey = { kid: record.kid, project: record.project_id, key: createSecretKey(bytes) };
    byKid.set(record.kid, dataKey);
    return dataKey;
  }

  async function makeFirst(project: string): Promise<DataKeyRecord> {
    const kid = `dk_${randomBytes(16).toString('hex')}`;
    return store.insert({ project_id: project, kid, wrapped: await ring.wrap(['data_key', project, kid], randomBytes(32)) });
  }

  function inMemory(project: string, kid: string): DataKey | undefined {
    const dataKey = byKid.get(kid);
    return dataKey === undefined ? undefined : ofProject(dataKey, project);
  }

  return {
    inMemory,
    async forSealing(project) {
      const cached = sealing.get(project);
      if (cached !== undefined && nowMs() - cached.readAtMs < sealingKeyMaxAgeMs) return cached.dataKey;
      return readSealing(project, async () => {
        try {
          const readAtMs = nowMs();
          const record = newest(await store.list(project)) ?? (await makeFirst(project));
          const dataKey = ofProject(await load(record), project);
          sealing.set(project, { dataKey, readAtMs });
          return dataKey;
        } catch (error) {
          // What a provider gave has to be sealed while the database is away, too.
          if (cached !== undefined && isGrantryError(error, 'unavailable')) return cached.dataKey;
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

export type DataKeysWorld = { ring: KeyRing; store: DataKeyStore; limit?: number; nowMs?: () => number };

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
