import { type GrantryError, isGrantryError } from '../protocol/errors.ts';
import type { KeyProvider, WrapContext } from './key-provider.ts';

/** Who fails in less time than this holds up nobody. */
const slowMs = 1_000;
/** A service that lets its callers wait is looked at again on the side, this long after the last look. */
const lookEveryMs = 1_000;

/**
 * After one call that waited in vain, nobody else waits: calls fail at once until the service, which is asked on the side, answers again.
 * A service that hangs would else hold whatever waits for it, one call after the other.
 */
export function sparing(provider: KeyProvider, elapsedMs: () => number): KeyProvider {
  let silence: GrantryError | undefined;
  let isLooking = false;
  let lookedMs = Number.NEGATIVE_INFINITY;

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

  async function look(context: WrapContext): Promise<void> {
    if (isLooking || elapsedMs() - lookedMs < lookEveryMs) return;
    isLooking = true;
    await asked(() => provider.current(context)).catch(() => {});
    isLooking = false;
    lookedMs = elapsedMs();
  }

  async function unlessSilent<Answer>(context: WrapContext, ask: () => Promise<Answer>): Promise<Answer> {
    if (silence === undefined) return asked(ask);
    void look(context);
    throw silence;
  }

  return {
    ...provider,
    current: (context) => unlessSilent(context, () => provider.current(context)),
    wrap: (context, secret) => unlessSilent(context, () => provider.wrap(context, secret)),
    unwrap: (context, wrapped) => unlessSilent(context, () => provider.unwrap(context, wrapped)),
  };
}
