import type { Meter } from './meter.ts';

/**
 * A circuit breaker per host of a provider: after some failures in a row the host is left alone for a while, then one request
 * tries it. What one process has seen is enough; a host is nobody else's business.
 */

/** Told once, when the request has ended: `answered` by the provider whatever it said; `failed`: it was away, or asked to wait; `unused`: nothing was sent. */
export type Ticket = { end(how: 'answered' | 'failed' | 'unused', retryAfterS?: number): void };

export type HostHealth = {
  /** A ticket for one request, or how long to wait. */
  ask(host: string): { kind: 'go'; ticket: Ticket } | { kind: 'wait'; ms: number };
};

/** So many failures in a row open the breaker. */
const patience = 5;
const firstPauseMs = 5_000;
const longestPauseMs = 120_000;
/** A host that is asked for again so long after its last failure begins anew. */
const memoryMs = 600_000;
/** The trial of somebody who never reported is over; longer than the door's deadline. */
const trialMs = 15_000;
/** So many hosts are remembered at most; those without failures are not. */
const mostHosts = 10_000;

type Host = { failures: number; opened: number; failedAtMs: number; openUntilMs: number; trialUntilMs: number };

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
  const hosts = new Map<string, Host>();

  function known(name: string, nowMs: number): Host {
    const host = hosts.get(name);
    if (host !== undefined && nowMs - host.failedAtMs < memoryMs) return host;
    return { failures: 0, opened: 0, failedAtMs: nowMs, openUntilMs: 0, trialUntilMs: 0 };
  }

  function failed(name: string, retryAfterS: number): void {
    const nowMs = elapsedMs();
    const host = known(name, nowMs);
    hosts.delete(name);
    hosts.set(name, host);
    host.failures += 1;
    host.failedAtMs = nowMs;
    for (const oldest of hosts.keys()) {
      if (hosts.size <= mostHosts) break;
      hosts.delete(oldest);
    }
    if (host.failures < patience) return;
    // Those that were under way when it opened say nothing new.
    if (nowMs < host.openUntilMs) return;
    const boundMs = Math.min(longestPauseMs, firstPauseMs * 2 ** host.opened);
    const toldMs = Math.min(longestPauseMs, retryAfterS * 1000);
    host.opened += 1;
    host.openUntilMs = nowMs + Math.max(toldMs, boundMs * (0.5 + random() / 2));
    host.trialUntilMs = 0;
    meter.breaker(name, 'open');
  }

  function answered(name: string): void {
    const host = hosts.get(name);
    if (host === undefined) return;
    hosts.delete(name);
    if (host.opened > 0) meter.breaker(name, 'closed');
  }

  function ticketOf(name: string, trialUntilMs?: number): Ticket {
    let ended = false;
    return {
      end(how, retryAfterS = 0) {
        if (ended) return;
        ended = true;
        if (how === 'answered') return answered(name);
        if (how === 'failed') return failed(name, retryAfterS);
        const host = hosts.get(name);
        // A trial that took too long is over, and the next one is somebody else's.
        if (host !== undefined && host.trialUntilMs === trialUntilMs) host.trialUntilMs = 0;
      },
    };
  }

  return {
    ask(name) {
      const nowMs = elapsedMs();
      const host = hosts.get(name);
      if (host === undefined || host.failures < patience) return { kind: 'go', ticket: ticketOf(name) };
      const waitMs = Math.max(host.openUntilMs, host.trialUntilMs) - nowMs;
      if (waitMs > 0) return { kind: 'wait', ms: waitMs };
      host.trialUntilMs = nowMs + trialMs;
      meter.breaker(name, 'half_open');
      return { kind: 'go', ticket: ticketOf(name, host.trialUntilMs) };
    },
  };
}
