import { type Pace, turnKeys } from '../../src/broker/rotate-keys.ts';
import type { World } from '../../src/broker/world.ts';
import { parseKeyRing } from '../../src/outside/key-ring.ts';
import { createKeyTurning } from '../../src/outside/key-turning.ts';
import { createSeal } from '../../src/outside/seal.ts';
import type { TestBroker } from '../harness/broker.ts';

/** What a test of rotations needs: processes that turn to new keys at once instead of in a minute and a half. */

export const settleMs = 150;

/** For `adapt` of a broker whose ring is `keys`. */
export const quick =
  (keys: string) =>
  (world: World): World => {
    const provider = parseKeyRing(keys);
    return {
      ...world,
      seal: createSeal({ provider, store: world.store.dataKeys, sealingKeyMaxAgeMs: settleMs / 3 }),
      keys: createKeyTurning(provider, settleMs),
    };
  };

/** Works at the rotation until none runs. */
export async function turnAll(world: World, pace: Partial<Pace> = {}): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    await turnKeys(world, { ms: 5_000, rowsPerS: 100_000, graceS: 0, ...pace });
    if ((await world.store.rotations.latest())?.finished_at !== null) return;
    await world.sleep(20);
  }
  throw new Error('The rotation does not end.');
}

type State = {
  master_key: string;
  master_keys: { id: string; data_keys: number }[];
  data_keys: { current: number; retired: number; keys: { id: string; project: string; state: string }[] };
  rotation: { phase: string; problem: string | null; done: number; total: number; keys_destroyed: number } | null;
  damaged: { count: number; fields: { row: string; table: string; field: string }[] };
  rows: { table: string; fields: { data_key: string | null; count: number }[] }[];
};
export const stateOf = ({ root }: TestBroker) => root.call<State>('GET', '/v1/encryption?count=true');

/** How many sealed fields each data key has, over all tables. */
export async function fieldsByKey(broker: TestBroker): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const { fields } of (await stateOf(broker)).rows)
    for (const { data_key, count } of fields) sums[String(data_key)] = (sums[String(data_key)] ?? 0) + count;
  return sums;
}
