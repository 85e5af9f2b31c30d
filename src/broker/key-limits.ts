import { coversRange, isInRange } from '../protocol/address.ts';
import { GrantryError } from '../protocol/errors.ts';
import type { Caller } from './caller.ts';
import type { KeyLimits } from './records.ts';

/** What a key is limited to: addresses it is used from, and the one integration or end user that it may touch. */

/** Whose something is. */
export type Subject = { integration_id: string; end_user_id: string };

/** Throws `forbidden` when the key may not be used from the address. It names the address: behind a proxy it may not be the one that was meant. */
export function requireAddress({ addresses }: KeyLimits, address: () => string): void {
  if (addresses === undefined) return;
  const from = address();
  if (addresses.some((range) => isInRange(from, range))) return;
  throw new GrantryError('forbidden', { detail: `This API key may not be used from ${/^[0-9a-f.:]{2,45}$/i.test(from) ? from : 'this address'}.` });
}

/** The limits of a caller to an integration or an end user; undefined when it has the whole project. */
export function reachOf(caller: Caller): Pick<KeyLimits, 'integration' | 'end_user'> | undefined {
  if (caller.kind === 'root' || caller.limits === null) return undefined;
  const { integration, end_user } = caller.limits;
  return integration === undefined && end_user === undefined ? undefined : { integration, end_user };
}

/** True when the caller may know of what belongs to the subject. */
export function reaches(caller: Caller, { integration_id, end_user_id }: Subject): boolean {
  const reach = reachOf(caller);
  if (reach === undefined) return true;
  return (reach.integration ?? integration_id) === integration_id && (reach.end_user ?? end_user_id) === end_user_id;
}

/** True when a caller that is limited to addresses would make a key that can be used from others. */
export function widerThan(caller: Caller, addresses: readonly string[] | undefined): boolean {
  const own = caller.kind === 'root' ? undefined : caller.limits?.addresses;
  if (own === undefined) return false;
  return addresses === undefined || !addresses.every((inner) => own.some((outer) => coversRange(outer, inner)));
}
