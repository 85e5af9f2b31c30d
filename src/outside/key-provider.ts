import { GrantryError } from '../protocol/errors.ts';

/**
 * Who holds the master keys: it wraps data keys and unwraps them again, and nobody else sees a master key. There are two: the key ring
 * (key-ring.ts), whose keys are in this process, and a key service (kms.ts), whose keys never are.
 */
export type KeyProvider = {
  /** What a person knows it by, such as GRANTRY_KEYS. */
  readonly name: string;
  readonly kind: 'ring' | 'kms';
  /** Id of the master key that wraps now, in such a context; the deployment's without one. */
  current(context?: WrapContext): Promise<string>;
  /** Wraps a secret for one context; only the same context unwraps it. */
  wrap(context: WrapContext, secret: Uint8Array): Promise<string>;
  /** Throws `integrity_error` (a key that it does not hold, another context, anything altered), `unavailable` when it cannot be asked now. */
  unwrap(context: WrapContext, wrapped: string): Promise<Uint8Array>;
  /** Whether a text has the form of what it wraps. */
  isOwn(wrapped: string): boolean;
  /** Id of the master key that a wrapped secret names. Throws `integrity_error`. */
  keyOf(wrapped: string): string;
  /** Whether it holds the key of that id; absent where that cannot be known without asking. */
  holds?(id: string): boolean;
};

/** What the wrapped secret is: its use, then whatever tells it from others of that use. */
export type WrapContext = readonly [use: string, ...names: string[]];

/** Wraps with one provider, and goes on unwrapping what another one has wrapped: the way from one to the other. */
export function replacing(former: KeyProvider, current: KeyProvider): KeyProvider {
  const of = (wrapped: string) => (former.isOwn(wrapped) ? former : current);
  return {
    name: `${current.name} (and ${former.name} for what it has wrapped)`,
    kind: current.kind,
    current: (context) => current.current(context),
    wrap: (context, secret) => current.wrap(context, secret),
    unwrap: (context, wrapped) => of(wrapped).unwrap(context, wrapped),
    isOwn: (wrapped) => former.isOwn(wrapped) || current.isOwn(wrapped),
    keyOf: (wrapped) => of(wrapped).keyOf(wrapped),
  };
}

/** Wraps, and sees to it that what came of it opens again, before anything relies on it. */
export async function wrapSurely(provider: KeyProvider, context: WrapContext, secret: Uint8Array): Promise<string> {
  const wrapped = await provider.wrap(context, secret);
  if (Buffer.from(secret).equals(await provider.unwrap(context, wrapped))) return wrapped;
  throw new GrantryError('integrity_error', { detail: `What ${provider.name} has wrapped does not open to the same again.` });
}
