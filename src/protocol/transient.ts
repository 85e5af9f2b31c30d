import { GrantryError } from './errors.ts';
import { retryAfterS } from './retry-after.ts';

/** True for an HTTP status that says "not now" rather than "no": 408, 425, 429 and every 5xx. */
export function isTransientStatus(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

/** The error for such an answer: `provider_unavailable`, with the wait that its `Retry-After` asks for. */
export function providerUnavailable(headers: Readonly<Record<string, string>>, now: Date): GrantryError {
  const wait = retryAfterS(headers, now);
  return new GrantryError('provider_unavailable', wait === undefined ? {} : { retryAfterS: wait });
}
