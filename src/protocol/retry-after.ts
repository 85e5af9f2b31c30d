import { parseHttpDate } from './http-date.ts';

/** Nobody is believed who asks us to stay away for longer than a day. */
const longestS = 86_400;

/**
 * Whole seconds that a `Retry-After` header asks us to wait (RFC 9110 section 10.2.3: seconds or an HTTP date), 0 for a past
 * date, at most one day; undefined when the header is absent or makes no sense. Header names in lower case.
 */
export function retryAfterS(headers: Readonly<Record<string, string>>, now: Date): number | undefined {
  const value = Object.hasOwn(headers, 'retry-after') ? headers['retry-after']?.trim() : undefined;
  if (value === undefined) return undefined;
  if (/^\d{1,15}$/.test(value)) return Math.min(Number(value), longestS);
  const date = parseHttpDate(value);
  if (date === undefined) return undefined;
  return Math.min(Math.max(Math.ceil((date.getTime() - now.getTime()) / 1000), 0), longestS);
}
