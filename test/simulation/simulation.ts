import { storeCredential } from '../../src/broker/credentials.ts';
import type { ConnectionRecord } from '../../src/broker/records.ts';
import { Credential } from '../../src/protocol/credential.ts';
import * as acting from './acting.ts';
import { type Machine, type Running, startProcess } from './broker-process.ts';
import { createChance } from './chance.ts';
import { definitions, hostOf } from './definition.ts';
import { createLedger, epochMs } from './ledger.ts';
import { project } from './link.ts';
import { createMemoryStore } from './memory-store.ts';
import { createProvider, type Provider } from './provider.ts';
import { createQueue, type Queue } from './queue.ts';
import { quietViolations } from './quiet.ts';
import { type Act, chaosMs, type Scenario } from './scenario.ts';
import { openText } from './seal.ts';
import type { Stage } from './stage.ts';
import { withVirtualTimers } from './timers.ts';
import type { Violation } from './violations.ts';
import { createVirtualTime } from './virtual-time.ts';

/** One simulation: chaos for some minutes, then quiet until everything is well, or it is clear that it never will be. */

export type Outcome = { violations: readonly Violation[]; events: number };

const sweepEveryMs = 10_000;
const holdS = 30;
/** Longer than the longest pauses that the broker makes: fifteen minutes of backoff, and an hour that a provider asked for is not asked here. */
const quietMs = 30 * 60_000;
const quietStepMs = 30_000;
/** A caller's patience, and what the line to Postgres may add to it. */
const callMs = 90_000;

type Connection = { id: string; provider: Provider };
type Call = { life: Running['life']; startMs: number; endMs: number | undefined };

export function simulate(scenario: Scenario, trace?: Stage['trace']): Promise<Outcome> {
  const stage = createStage(scenario, trace);
  return withVirtualTimers(stage.time, () => play(stage));
}

async function play(stage: Stage): Promise<Outcome> {
  const { scenario, trace } = stage;
  const { time, ledger } = stage;
  const connections = await begin(stage);
  const machines = machinesOf(scenario);
  const running = new Map<Machine, Running>(machines.map((machine) => [machine, startProcess(stage, machine)]));
  const workers = () => machines.filter(({ role }) => role === 'worker').map((machine) => running.get(machine)!);
  const queue = createQueue(stage, workers);
  const calls: Call[] = [];

  function start(machine: Machine): void {
    if (running.get(machine)!.life.alive) return;
    if (stage.postgres.away !== undefined) return void time.after(1_000, () => start(machine));
    running.set(machine, startProcess(stage, machine));
    trace?.(machine.name, 'starts again');
    if (machine.role === 'worker') sweep(stage, running.get(machine)!, queue);
  }
  function called(process: Running, work: Promise<unknown>): void {
    const call: Call = { life: process.life, startMs: time.nowMs(), endMs: undefined };
    calls.push(call);
    const end = () => {
      call.endMs = time.nowMs();
    };
    work.then(end, (error: unknown) => {
      trace?.(process.life.name, `${String(error)}`);
      end();
    });
  }

  stage.restart = (life) => {
    for (const [machine, process] of running) if (process.life === life) start(machine);
  };
  for (const worker of workers()) sweep(stage, worker, queue);
  const scene = { stage, connections, machines, running, queue, called };
  stage.meanwhile = (what, id, refreshing) => {
    if (what === 'pause') {
      refreshing.pausedUntilMs = time.nowMs() + 60_000;
      return;
    }
    const act: Act = { atMs: time.nowMs(), kind: what, process: Math.floor(stage.chance.below(machines.length)), connection: indexOf(id) };
    time.after(0, () => perform(scene, act));
  };
  stage.back = () => {
    for (const process of running.values()) {
      if (!process.life.alive || process.life.pausedUntilMs > time.nowMs()) continue;
      for (const { id } of connections.slice(0, 2)) called(process, acting.ask(stage, process, id, { minTtlS: 60, force: false }));
    }
  };
  for (const each of scenario.acts) time.after(each.atMs, () => perform(scene, each));
  await time.runUntil(chaosMs + 60_000);

  // Whoever is down starts again, and what was wrong is mended.
  trace?.('', '--- quiet ---');
  stage.storeFault = () => undefined;
  stage.doorFault = () => undefined;
  for (const machine of machines) start(machine);
  let left: readonly Violation[] = [];
  for (const endMs = time.nowMs() + quietMs; time.nowMs() < endMs; ) {
    await time.runUntil(time.nowMs() + quietStepMs);
    left = quietViolations(stage, connections);
    if (left.length === 0 || ledger.violations.length > 0) break;
  }
  for (const { life, startMs, endMs } of calls) {
    const lastedMs = (endMs ?? (life.alive ? time.nowMs() : startMs)) - startMs;
    const pausedMs = life.pausedUntilMs > startMs ? life.pausedUntilMs - startMs : 0;
    if (lastedMs > callMs + pausedMs) ledger.violated('callers_end', `a call of ${startMs} ms lasted ${lastedMs} ms`);
  }
  return { violations: [...ledger.violations, ...left], events: time.eventsRun() };
}

function createStage(scenario: Scenario, trace: Stage['trace']): Stage {
  const time = createVirtualTime();
  const chance = createChance(scenario.seed);
  const { nowMs } = time;
  const { lifetimeS, refusals } = scenario;
  const providers = scenario.kinds.map((kind) => createProvider({ host: hostOf(kind), kind, lifetimeS, refusals, nowMs }));
  const at = trace && ((who: string, what: string) => trace(`${(nowMs() / 1000).toFixed(3)} ${who}`, what));
  const ledger = createLedger({
    nowMs,
    secretsOf: ({ credential_sealed }) => (credential_sealed === null ? undefined : JSON.parse(openText(credential_sealed))),
    providerOf: (id) => providers[indexOf(id) % providers.length]!,
  });
  const calls = new Map<string, number>();
  const counted = (name: string): number => {
    const nth = calls.get(name) ?? 0;
    calls.set(name, nth + 1);
    return nth;
  };
  const stage: Stage = {
    scenario,
    time,
    chance,
    ledger,
    caller: undefined,
    postgres: { away: undefined, awaySinceMs: -1, startedMs: -3_600_000 },
    providers,
    outages: [],
    listeners: new Set(),
    trace: at,
    store: createMemoryStore({
      now: () => new Date(epochMs + Math.floor(nowMs())),
      startedAt: () => new Date(epochMs + stage.postgres.startedMs),
      notify: (id) => {
        for (const hear of stage.listeners) hear(id);
      },
      watch: (step) => {
        at?.(
          'postgres',
          `${step.cause} ${step.after.id} v${step.after.token_version} ${step.after.status} ${step.events.map(({ type }) => type).join(' ')}`,
        );
        ledger.step(step, stage.caller);
      },
    }),
    storeFault(call) {
      const [any, nth] = [counted('any'), counted(`call ${call}`)];
      return scenario.storeFaults.find((fault) => (fault.call === 'any' ? fault.nth === any : fault.call === call && fault.nth === nth))?.how;
    },
    doorFault() {
      const nth = counted('door');
      return scenario.doorFaults.find((fault) => fault.nth === nth)?.how;
    },
    crash(life, downMs = 1_000 + chance.below(30_000)) {
      if (!life.alive) return;
      at?.(life.name, 'CRASHES');
      life.alive = false;
      ledger.died(life);
      time.after(downMs, () => stage.restart(life));
    },
    restart() {},
    meanwhile() {},
    back() {},
    leave(how, forMs) {
      const { postgres } = stage;
      if (postgres.away !== undefined) return;
      at?.('postgres', `is away (${how})`);
      postgres.away = { how, untilMs: nowMs() + forMs };
      postgres.awaySinceMs = nowMs();
      time.after(forMs, () => {
        at?.('postgres', 'is back');
        postgres.away = undefined;
        if (how === 'stopped') postgres.startedMs = nowMs();
        stage.back();
      });
    },
  };
  return stage;
}

const indexOf = (id: string): number => Number(id.slice('con_'.length));

function machinesOf({ webs, workers }: Scenario): Machine[] {
  const machine =
    (role: Machine['role']) =>
    (_: unknown, index: number): Machine => ({ name: `${role}${index}`, role, disk: new Map(), clockOffMs: 0 });
  return [...Array.from({ length: webs }, machine('web')), ...Array.from({ length: workers }, machine('worker'))];
}

/** Everybody is connected, some a while ago. */
async function begin(stage: Stage): Promise<Connection[]> {
  const { scenario, chance, store, ledger, providers } = stage;
  for (const { host, kind } of providers) {
    await store.integrations.insert({
      project_id: project,
      id: host,
      provider_id: definitions.get(kind)!.id,
      method: 'web',
      client_id: 'client',
      client_secret_sealed: `${project}/integrations/${host}/client_secret/1\nsecret-0`,
      further_secrets_sealed: null,
      private_key_sealed: null,
      inputs_sealed: null,
      secret_version: 1,
      scopes: [],
      callback: 'shared',
      context: 'c',
      verification: 'browser',
      probe_unused_after_s: null,
    });
  }
  const connections: Connection[] = [];
  for (let index = 0; index < scenario.connections; index += 1) {
    const id = `con_${index}`;
    const provider = providers[index % providers.length]!;
    connections.push({ id, provider });
    ledger.begin(await connect(stage, id, provider, chance.below(provider.lifetimeS * 0.8)));
  }
  return connections;
}

async function connect({ store, chance }: Stage, id: string, provider: Provider, ageS: number): Promise<ConnectionRecord> {
  const method = definitions.get(provider.kind)!.methods.web!;
  const lifetimeS = Math.round(provider.lifetimeS - ageS);
  const credential = new Credential({
    kind: 'oauth2',
    token_type: 'bearer',
    ...provider.authorize(id),
    scopes: [],
    lifetimeS,
    refreshLifetimeS: null,
    extras: {},
  });
  const world = { seal: { seal: async (_: unknown, text: string) => `${project}/connections/${id}/credential/1\n${text}` }, random: chance.bytes };
  const stored = await storeCredential(
    world as never,
    { project_id: project, id, token_version: 1 },
    { method, credential, ageMs: () => 0, requested: [] },
  );
  const row = await store.connections.insert(
    {
      id,
      project_id: project,
      integration_id: provider.host,
      provider_id: definitions.get(provider.kind)!.id,
      method: 'web',
      end_user: { id: 'u1' },
      requested_scopes: [],
      inputs_sealed: null,
      metadata: {},
      account: null,
      ...stored,
    },
    undefined,
    [],
  );
  return row!;
}

/** Brings what is due to the queue, now and then. */
function sweep({ time, chance }: Stage, { life, world }: Running, queue: Queue): void {
  const once = async (): Promise<void> => {
    await world.store.refreshes.due(50, holdS).then(queue.add, () => {});
    time.after(sweepEveryMs, () => void once(), life);
  };
  time.after(chance.below(sweepEveryMs), () => void once(), life);
}

type Scene = {
  stage: Stage;
  connections: Connection[];
  machines: Machine[];
  running: Map<Machine, Running>;
  queue: Queue;
  called(process: Running, work: Promise<unknown>): void;
};

/** Does what the scenario says, if who should do it is there. */
function perform({ stage, connections, machines, running, queue, called }: Scene, act: Act): void {
  const { time, trace } = stage;
  trace?.('', JSON.stringify(act));
  const nowMs = time.nowMs();
  const machine = machines['process' in act ? act.process % machines.length : 0]!;
  const process = running.get(machine)!;
  const isAble = process.life.alive && process.life.pausedUntilMs <= nowMs;
  const connection = connections['connection' in act ? act.connection % connections.length : 0]!;
  const provider = stage.providers['provider' in act ? act.provider % stage.providers.length : 0]!;
  const { life } = process;
  switch (act.kind) {
    case 'ask':
      for (let caller = 0; isAble && caller < act.callers; caller += 1) called(process, acting.ask(stage, process, connection.id, act));
      return;
    case 'reconnect':
      return isAble ? called(process, acting.reconnect(stage, process, connection)) : undefined;
    case 'patch':
      return isAble ? called(process, acting.patch(stage, process, connection.id)) : undefined;
    case 'delete':
      return isAble ? called(process, acting.remove(stage, process, connection)) : undefined;
    case 'stop':
      return isAble ? called(process, acting.stop(stage, process, connection)) : undefined;
    case 'end_grant': {
      const row = stage.store.tables.connections.get(connection.id);
      const grant = row?.credential_sealed ? connection.provider.grantOf(JSON.parse(openText(row.credential_sealed)).access_token) : undefined;
      return grant && connection.provider.endGrant(grant, 'by_user');
    }
    case 'change_secret': {
      provider.secret = `secret-${Math.round(nowMs)}`;
      const mend = () => {
        const able = machines.map((each) => running.get(each)!).find((each) => each.life.alive && each.life.pausedUntilMs <= time.nowMs());
        // Whoever mends it sees whether it is mended.
        if (openText(stage.store.tables.integrations.get(provider.host)?.client_secret_sealed ?? '') === provider.secret) return;
        if (able !== undefined) acting.mendSecret(able.world, provider).catch(() => {});
        time.after(5_000, mend);
      };
      return void time.after(act.mendedAfterMs, mend);
    }
    case 'crash':
      return stage.crash(life, act.downMs);
    case 'pause':
      life.pausedUntilMs = Math.max(life.pausedUntilMs, nowMs + act.forMs);
      return;
    case 'clock':
      machine.clockOffMs = act.offsetS * 1000;
      return;
    case 'wipe_queue':
      return queue.wipe();
    case 'postgres_away':
      return stage.leave(act.how, act.forMs);
    case 'provider_down':
      stage.outages.push({ host: provider.host, how: act.how, fromMs: nowMs, toMs: nowMs + act.forMs });
      return void time.after(act.forMs, () => {
        const together = connections.filter((each) => each.provider === provider).length;
        stage.ledger.wasDown(provider.host, nowMs, nowMs + act.forMs, together);
      });
  }
}
