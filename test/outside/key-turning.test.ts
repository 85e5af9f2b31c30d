import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import type { DataKeyRecord } from '../../src/broker/seal.ts';
import { generateKeyRing, parseKeyRing } from '../../src/outside/key-ring.ts';
import { createKeyTurning } from '../../src/outside/key-turning.ts';

const provider = parseKeyRing(generateKeyRing());
const turning = createKeyTurning(provider);

async function recordOf(bytes: number): Promise<DataKeyRecord> {
  const wrapped = await provider.wrap(['data_key', 'default', 'dk_1'], randomBytes(bytes));
  return { project_id: 'default', kid: 'dk_1', wrapped, wrapped_by: provider.keyOf(wrapped), created_at: new Date(), retired_at: null };
}

it('wraps anew what is a data key, and nothing else that comes out: the only good wrapping may be the one that it would replace', async () => {
  const good = await recordOf(32);
  expect(await turning.opens(good)).toBe(true);
  const { wrapped = '' } = (await turning.rewrapped(good)) ?? {};
  expect(await turning.opens({ ...good, wrapped })).toBe(true);
  for (const bytes of [0, 16, 33]) {
    const other = await recordOf(bytes);
    expect([await turning.opens(other), await turning.rewrapped(other)]).toEqual([false, undefined]);
  }
  const elsewhere = createKeyTurning(parseKeyRing(generateKeyRing()));
  expect([await elsewhere.opens(good), await elsewhere.rewrapped(good)]).toEqual([false, undefined]);
});
