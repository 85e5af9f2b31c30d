import type { Fault } from './protocol/errors.ts';

/** Reads variables, and collects what is wrong instead of stopping at the first fault. */

export type Environment = Readonly<Record<string, string | undefined>>;
export type Mode = 'production' | 'development';

export type Reader = {
  /** The variable without surrounding white space; undefined when it is absent or empty. */
  text(name: string): string | undefined;
  fault(name: string, detail: string): void;
};

export function createReader(env: Environment, faults: Fault[]): Reader {
  return {
    text(name) {
      const value = env[name]?.trim();
      return value === '' ? undefined : value;
    },
    fault: (name, detail) => faults.push({ pointer: `/${name}`, detail }),
  };
}

export function oneOf<T extends string>({ text, fault }: Reader, name: string, values: readonly [T, ...T[]], otherwise: T): T {
  const given = text(name);
  if (given === undefined) return otherwise;
  const found = values.find((value) => value === given);
  if (found === undefined) fault(name, `must be one of ${values.join(', ')}.`);
  return found ?? otherwise;
}

export const isSet = (reader: Reader, name: string): boolean => ['true', '1'].includes(oneOf(reader, name, ['false', 'true', '0', '1'], 'false'));

export function integer(
  { text, fault }: Reader,
  name: string,
  { least, most, otherwise }: { least: number; most: number; otherwise: number },
): number {
  const given = text(name);
  if (given === undefined) return otherwise;
  const value = /^\d{1,6}$/.test(given) ? Number(given) : Number.NaN;
  if (value >= least && value <= most) return value;
  fault(name, `must be a whole number from ${least} to ${most}.`);
  return otherwise;
}

/** A URL with one of the protocols; what it holds is never repeated, for it may be a password. */
export function urlOf(text: string, protocols: readonly string[]): URL | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  return protocols.includes(url.protocol) && url.hostname !== '' ? url : undefined;
}
