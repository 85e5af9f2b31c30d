import type { Turn } from '../broker/refresh.ts';

/**
 * Who of many hosts may be asked next: one that is slow, or has much to do, gets a share of this worker and no more. A host that is
 * alone gets three quarters, and its jobs wait here: nobody else wants the room. Beside others it gets half of what they leave, and what
 * finds no room is told when its turn will roughly be, if that is soon. Nobody waits blindly for a turn that is far away, for the host
 * may get quicker, or the others leave: a few look again every 15 s, and many one after the other, two hundred in a second or at the host's
 * own pace, so that a crowd costs no more than that, and still takes what room there is.
 */
export type Turns = { take(host: string): Promise<Turn> };

/** A host that did nothing for so long is not beside the others any more. */
const presenceMs = 2_000;
/** Of all slots, those in which jobs may wait for a turn. */
const waitingShare = 0.1;
const shortestWaitMs = 1_000;
/** A crowd may wait longer: each looks again in its place of a line that moves on so quickly. */
const fewWaitMs = 15_000;
const longestWaitMs = 300_000;
const looksPerS = 200;
/** Until a host has answered for the first time. */
const supposedLatencyMs = 1_000;

type Host = {
  running: number;
  readonly waiting: (() => void)[];
  /** Moving average of how long it takes. */
  latencyMs: number;
  /** When the turn of the next one that is sent away will be. */
  nextTurnMs: number;
  /** When the next one that is sent away may look again, if its turn is later. */
  nextLookMs: number;
  lastSeenMs: number;
};

/**
 * `slots`: how many jobs the worker has at a time. `slowMs`: the jobs of a host that takes longer than this wait elsewhere also when it is
 * alone, for others may be behind them in the queue; without it, no host is slow.
 */
export function createTurns({ slots, elapsedMs, slowMs = Infinity }: { slots: number; elapsedMs: () => number; slowMs?: number }): Turns {
  const hosts = new Map<string, Host>();
  let running = 0;
  let waiting = 0;

  function isAlone(host: Host, nowMs: number): boolean {
    let alone = true;
    for (const [name, other] of hosts) {
      if (other === host) continue;
      if (other.running > 0 || nowMs - other.lastSeenMs < presenceMs) alone = false;
      else if (other.waiting.length === 0 && other.nextTurnMs < nowMs) hosts.delete(name);
    }
    return alone;
  }

  function capOf(host: Host, nowMs: number): number {
    const cap = isAlone(host, nowMs) ? slots * 0.75 : (slots - (running - host.running)) / 2;
    return Math.max(1, Math.floor(cap));
  }

  function begin(host: Host): Turn {
    running += 1;
    host.running += 1;
    const begunMs = elapsedMs();
    let released = false;
    return {
      kind: 'go',
      release() {
        if (released) return;
        released = true;
        const nowMs = elapsedMs();
        running -= 1;
        host.running -= 1;
        host.latencyMs += (nowMs - begunMs - host.latencyMs) / 8;
        admitWaiting(nowMs);
      },
    };
  }

  /** A slot that is free may let any of the hosts grow. */
  function admitWaiting(nowMs: number): void {
    if (waiting === 0) return;
    for (const host of hosts.values()) {
      while (host.waiting.length > 0 && host.running < capOf(host, nowMs)) host.waiting.shift()?.();
    }
  }

  return {
    async take(name) {
      const nowMs = elapsedMs();
      const host = hosts.get(name) ?? { running: 0, waiting: [], latencyMs: supposedLatencyMs, nextTurnMs: 0, nextLookMs: 0, lastSeenMs: nowMs };
      hosts.set(name, host);
      host.lastSeenMs = nowMs;
      // Room that came of itself, as when another host is no longer there, is first for those who wait.
      admitWaiting(nowMs);
      const cap = capOf(host, nowMs);
      if (host.running < cap) return begin(host);
      if (waiting < slots * waitingShare || (host.latencyMs <= slowMs && isAlone(host, nowMs))) {
        waiting += 1;
        return new Promise((resolve) => {
          host.waiting.push(() => {
            waiting -= 1;
            resolve(begin(host));
          });
        });
      }
      const lastMs = nowMs + longestWaitMs;
      host.nextTurnMs = Math.min(lastMs, Math.max(nowMs + host.latencyMs, host.nextTurnMs) + host.latencyMs / cap);
      host.nextLookMs = Math.min(lastMs, Math.max(nowMs, host.nextLookMs) + Math.min(1000 / looksPerS, host.latencyMs / cap));
      const againMs = Math.min(host.nextTurnMs, Math.max(nowMs + fewWaitMs, host.nextLookMs));
      return { kind: 'later', ms: Math.max(shortestWaitMs, againMs - nowMs) };
    },
  };
}
