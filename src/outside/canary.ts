import type { DataKeyStore } from '../broker/seal.ts';
import { GrantryError } from '../protocol/errors.ts';
import type { KeyRing } from './key-ring.ts';

const context = ['canary'] as const;
const knownText = 'grantry';

/**
 * At start: proves that the key ring is the one this database was sealed with. The first start stores a known text,
 * sealed; every later one must open it. Throws `integrity_error` otherwise; nothing is ever made anew.
 */
export async function checkCanary(ring: KeyRing, store: Pick<DataKeyStore, 'canary' | 'setCanary'>): Promise<void> {
  const sealed = (await store.canary()) ?? (await store.setCanary(await ring.wrap(context, Buffer.from(knownText))));
  let opened: Uint8Array;
  try {
    opened = await ring.unwrap(context, sealed);
  } catch (cause) {
    throw refusal(ring, cause);
  }
  if (Buffer.from(opened).toString() !== knownText) throw refusal(ring);
}

function refusal(ring: KeyRing, cause?: unknown): GrantryError {
  const why = cause instanceof GrantryError ? ` ${cause.message}` : '';
  const held = ring.kids.join(', ');
  const detail = `These are not the keys this database was sealed with (GRANTRY_KEYS holds ${held}).${why} Start with the former keys.`;
  return new GrantryError('integrity_error', { detail, cause });
}
