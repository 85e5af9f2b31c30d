import { createHash, timingSafeEqual } from 'node:crypto';
import type { Place } from './seal.ts';
import type { World } from './world.ts';

/** One-time secrets (256 bit, base64url) and what is kept of them: their SHA-256. */

export const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

/** A fresh 256-bit secret, 43 characters of base64url. */
export const newSecret = (world: Pick<World, 'random'>): string => world.random(32).toString('base64url');

/** True for text that `newSecret` could have made; everything else is refused before it costs a query. */
export const isSecretText = (text: unknown): text is string => typeof text === 'string' && /^[A-Za-z0-9_-]{43}$/.test(text);

/** Compares in constant time; false for unequal lengths. */
export const sameBytes = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b);

export async function openOptional(world: Pick<World, 'seal'>, place: Place, sealed: string | null): Promise<string | undefined> {
  return sealed === null ? undefined : world.seal.open(place, sealed);
}

/** Opens a sealed map of input values. */
export async function openInputs(world: Pick<World, 'seal'>, place: Place, sealed: string | null): Promise<Record<string, string>> {
  const text = await openOptional(world, place, sealed);
  return text === undefined ? {} : JSON.parse(text);
}

/** Seals a map of input values; null when there are none. */
export async function sealInputs(world: Pick<World, 'seal'>, place: Place, inputs: Readonly<Record<string, string>>): Promise<string | null> {
  return Object.keys(inputs).length === 0 ? null : world.seal.seal(place, JSON.stringify(inputs));
}
