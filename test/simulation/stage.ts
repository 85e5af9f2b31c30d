import type { Chance } from './chance.ts';
import type { Ledger } from './ledger.ts';
import type { MemoryStore } from './memory-store.ts';
import type { Tables } from './memory-tables.ts';
import type { Provider } from './provider.ts';
import type { DoorFault, Meanwhile, Outage, Scenario, StoreFault } from './scenario.ts';
import type { Life, VirtualTime } from './virtual-time.ts';

/** Everything that the processes of one simulation share. */
export type Stage = {
  scenario: Scenario;
  time: VirtualTime;
  chance: Chance;
  ledger: Ledger;
  store: MemoryStore & { tables: Tables };
  /** Whose statement Postgres carries out right now. */
  caller: Life | undefined;
  postgres: { away: undefined | { how: 'stopped' | 'silent'; untilMs: number }; awaySinceMs: number; startedMs: number };
  providers: Provider[];
  outages: { host: string; how: Outage; fromMs: number; toMs: number }[];
  /** The fault of this call, if it has one. */
  storeFault(call: string): StoreFault['how'] | undefined;
  doorFault(): DoorFault['how'] | undefined;
  /** Ends a process at once; it starts again after a while. */
  crash(life: Life, downMs?: number): void;
  restart: (life: Life) => void;
  /** Somebody else does something to a connection that is being refreshed. */
  meanwhile: (what: Meanwhile, connection: string, refreshing: Life) => void;
  /** Postgres is away from now on. */
  leave(how: 'stopped' | 'silent', forMs: number): void;
  /** Postgres is back: whoever was refused comes again at once. */
  back: () => void;
  /** Calls of a notification, by process. */
  listeners: Set<(connectionId: string) => void>;
  /** Undefined when nobody looks. */
  trace: ((who: string, what: string) => void) | undefined;
};
