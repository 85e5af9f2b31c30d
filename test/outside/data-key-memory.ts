import type { DataKeyRecord, DataKeyStore } from '../../src/broker/seal.ts';

/** The store's contract over one array: what several "processes" of a test share. `reads` counts list and find. */
export type DataKeyMemory = DataKeyStore & { records: DataKeyRecord[]; reads: () => number; replaceCanary: (sealed: string | undefined) => void };

export function createDataKeyMemory(): DataKeyMemory {
  const records: DataKeyRecord[] = [];
  let canary: string | undefined;
  let reads = 0;
  const pause = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    records,
    reads: () => reads,
    replaceCanary(sealed) {
      canary = sealed;
    },
    async list(projectId) {
      reads += 1;
      await pause();
      return records.filter((record) => record.project_id === projectId);
    },
    async find(kid) {
      reads += 1;
      await pause();
      return records.find((record) => record.kid === kid);
    },
    async insert(record) {
      await pause();
      const winner = records.find((other) => other.project_id === record.project_id && other.retired_at === null);
      if (winner !== undefined) return winner;
      const stored = { ...record, created_at: new Date(), retired_at: null };
      records.push(stored);
      return stored;
    },
    async stillInUse(projectId, kid) {
      await pause();
      const record = records.find((other) => other.project_id === projectId && other.kid === kid && other.retired_at !== null);
      if (record !== undefined) record.retired_at = new Date();
      return record !== undefined;
    },
    async canary() {
      await pause();
      return canary;
    },
    async setCanary(sealed) {
      await pause();
      canary ??= sealed;
      return canary;
    },
  };
}
