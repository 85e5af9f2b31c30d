import fc from 'fast-check';
import type { Kind, Refusals } from './provider.ts';

/** What happens in a simulation besides the broker's own doings. Everything is data, so that fast-check can make a failing one smaller. */

export type Act = { atMs: number } & (
  | { kind: 'ask'; process: number; connection: number; minTtlS: number; force: boolean; callers: number }
  | { kind: 'reconnect'; process: number; connection: number }
  | { kind: 'patch'; process: number; connection: number }
  | { kind: 'delete'; process: number; connection: number }
  | { kind: 'stop'; process: number; connection: number }
  | { kind: 'end_grant'; connection: number }
  | { kind: 'change_secret'; provider: number; mendedAfterMs: number }
  | { kind: 'crash'; process: number; downMs: number }
  | { kind: 'pause'; process: number; forMs: number }
  | { kind: 'clock'; process: number; offsetS: number }
  | { kind: 'wipe_queue' }
  | { kind: 'postgres_away'; how: 'stopped' | 'silent'; forMs: number }
  | { kind: 'provider_down'; provider: number; how: Outage; forMs: number }
);
/** `refusing`: 503; `busy`: 429 with Retry-After; `silent`: what arrives is lost; `unreachable`: nothing arrives. */
export type Outage = 'refusing' | 'busy' | 'silent' | 'unreachable';

/**
 * At the n-th such call of the whole simulation. `before`: it fails without effect; `after`: it has its effect, and the answer is lost;
 * `outage`: Postgres stops at this moment, for a while; `outage_and_crash`: and the process dies of something two seconds later.
 */
export type StoreFault = {
  call: 'any' | 'read' | 'claim' | 'commit' | 'fail';
  nth: number;
  how: 'before' | 'after' | 'late' | 'skipped' | 'crash_before' | 'crash_after' | 'outage' | 'outage_and_crash';
};
/** What comes in between while a request is under way. */
export type Meanwhile = 'delete' | 'stop' | 'reconnect' | 'patch' | 'pause';

/** At the n-th request. `lost_answer` and `garbage`: it was carried out; `late`: it arrives when the door has given up. */
export type DoorFault = {
  nth: number;
  how:
    | Meanwhile
    | 'unreachable'
    | 'lost_request'
    | 'lost_answer'
    | 'slow'
    | 'late'
    | 'refused_after'
    | 'garbage'
    | 'crash_after_send'
    | 'crash_at_answer';
};

export type Scenario = {
  seed: number;
  kinds: Kind[];
  refusals: Refusals;
  lifetimeS: number;
  connections: number;
  webs: number;
  workers: number;
  wakeups: 'arrive' | 'get_lost';
  disk: 'works' | 'full';
  queue: 'orderly' | 'careless';
  acts: Act[];
  storeFaults: StoreFault[];
  doorFaults: DoorFault[];
};

/** So long things happen. */
export const chaosMs = 120_000;

const process = fc.nat(3);
const connection = fc.nat(2);
const at = { atMs: fc.nat(chaosMs) };
const forMs = fc.oneof(fc.integer({ min: 100, max: 10_000 }), fc.integer({ min: 10_000, max: 90_000 }));

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      ...at,
      kind: fc.constant('ask' as const),
      process,
      connection,
      minTtlS: fc.constantFrom(60, 0, 30, 300, 3600),
      force: fc.boolean(),
      callers: fc.constantFrom(1, 1, 3),
    }),
  },
  { weight: 2, arbitrary: fc.record({ ...at, kind: fc.constant('reconnect' as const), process, connection }) },
  { weight: 1, arbitrary: fc.record({ ...at, kind: fc.constant('patch' as const), process, connection }) },
  { weight: 1, arbitrary: fc.record({ ...at, kind: fc.constantFrom('delete' as const, 'stop' as const), process, connection }) },
  { weight: 1, arbitrary: fc.record({ ...at, kind: fc.constant('end_grant' as const), connection }) },
  { weight: 1, arbitrary: fc.record({ ...at, kind: fc.constant('change_secret' as const), provider: fc.nat(1), mendedAfterMs: forMs }) },
  { weight: 2, arbitrary: fc.record({ ...at, kind: fc.constant('crash' as const), process, downMs: forMs }) },
  { weight: 1, arbitrary: fc.record({ ...at, kind: fc.constant('pause' as const), process, forMs }) },
  { weight: 1, arbitrary: fc.record({ ...at, kind: fc.constant('clock' as const), process, offsetS: fc.integer({ min: -3600, max: 3600 }) }) },
  { weight: 1, arbitrary: fc.record({ ...at, kind: fc.constant('wipe_queue' as const) }) },
  {
    weight: 2,
    arbitrary: fc.oneof(
      fc.record({ ...at, kind: fc.constant('postgres_away' as const), how: fc.constant('stopped' as const), forMs }),
      // Longer than a lease less the door's deadline, it could not be told from a process that has died.
      fc.record({
        ...at,
        kind: fc.constant('postgres_away' as const),
        how: fc.constant('silent' as const),
        forMs: fc.integer({ min: 100, max: 25_000 }),
      }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      ...at,
      kind: fc.constant('provider_down' as const),
      provider: fc.nat(1),
      how: fc.constantFrom<Outage[]>('refusing', 'busy', 'silent', 'unreachable'),
      forMs: fc.oneof(forMs, fc.integer({ min: 60_000, max: 180_000 })),
    }),
  },
);

const storeFault: fc.Arbitrary<StoreFault> = fc.oneof(
  fc.record({
    call: fc.constantFrom('claim' as const, 'commit' as const, 'fail' as const, 'read' as const),
    nth: fc.nat(6),
    how: fc.constantFrom('before' as const, 'after' as const, 'late' as const, 'crash_before' as const, 'crash_after' as const),
  }),
  fc.record({
    call: fc.constantFrom('commit' as const, 'commit' as const, 'fail' as const),
    nth: fc.nat(6),
    how: fc.constantFrom('outage' as const, 'outage_and_crash' as const),
  }),
  fc.record({ call: fc.constant('claim' as const), nth: fc.nat(6), how: fc.constant('skipped' as const) }),
  fc.record({ call: fc.constant('any' as const), nth: fc.nat(100), how: fc.constantFrom('before' as const, 'after' as const, 'late' as const) }),
);

const doorFault: fc.Arbitrary<DoorFault> = fc.record({
  nth: fc.nat(8),
  how: fc.constantFrom<DoorFault['how'][]>(
    'delete',
    'stop',
    'reconnect',
    'patch',
    'pause',
    'unreachable',
    'lost_request',
    'lost_answer',
    'slow',
    'late',
    'refused_after',
    'garbage',
    'crash_after_send',
    'crash_at_answer',
  ),
});

const few = <T>(each: fc.Arbitrary<T>, maxLength: number): fc.Arbitrary<T[]> => fc.array(each, { maxLength, size: 'max' });

export const scenarios: fc.Arbitrary<Scenario> = fc.record({
  seed: fc.nat(0xffff),
  kinds: fc.oneof(
    { weight: 3, arbitrary: fc.constant<Kind[]>(['rotating']) },
    {
      weight: 2,
      arbitrary: fc.constantFrom<Kind[][]>(['lasting'], ['not_early'], ['rotating', 'lasting'], ['rotating', 'not_early']).map((kinds) => [...kinds]),
    },
  ),
  refusals: fc.constantFrom<Refusals[]>('named', 'named', 'bare'),
  lifetimeS: fc.constantFrom(60, 60, 120, 300),
  connections: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 3 }) }, { weight: 1, arbitrary: fc.constant(12) }),
  webs: fc.integer({ min: 1, max: 2 }),
  workers: fc.integer({ min: 1, max: 2 }),
  wakeups: fc.constantFrom('arrive' as const, 'get_lost' as const),
  disk: fc.constantFrom('works' as const, 'works' as const, 'works' as const, 'full' as const),
  queue: fc.constantFrom('orderly' as const, 'careless' as const),
  acts: few(act, 14),
  storeFaults: few(storeFault, 2),
  doorFaults: few(doorFault, 2),
});
