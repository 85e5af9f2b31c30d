import { GrantryError } from '../protocol/errors.ts';
import { requireAddress } from './key-limits.ts';
import type { KeyLimits, KeyScope } from './records.ts';
import { sameBytes } from './secrets.ts';
import type { FoundKey } from './store.ts';

/** Who asks: an API key of one project, or the holder of the root key. */
export type Caller =
  | { kind: 'key'; id: string; project: string; scopes: readonly string[]; limits: KeyLimits | null }
  | { kind: 'root'; project: string };

/** The name under which a caller's idempotency keys are kept. */
export const callerName = (caller: Caller): string => (caller.kind === 'root' ? 'root' : caller.id);

const keyText = /^grt_[0-9a-z]{26}_[A-Za-z0-9_-]{43}$/;

/** True for text that could be an API key; everything else is refused before it costs a query. */
export const isKeyText = (text: string): boolean => keyText.test(text);

/**
 * The caller behind a found key. Throws `unauthorized` when there is none, or it has ended, and `forbidden` when it may not be used from the
 * address, which is asked for only then.
 */
export function callerOf(presentedHash: Buffer, found: FoundKey | undefined, address: () => string): Caller {
  if (found === undefined || !sameBytes(found.key_hash, presentedHash) || found.expired) throw new GrantryError('unauthorized');
  if (found.limits !== null) requireAddress(found.limits, address);
  return { kind: 'key', id: found.id, project: found.project_id, scopes: found.scopes, limits: found.limits };
}

/** Throws `forbidden` unless the caller has one of the scopes; the root key and `admin` have all. */
export function requireScope(caller: Caller, scope: KeyScope | 'any'): void {
  if (caller.kind === 'root' || scope === 'any' || caller.scopes.includes('admin') || caller.scopes.includes(scope)) return;
  throw new GrantryError('forbidden', { detail: `This needs an API key with the scope "${scope}".` });
}
