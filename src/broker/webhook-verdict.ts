import type { DoorResponse } from '../protocol/door.ts';
import type { ErrorCode } from '../protocol/errors.ts';
import { retryAfterS } from '../protocol/retry-after.ts';
import type { DeliveryFailure } from './webhook-records.ts';

/** What follows from the answer to a webhook. */

/** An attempt this long after the round's first one is the last. */
const roundS = 86_400;
const shortestBoundS = 5;
const longestBoundS = 7_200;
/** An endpoint that took nothing for so long is disabled, */
export const failingForS = 5 * 86_400;
/** but not for one bad moment after days of silence: by a delivery that has been tried for so long. */
const triedForS = 3_600;

export type Answer = Pick<DoorResponse, 'status' | 'headers'> | ErrorCode;
export type Verdict =
  | { kind: 'delivered'; status: number }
  | { kind: 'retry'; failure: DeliveryFailure; inS: number }
  | { kind: 'give_up'; failure: DeliveryFailure }
  | { kind: 'disable'; reason: 'gone' | 'failing'; failure: DeliveryFailure };

export type Attempted = {
  answer: Answer;
  /** Since the round's first attempt. */
  ageS: number;
  failingSince: Date | null;
  now: Date;
  /** 0 to 1. */
  random: number;
};

/** Only 2xx is success. Redirects are not followed: what was configured is the address. */
export function verdictOf({ answer, ageS, failingSince, now, random }: Attempted): Verdict {
  if (typeof answer !== 'string' && answer.status >= 200 && answer.status < 300) return { kind: 'delivered', status: answer.status };
  const failure = typeof answer === 'string' ? { status: null, error: answer } : { status: answer.status, error: 'unexpected_status' };
  if (failure.status === 410) return { kind: 'disable', reason: 'gone', failure };
  const isFailing = failingSince !== null && now.getTime() - failingSince.getTime() >= failingForS * 1000;
  if (isFailing && ageS >= triedForS) return { kind: 'disable', reason: 'failing', failure };
  if (ageS >= roundS) return { kind: 'give_up', failure };
  return { kind: 'retry', failure, inS: Math.min(waitS({ answer, ageS, now, random }), roundS - ageS) };
}

/** Full jitter under a bound that grows with the age of the round, about three times with each attempt; never sooner than the receiver asked. */
function waitS({ answer, ageS, now, random }: Pick<Attempted, 'answer' | 'ageS' | 'now' | 'random'>): number {
  const jittered = random * Math.min(longestBoundS, Math.max(shortestBoundS, 2 * ageS));
  const asked = typeof answer !== 'string' && (answer.status === 429 || answer.status === 503) ? retryAfterS(answer.headers, now) : undefined;
  return asked === undefined ? jittered : Math.max(jittered, asked * (1 + random / 10));
}
