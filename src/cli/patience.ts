import { setTimeout as sleep } from 'node:timers/promises';
import { BrokerUnreachable, GrantryProblem } from '../client/client.ts';

/** Troubles of a broker that pass by themselves, and how long to wait for that. */

const betweenMs = 1_000;
const mostTries = 30;

/** A broker that is away for a moment, or asks to wait. */
export const isPassing = (error: unknown): boolean =>
  error instanceof BrokerUnreachable || (error instanceof GrantryProblem && (error.status === 429 || error.status >= 500));

/** Milliseconds for which it asked to be left alone. */
export const askedMs = (error: unknown): number | undefined =>
  error instanceof GrantryProblem && error.retryAfterS !== undefined ? error.retryAfterS * 1000 : undefined;

/** Asks until there is an answer, for about half a minute: what is waited for goes on without us. Throws what the last call threw. */
export async function askPatiently<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!isPassing(error) || tries === mostTries) throw error;
      await sleep(askedMs(error) ?? betweenMs);
    }
  }
}
