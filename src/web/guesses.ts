import type { IncomingMessage } from 'node:http';
import { type Limits, tooMany } from '../broker/limits.ts';
import { isGrantryError } from '../protocol/errors.ts';
import { addressOf } from './address.ts';

/** So many keys that were right are remembered; here a key is its digest as text. */
const mostKnown = 10_000;

/** Wrong keys, counted by address and in memory; a key that was right is looked up whatever its neighbours send. */
export type Guesses = {
  /** Throws `rate_limited` when the address has sent too many wrong keys, and this one is not known to be right. */
  admit(req: IncomingMessage, key: string): void;
  /** Remembers a key that was right. */
  right(key: string): void;
  /** Counts a look-up that failed, when it failed because the key was wrong. */
  wrong(req: IncomingMessage, key: string, error: unknown): void;
};

export function createGuesses(limits: Limits, trustProxy: number): Guesses {
  const known = new Set<string>();
  return {
    admit(req, key) {
      if (known.has(key)) return;
      const waitS = limits.spent('wrong_keys', addressOf(req, trustProxy));
      if (waitS !== undefined) throw tooMany('Too many wrong API keys came from this address.', waitS);
    },
    right(key) {
      if (known.has(key)) return;
      const oldest = known.size >= mostKnown ? known.values().next().value : undefined;
      if (oldest !== undefined) known.delete(oldest);
      known.add(key);
    },
    wrong(req, key, error) {
      if (!isGrantryError(error, 'unauthorized')) return;
      known.delete(key);
      limits.take('wrong_keys', addressOf(req, trustProxy));
    },
  };
}
