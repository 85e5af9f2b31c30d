import type { DataKeyStore } from '../broker/seal.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import { type KeyProvider, wrapSurely } from './key-provider.ts';

const context = ['canary'] as const;
const knownText = Buffer.from('grantry');

/**
 * At start: proves that the master keys are those that this database was sealed with. The first start stores a known text,
 * wrapped; every later one must open it. Throws `integrity_error` otherwise, `unavailable` when the keys cannot be asked; nothing is
 * ever made anew.
 */
export async function checkCanary(provider: KeyProvider, store: Pick<DataKeyStore, 'canary' | 'setCanary'>): Promise<void> {
  const wrapped = (await store.canary()) ?? (await store.setCanary(await wrapCanary(provider)));
  let opened: Uint8Array;
  try {
    opened = await provider.unwrap(context, wrapped);
  } catch (cause) {
    if (isGrantryError(cause, 'unavailable')) throw cause;
    throw refusal(provider, cause);
  }
  if (!knownText.equals(opened)) throw refusal(provider);
}

/** The known text, wrapped by the master key that wraps now. */
export const wrapCanary = (provider: KeyProvider): Promise<string> => wrapSurely(provider, context, knownText);

function refusal({ name }: KeyProvider, cause?: unknown): GrantryError {
  const why = cause instanceof GrantryError ? ` ${cause.message}` : '';
  const detail = `These are not the keys this database was sealed with (${name}).${why} Start with the former keys.`;
  return new GrantryError('integrity_error', { detail, cause });
}
