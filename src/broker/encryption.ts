import { isGrantryError } from '../protocol/errors.ts';
import { type DamageRecord, type KeySummary, type RotationRecord, type SealedTable, sealedTables } from './key-records.ts';
import type { World } from './world.ts';

/** What is known of the keys, and of what is sealed with them. */

export type RowCounts = {
  table: SealedTable;
  /** Sealed fields by data key; null: what names no key of ours. */
  fields: { data_key: string | null; count: number }[];
};
export type Encryption = {
  provider: { kind: 'ring' | 'kms'; name: string };
  /** Null when who holds the master keys does not answer. */
  masterKey: string | null;
  keys: { current: number; retired: number; masterKeys: { id: string; data_keys: number }[]; list: KeySummary[] };
  rotation: RotationRecord | undefined;
  damaged: { count: number; items: DamageRecord[] };
  /** Present when they were asked for. */
  rows: RowCounts[] | undefined;
};

const mostListed = 100;

async function masterKeyOf(world: World): Promise<string | null> {
  try {
    return await world.keys.masterKey();
  } catch (error) {
    if (isGrantryError(error, 'unavailable')) return null;
    throw error;
  }
}

function kidOf(world: World, head: string): string | null {
  try {
    return world.keys.kidOf(head);
  } catch (error) {
    if (isGrantryError(error, 'integrity_error')) return null;
    throw error;
  }
}

async function countRows(world: World): Promise<RowCounts[]> {
  const counts: RowCounts[] = [];
  for (const table of sealedTables) {
    const byKid = new Map<string | null, number>();
    for (const { head, count } of await world.store.sealedRows.countByHead(table)) {
      const kid = kidOf(world, head);
      byKid.set(kid, (byKid.get(kid) ?? 0) + count);
    }
    counts.push({ table, fields: [...byKid].map(([data_key, count]) => ({ data_key, count })) });
  }
  return counts;
}

/** `counted`: every sealed row is looked at. */
export async function readEncryption(world: World, { rows }: { rows: 'counted' | 'not_counted' }): Promise<Encryption> {
  const { keyUpkeep, rotations, damagedSecrets } = world.store;
  const [masterKey, counts, list, rotation, damaged] = await Promise.all([
    masterKeyOf(world),
    keyUpkeep.counts(),
    keyUpkeep.list(mostListed),
    rotations.latest(),
    damagedSecrets.list(mostListed),
  ]);
  return {
    provider: world.keys.provider,
    masterKey,
    keys: { ...counts, list },
    rotation,
    damaged,
    rows: rows === 'counted' ? await countRows(world) : undefined,
  };
}
