import type { ErrorCode } from '../protocol/errors.ts';

/** What is counted. Labels are few: ids of shipped providers, codes, names of queues; everything else is one word. */
export type Meter = {
  /** A refresh that was sent has ended. `provider`: its id, or `own` for a project's own definition. */
  refreshed(refresh: { provider: string; outcome: 'refreshed' | ErrorCode; ms: number }): void;
  /** A refresh was put off before anything was sent. */
  putOff(why: 'host_busy' | 'host_down' | 'misconfigured' | 'keys_away'): void;
  /** A caller waited for the refresh of somebody else. */
  leaseWaited(ms: number): void;
  breaker(host: string, state: BreakerState): void;
  delivered(webhook: { outcome: 'delivered' | 'retried' | 'failed' | 'disabled'; ms: number }): void;
  /** A request of the token path was answered. */
  tokenAnswered(status: number, ms: number): void;
  jobEnded(queue: string, outcome: 'done' | 'failed', ms: number): void;
  /** A stored secret of that table did not open. */
  unopened(table: string): void;
};

export type BreakerState = 'closed' | 'open' | 'half_open';

/** Counts nothing. */
export const silentMeter: Meter = {
  refreshed() {},
  putOff() {},
  leaseWaited() {},
  breaker() {},
  delivered() {},
  tokenAnswered() {},
  jobEnded() {},
  unopened() {},
};
