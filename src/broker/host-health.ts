import type { Meter } from './meter.ts';

/**
 * Circuit breakers: after some failures in a row a host of a provider is left alone for a while, then one request tries it. What one process
 * has seen is enough.
 *
 * What a project sees at a host it may have caused itself: its own definition names a path that answers with garbage, with 500, or never; its
 * registration has used up its rate (429); its tokens are what the provider stumbles over. None of that may keep another project from
 * that host. So there are two kinds:
 * - Each integration has a breaker of its own at each host, which counts whatever fails.
 * - The host has one for all whose address a shipped definition names, for that one is the same for everybody. It counts no 429, and no
 *   project makes up more than 3 of its 5 failures. A project whose trial has failed lets others go first at the next one.
 * A definition of a project's own, or an address that an input names, neither feeds the host's breaker nor asks it.
 */

/** Told once, when the request has ended. */
export type Ticket = { end(how: Ending, retryAfterS?: number): void };

/** `answered` by the provider whatever it said; `failed`: it was away; `limited`: it wants this registration to slow down; `unused`: nothing was sent. */
export type Ending = 'answered' | 'failed' | 'limited' | 'unused';

/** Who asks. `address`: whether a shipped definition names it, alike for everybody, or something that is this project's own. */
export type Caller = { host: string; project: string; integration: string; address: 'shipped' | 'own' };

export type HostHealth = {
  /** A ticket for one request, or how long to wait. */
  ask(caller: Caller): { kind: 'go'; ticket: Ticket } | { kind: 'wait'; ms: number };
  /** How long to wait before asking makes sense, in milliseconds; 0: not at all. Takes nothing. */
  waitMs(caller: Caller): number;
};

/** So many failures in a row open a breaker. */
const patience = 5;
/** Of those at the breaker of a host, so many may be one project's. */
const mostOfOneProject = 3;
const firstPauseMs = 5_000;
const longestPauseMs = 120_000;
/** A breaker that is asked for again so long after its last failure begins anew. */
const memoryMs = 600_000;
/** The trial of somebody who never reported is over; longer than the door's deadline. */
const trialMs = 15_000;
/** So many breakers are remembered at most, those of integrations among them; those without failures are not. */
const mostBreakers = 10_000;

type Name = { key: string; host: string; of: 'host' | 'integration' };
type Breaker = Name & {
  failures: number;
  /** Failures until it opened, by project. */
  failuresOf: Map<string, number>;
  opened: number;
  failedAtMs: number;
  openUntilMs: number;
  trialUntilMs: number;
  /** The project whose trial failed last. */
  failedTrialOf: string | undefined;
};

/** `random`: 0 to 1. */
export function createHostHealth({
  elapsedMs,
  random,
  meter,
}: {
  elapsedMs: () => number;
  random: () => number;
  meter: Pick<Meter, 'breaker'>;
}): HostHealth {
  const breakers = new Map<string, Breaker>();
  /** Those of each host that have opened and were not closed since. */
  const opened = new Map<string, Set<Breaker>>();

  function known(name: Name, nowMs: number): Breaker {
    const breaker = breakers.get(name.key);
    if (breaker !== undefined && nowMs - breaker.failedAtMs < memoryMs) return breaker;
    if (breaker !== undefined) forget(breaker);
    const times = { failedAtMs: nowMs, openUntilMs: 0, trialUntilMs: 0 };
    return { ...name, ...times, failures: 0, failuresOf: new Map(), opened: 0, failedTrialOf: undefined };
  }

  function forget(breaker: Breaker): void {
    breakers.delete(breaker.key);
    const others = opened.get(breaker.host);
    others?.delete(breaker);
    if (others?.size === 0) opened.delete(breaker.host);
  }

  /** A host is told of once: as badly as the worst of its breakers stands. */
  function tell(host: string): void {
    const nowMs = elapsedMs();
    const bad = [...(opened.get(host) ?? [])].filter(({ failedAtMs }) => nowMs - failedAtMs < memoryMs);
    if (bad.length === 0) return meter.breaker(host, 'closed');
    meter.breaker(host, bad.some(({ trialUntilMs }) => trialUntilMs <= nowMs) ? 'open' : 'half_open');
  }

  /** False when it says nothing new. */
  function counts(breaker: Breaker, project: string, nowMs: number): boolean {
    if (breaker.failures >= patience) {
      // Those that were under way when it opened say nothing new.
      if (nowMs < breaker.openUntilMs) return false;
      breaker.failedTrialOf = project;
      return true;
    }
    const mine = breaker.failuresOf.get(project) ?? 0;
    if (breaker.of === 'host' && mine >= mostOfOneProject) return false;
    breaker.failuresOf.set(project, mine + 1);
    breaker.failures += 1;
    return true;
  }

  function failed(name: Name, project: string, retryAfterS: number): void {
    const nowMs = elapsedMs();
    const breaker = known(name, nowMs);
    if (!counts(breaker, project, nowMs)) return;
    breaker.failedAtMs = nowMs;
    breakers.delete(name.key);
    breakers.set(name.key, breaker);
    for (const oldest of breakers.values()) {
      if (breakers.size <= mostBreakers) break;
      forget(oldest);
    }
    if (breaker.failures < patience) return;
    const boundMs = Math.min(longestPauseMs, firstPauseMs * 2 ** breaker.opened);
    const toldMs = Math.min(longestPauseMs, retryAfterS * 1000);
    breaker.opened += 1;
    breaker.openUntilMs = nowMs + Math.max(toldMs, boundMs * (0.5 + random() / 2));
    breaker.trialUntilMs = 0;
    opened.set(name.host, (opened.get(name.host) ?? new Set()).add(breaker));
    tell(name.host);
  }

  function answered({ key }: Name): void {
    const breaker = breakers.get(key);
    if (breaker === undefined) return;
    forget(breaker);
    if (breaker.opened > 0) tell(breaker.host);
  }

  /** How long to wait; at most 0: not at all. */
  function waitMs({ key }: Name, project: string, nowMs: number): number {
    const breaker = breakers.get(key);
    if (breaker === undefined || breaker.failures < patience) return 0;
    const yields = breaker.of === 'host' && breaker.failedTrialOf === project;
    return Math.max(breaker.openUntilMs + (yields ? trialMs : 0), breaker.trialUntilMs) - nowMs;
  }

  /** Takes the trial, when it comes to that; what is returned gives it back unused. */
  function begin({ key }: Name, nowMs: number): () => void {
    const breaker = breakers.get(key);
    if (breaker === undefined || breaker.failures < patience) return () => {};
    const trialUntilMs = nowMs + trialMs;
    breaker.trialUntilMs = trialUntilMs;
    tell(breaker.host);
    // A trial that took too long is over, and the next one is somebody else's.
    return () => {
      if (breaker.trialUntilMs === trialUntilMs) breaker.trialUntilMs = 0;
    };
  }

  function judge(name: Name, { project }: Caller, told: { how: Ending; retryAfterS: number; unused: () => void }): void {
    if (told.how === 'answered') return answered(name);
    if (told.how === 'unused' || (told.how === 'limited' && name.of === 'host')) return told.unused();
    failed(name, project, told.retryAfterS);
  }

  const longestWaitMs = (caller: Caller, nowMs: number): number => Math.max(0, ...namesOf(caller).map((name) => waitMs(name, caller.project, nowMs)));

  return {
    waitMs: (caller) => longestWaitMs(caller, elapsedMs()),
    ask(caller) {
      const nowMs = elapsedMs();
      const names = namesOf(caller);
      const ms = longestWaitMs(caller, nowMs);
      if (ms > 0) return { kind: 'wait', ms };
      const begun = names.map((name) => ({ name, unused: begin(name, nowMs) }));
      let ended = false;
      const ticket: Ticket = {
        end(how, retryAfterS = 0) {
          if (ended) return;
          ended = true;
          for (const { name, unused } of begun) judge(name, caller, { how, retryAfterS, unused });
        },
      };
      return { kind: 'go', ticket };
    },
  };
}

/** The breakers that somebody has to do with. */
function namesOf({ host, project, integration, address }: Caller): Name[] {
  const own: Name = { key: JSON.stringify([host, project, integration]), host, of: 'integration' };
  return address === 'own' ? [own] : [own, { key: host, host, of: 'host' }];
}
