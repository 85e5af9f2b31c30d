import { type GrantryError, isGrantryError } from '../protocol/errors.ts';
import type { KeyProvider } from './key-provider.ts';

/** Who fails in less time than this holds up nobody. */
const slowMs = 1_000;
/** A service that lets its callers wait is looked at again on the side, this long after the last look. */
const lookEveryMs = 1_000;
/** After this long one caller asks for himself: the service may do what he wants, and not what it is looked at by. */
const trialEveryMs = 5_000;

/**
 * After one call that waited in vain, nobody else waits, but for one caller now and then: calls fail at once until the service, which is asked
 * on the side, answers again.
 * A service that hangs would else hold whatever waits for it, one call after the other.
 */
export function sparing(provider: KeyProvider, elapsedMs: () => number): KeyProvider {
  let silence: GrantryError | undefined;
  let isLooking = false;
  let lookedMs = Number.NEGATIVE_INFINITY;
  let isTrying = false;
  let triedMs = Number.NEGATIVE_INFINITY;

  async function asked<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    const begunMs = elapsedMs();
    try {
      const answer = await ask();
      silence = undefined;
      return answer;
    } catch (error) {
      const waited = elapsedMs() - begunMs >= slowMs;
      silence = waited && isGrantryError(error, 'unavailable') ? error : undefined;
      throw error;
    }
  }

  async function look(): Promise<void> {
    if (isLooking || elapsedMs() - lookedMs < lookEveryMs) return;
    isLooking = true;
    await asked(() => provider.current()).catch(() => {});
    isLooking = false;
    lookedMs = elapsedMs();
  }

  async function forCaller<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    try {
      return await asked(ask);
    } finally {
      triedMs = elapsedMs();
    }
  }

  async function unlessSilent<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    if (silence === undefined) return forCaller(ask);
    if (!isTrying && elapsedMs() - triedMs > trialEveryMs) {
      isTrying = true;
      return forCaller(ask).finally(() => {
        isTrying = false;
      });
    }
    void look();
    throw silence;
  }

  return {
    ...provider,
    current: (context) => unlessSilent(() => provider.current(context)),
    wrap: (context, secret) => unlessSilent(() => provider.wrap(context, secret)),
    unwrap: (context, wrapped) => unlessSilent(() => provider.unwrap(context, wrapped)),
  };
}
