import type { Chance } from './chance.ts';
import type { Ledger } from './ledger.ts';
import type { MemoryStore } from './memory-store.ts';
import type { Tables } from './memory-tables.ts';
import type { Provider } from './provider.ts';
import type { DoorFault, Outage, Scenario, StoreFault } from './scenario.ts';
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
  crash(life: Life): void;
  /** Calls of a notification, by process. */
  listeners: Set<(connectionId: string) => void>;
  trace: (who: string, what: string) => void;
};
