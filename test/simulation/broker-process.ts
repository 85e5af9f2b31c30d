import { createHostHealth } from '../../src/broker/host-health.ts';
import { silentMeter } from '../../src/broker/meter.ts';
import { saveSpilled } from '../../src/broker/refresh-outcome.ts';
import type { Spill, Spilled } from '../../src/broker/spill.ts';
import type { Store } from '../../src/broker/store.ts';
import type { Log, Wakeups, World } from '../../src/broker/world.ts';
import { createTurns, type Turns } from '../../src/jobs/turns.ts';
import { shipped } from './definition.ts';
import { epochMs } from './ledger.ts';
import { overLine } from './postgres-line.ts';
import { createSimulatedDoor } from './provider-line.ts';
import { createPlainSeal } from './seal.ts';
import type { Stage } from './stage.ts';
import type { Life } from './virtual-time.ts';

/** One start of one process of the broker: its world, and what it does by itself. */
export type Running = { life: Life; world: World; turns: Turns };

/** A place where a process runs, and starts again: what is on its disk stays. */
export type Machine = { readonly name: string; readonly role: 'web' | 'worker'; readonly disk: Map<string, Spilled>; clockOffMs: number };

const never = new Promise<never>(() => {});
const restoreEveryMs = 60_000;
/** How many refreshes a worker has under way at most. */
const slots = 6;

/** A group that nobody here should ask anything of. */
const absent = <Group extends object>(name: string): Group =>
  new Proxy({} as Group, {
    get(_, method) {
      throw new Error(`${name}.${String(method)} is not part of the simulation`);
    },
  });

function storeOf(stage: Stage, life: Life): Store {
  const over = <Group extends object>(group: Group): Group => overLine(stage, life, group);
  const { store } = stage;
  // What the memory store leaves out is what nothing here calls.
  return {
    refreshes: over(store.refreshes),
    connections: over(store.connections) as Store['connections'],
    tokens: over(store.tokens) as Store['tokens'],
    integrations: over(store.integrations) as Store['integrations'],
    providers: over(store.providers) as Store['providers'],
    links: over(store.links) as Store['links'],
    events: over(store.events),
    revocations: over(store.revocations) as Store['revocations'],
    ...Object.fromEntries(
      [
        'projects',
        'apiKeys',
        'dataKeys',
        'keyUpkeep',
        'rotations',
        'sealedRows',
        'damagedSecrets',
        'ledger',
        'webhooks',
        'probes',
        'idempotency',
        'housekeeping',
      ].map((name) => [name, absent(name)]),
    ),
    ping: async () => {},
  } as Store;
}

function spillOf({ time, ledger, scenario, trace }: Stage, life: Life, disk: Map<string, Spilled>): Spill {
  const nameOf = ({ connection_id, token_version }: Pick<Spilled, 'connection_id' | 'token_version'>) => `${connection_id}-${token_version}`;
  const written = async (write: () => void): Promise<void> => {
    await (life.alive ? time.sleep(3, life) : never);
    write();
  };
  return {
    async keep(record) {
      if (scenario.disk === 'full') {
        ledger.spilled(record.connection_id, record.token_version, 'no_room');
        throw new Error('ENOSPC');
      }
      // As a file: nothing of it stays in memory.
      const text = JSON.stringify(record);
      await written(() => {
        trace?.(life.name, `spills ${nameOf(record)}`);
        disk.set(nameOf(record), JSON.parse(text));
        ledger.spilled(record.connection_id, record.token_version, 'kept');
      });
    },
    drop: (record) =>
      written(() => {
        if (disk.delete(nameOf(record))) ledger.spilled(record.connection_id, record.token_version, 'dropped');
      }),
    list: () => (life.alive ? Promise.resolve([...disk.values()]) : never),
  };
}

function wakeupsOf({ time, chance, scenario, listeners }: Stage, life: Life): Wakeups {
  return {
    wait: (id, timeoutMs) =>
      new Promise((resolve) => {
        const done = () => {
          listeners.delete(hear);
          resolve();
        };
        const hear = (connection: string) => {
          if (connection === id && scenario.wakeups === 'arrive') time.after(chance.below(5), done, life);
        };
        listeners.add(hear);
        time.after(timeoutMs, done, life);
      }),
    onWebhooks: () => () => {},
  };
}

const free = { kind: 'allowed', allowance: 1, windowS: 60, left: 1, resetS: 60 } as const;

const notHere = async () => {
  throw new Error('Nobody changes keys here.');
};
const noKeys: World['keys'] = {
  provider: { kind: 'ring', name: 'none' },
  ownProjects: new Set(),
  isForsaken: () => false,
  masterKey: notHere,
  fresh: notHere,
  opens: notHere,
  rewrapped: notHere,
  canary: notHere,
  kidOf: () => '',
  settleMs: 0,
};

/** Starts a process on a machine: first it saves what the one before has left. */
export function startProcess(stage: Stage, machine: Machine): Running {
  const { time, chance, trace } = stage;
  const life: Life = { name: machine.name, alive: true, pausedUntilMs: 0 };
  const write = (level: string) => (fields: Record<string, unknown>, message: string) =>
    trace?.(life.name, `${level}: ${message} ${JSON.stringify(fields)}`);
  const log: Log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  const world: World = {
    publicUrl: 'https://broker.example.com',
    // Checking the hosts would cost more than all the rest.
    allowPrivateHosts: true,
    store: storeOf(stage, life),
    seal: createPlainSeal(),
    keys: noKeys,
    door: createSimulatedDoor(stage, life),
    shipped,
    shippedText: async () => '',
    diagnose: async () => [],
    wakeups: wakeupsOf(stage, life),
    hosts: createHostHealth({ elapsedMs: time.nowMs, random: () => chance.below(1), meter: silentMeter }),
    spill: spillOf(stage, life, machine.disk),
    uses: { note() {} },
    keyUses: { note() {} },
    audit: { begin: async () => '', write: async () => {}, forget: async () => {}, count() {}, chain: async () => {} },
    limits: { take: () => free, standing: () => free, exhaust() {} },
    sharedLimits: { take: async () => free },
    mostPendingLinks: Number.MAX_SAFE_INTEGER,
    meter: silentMeter,
    log,
    now: () => new Date(epochMs + time.nowMs() + machine.clockOffMs),
    elapsedMs: time.nowMs,
    sleep: (ms, signal) => time.sleep(ms, life, signal),
    random: chance.bytes,
  };
  const restore = async (): Promise<void> => {
    await saveSpilled(world).catch(() => {});
    time.after(restoreEveryMs, () => void restore(), life);
  };
  void restore();
  return { life, world, turns: createTurns({ slots, elapsedMs: time.nowMs, sleep: world.sleep }) };
}
