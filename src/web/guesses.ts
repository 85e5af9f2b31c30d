import type { IncomingMessage } from 'node:http';
import { tooMany } from '../broker/limits.ts';
import type { World } from '../broker/world.ts';
import { addressOf } from './address.ts';

/** So many keys that were right are remembered. */
const mostKnown = 10_000;

/**
 * Wrong keys, counted by address. A key that was right is looked up whatever its neighbours send, and without any of this; here a key is
 * its digest as text. Of the others only as many are looked up at a time as may still be wrong: a thousand guesses at once are no more
 * than a thousand one after another.
 */
export type Guesses = {
  knows(key: string): boolean;
  /** Throws `rate_limited` when too many wrong keys came from the address. */
  admit(req: IncomingMessage): void;
  /** The same, and waits for its turn; what it resolves with ends the turn. */
  enter(req: IncomingMessage): Promise<() => void>;
  /** Remembers a key that was right. */
  right(key: string): void;
  /** Counts a key that was wrong; resolves when it is counted, and never rejects. */
  wrong(req: IncomingMessage, key: string): Promise<void>;
};

/** Unknown keys of one address: how many are being looked up, and those that wait. */
type Crowd = { turns: number; waiting: (() => void)[] };

/** Counts for one server; `trustProxy`: how many proxies in front are believed when they say whose address it is. */
export function createGuesses({ limits, sharedLimits }: Pick<World, 'limits' | 'sharedLimits'>, trustProxy: number): Guesses {
  const known = new Set<string>();
  const crowds = new Map<string, Crowd>();

  function leftOf(address: string): number {
    const { kind, left, resetS } = limits.standing('wrong_keys', address);
    if (kind === 'refused') throw tooMany('Too many wrong API keys came from this address.', resetS);
    return left;
  }

  return {
    knows: (key) => known.has(key),
    admit: (req) => void leftOf(addressOf(req, trustProxy)),
    async enter(req) {
      const address = addressOf(req, trustProxy);
      const crowd = crowds.get(address) ?? { turns: 0, waiting: [] };
      crowds.set(address, crowd);
      const leave = () => {
        const next = crowd.waiting.shift();
        // The turn is handed over.
        if (next !== undefined) return next();
        crowd.turns -= 1;
        if (crowd.turns === 0) crowds.delete(address);
      };
      crowd.turns += 1;
      try {
        // There are fewer turns after each wrong key.
        while (crowd.turns > leftOf(address)) {
          crowd.turns -= 1;
          await new Promise<void>((resolve) => crowd.waiting.push(resolve));
        }
      } catch (error) {
        leave();
        throw error;
      }
      return leave;
    },
    right(key) {
      if (known.has(key)) return;
      const oldest = known.size >= mostKnown ? known.values().next().value : undefined;
      if (oldest !== undefined) known.delete(oldest);
      known.add(key);
    },
    async wrong(req, key) {
      known.delete(key);
      const address = addressOf(req, trustProxy);
      limits.take('wrong_keys', address);
      // What other processes have counted counts here, too.
      const { left, resetS } = await sharedLimits.take('wrong_keys', address);
      if (left === 0) limits.exhaust('wrong_keys', address, resetS);
    },
  };
}
