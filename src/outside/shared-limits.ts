import type pg from 'pg';
import { RateLimiterPostgres, RateLimiterRedis, RateLimiterRes, type RateLimiterStoreAbstract } from 'rate-limiter-flexible';
import type { Allowances, Limits, Shared, SharedLimits, Standing } from '../broker/limits.ts';
import { windowS } from './limits.ts';
import { rateCountsTable } from './postgres/schema.ts';
import type { Redis } from './redis.ts';

/** Where all processes count together. */
export type Counter = { kind: 'redis'; redis: Redis } | { kind: 'postgres'; pool: pg.Pool };

/** After a failure the counter is left alone for so long: what hangs must not hold up every call. */
const restMs = 5_000;

/** One counting: a name that has used up what it may is refused from this process's memory, until its window is over. */
function open(counter: Counter, what: Shared, points: number): RateLimiterStoreAbstract {
  const usual = { keyPrefix: `grantry-limit:${what}`, points, duration: windowS, inMemoryBlockOnConsumed: points };
  return counter.kind === 'redis'
    ? new RateLimiterRedis({ ...usual, storeClient: counter.redis })
    : // The table is our migration's, and the sweep empties it.
      new RateLimiterPostgres({
        ...usual,
        storeClient: counter.pool,
        storeType: 'pool',
        tableName: rateCountsTable,
        tableCreated: true,
        clearExpiredByTimeout: false,
      });
}

/**
 * Fixed windows of a minute in Redis or Postgres, each beginning with the first of its name. While that place is away or slow, `inMemory`
 * counts for this process alone; `onAway` hears why.
 */
export function createSharedLimits({
  counter,
  allowances,
  inMemory,
  elapsedMs,
  onAway,
}: {
  counter: Counter;
  allowances: Allowances;
  inMemory: Pick<Limits, 'take'>;
  elapsedMs: () => number;
  onAway: (error: unknown) => void;
}): SharedLimits {
  const shared: readonly Shared[] = ['calls', 'wrong_keys', 'links'];
  const limiters = new Map(shared.map((what) => [what, open(counter, what, allowances[what])]));
  const standingOf = (kind: Standing['kind'], what: Shared, { remainingPoints, msBeforeNext }: RateLimiterRes): Standing => ({
    kind,
    allowance: allowances[what],
    windowS,
    left: remainingPoints,
    resetS: Math.max(1, Math.ceil(msBeforeNext / 1_000)),
  });
  let restsUntilMs = Number.NEGATIVE_INFINITY;
  return {
    async take(what, who): Promise<Standing> {
      const limiter = limiters.get(what);
      if (limiter === undefined || elapsedMs() < restsUntilMs) return inMemory.take(what, who);
      try {
        return standingOf('allowed', what, await limiter.consume(who));
      } catch (reason) {
        if (reason instanceof RateLimiterRes) return standingOf('refused', what, reason);
        // Those that asked together fail together: it is told once.
        if (elapsedMs() >= restsUntilMs) onAway(reason);
        restsUntilMs = elapsedMs() + restMs;
        return inMemory.take(what, who);
      }
    },
  };
}
