import type { KeyTurning } from '../broker/key-records.ts';
import type { DataKeyRecord } from '../broker/seal.ts';
import { isGrantryError } from '../protocol/errors.ts';
import { wrapCanary } from './canary.ts';
import { dataKeyContext, freshDataKey, unwrapDataKey, usualSealingKeyMaxAgeMs } from './data-keys.ts';
import { type KeyProvider, wrapSurely } from './key-provider.ts';
import { type OwnKeys, ownedOf } from './project-keys.ts';
import { kidOfHead } from './seal.ts';

/** A process looks for its sealing key this often, and what it has sealed just before has this much more to reach Postgres. */
const usualSettleMs = usualSealingKeyMaxAgeMs + 30_000;

/** What changing keys needs of the provider of the master keys. */
export function createKeyTurning(provider: KeyProvider, settleMs = usualSettleMs, own: OwnKeys = new Map()): KeyTurning {
  /** Undefined when it does not open. */
  async function bytesOf(record: DataKeyRecord): Promise<Uint8Array | undefined> {
    try {
      return await unwrapDataKey(provider, record);
    } catch (error) {
      if (isGrantryError(error, 'integrity_error')) return undefined;
      throw error;
    }
  }

  return {
    provider: { kind: provider.kind, name: provider.name },
    ownProjects: new Set(own.keys()),
    isForsaken({ wrapped }) {
      const owned = ownedOf(wrapped);
      return owned !== undefined && !own.has(owned.project);
    },
    masterKey: (project) => provider.current(project === undefined ? undefined : ['data_key', project]),
    fresh: (project) => freshDataKey(provider, project),
    opens: async (record) => (await bytesOf(record)) !== undefined,
    async rewrapped(record) {
      const bytes = await bytesOf(record);
      if (bytes === undefined) return undefined;
      const wrapped = await wrapSurely(provider, dataKeyContext(record), bytes);
      return { wrapped, wrapped_by: provider.keyOf(wrapped) };
    },
    canary: async (stored) => (provider.keyOf(stored) === (await provider.current()) ? undefined : wrapCanary(provider)),
    kidOf: kidOfHead,
    settleMs,
  };
}
