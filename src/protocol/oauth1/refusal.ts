import type { DoorResponse } from '../door.ts';
import { GrantryError } from '../errors.ts';
import { parseHttpDate } from '../http-date.ts';
import { isTransientStatus, providerUnavailable } from '../transient.ts';

/** Which of the two requests was refused: for temporary credentials, or for token credentials. */
export type Leg = 'request_token' | 'access_token';

type Answer = Pick<DoorResponse, 'status' | 'headers' | 'body'>;

/** At the second request the token secret may be what is wrong with the signature, and that is nobody's configuration. */
const ourFault: Readonly<Record<Leg, readonly string[]>> = {
  request_token: ['consumer_key_unknown', 'consumer_key_rejected', 'signature_invalid'],
  access_token: ['consumer_key_unknown', 'consumer_key_rejected'],
};

/** More than this between the provider's clock and ours may be the reason of a refusal. */
const toleranceMs = 60_000;

/** The `oauth_problem` of the OAuth Problem Reporting extension, in the body or in WWW-Authenticate. */
function problemOf({ headers, body }: Answer): string | undefined {
  const inBody = /(?:^|[&\s])oauth_problem=([a-z_]{1,60})(?=$|[&\s])/.exec(body)?.[1];
  return inBody ?? /\boauth_problem="?([a-z_]{1,60})(?=$|["\s,])/.exec(headers['www-authenticate'] ?? '')?.[1];
}

/**
 * How far the provider's clock is ahead of ours, in milliseconds, when an answer says that our timestamp was the trouble
 * (`timestamp_refused`), or might have been (400 or 401, and clocks more than a minute apart); undefined otherwise.
 */
export function clockOffsetMs(answer: Answer, now: Date): number | undefined {
  if (answer.status !== 400 && answer.status !== 401) return undefined;
  const theirs = parseHttpDate(answer.headers['date'] ?? '');
  if (theirs === undefined) return undefined;
  const offsetMs = theirs.getTime() - now.getTime();
  return problemOf(answer) === 'timestamp_refused' || Math.abs(offsetMs) > toleranceMs ? offsetMs : undefined;
}

/** True when the answer to a signed request says that its token is what is wrong, and not our key, our secret or our clock. */
export const refusesToken = (answer: Answer): boolean => /^token_(?:expired|revoked|rejected)$/.test(problemOf(answer) ?? '');

/**
 * The error for an answer that is no success, undefined for 1xx to 3xx without an `oauth_problem`. `invalid_client` when the provider does not
 * know our key, or at the first request our signature, or refuses the first request with 401 and no reason; `provider_unavailable` for 408, 425, 429 and 5xx;
 * `provider_error` otherwise.
 */
export function refusalOf(answer: Answer, { leg, now }: { leg: Leg; now: Date }): GrantryError | undefined {
  const problem = problemOf(answer);
  if (answer.status < 400 && problem === undefined) return undefined;
  if (isTransientStatus(answer.status)) return providerUnavailable(answer.headers, now);
  const unexplained = leg === 'request_token' && answer.status === 401 && problem === undefined;
  if (unexplained || (problem !== undefined && ourFault[leg].includes(problem))) return new GrantryError('invalid_client');
  return new GrantryError('provider_error');
}
