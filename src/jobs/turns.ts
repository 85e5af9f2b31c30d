import type { Turn } from '../broker/refresh.ts';
import type { World } from '../broker/world.ts';

/**
 * Who of many hosts may be asked next: one that is slow, or has much to do, gets a share of this worker and no more. A host that is
 * alone gets three quarters, and its jobs wait here while it moves: nobody else wants the room. Beside others it gets half of what they
 * leave. It gets more than a quarter only as it answers, one more for each answer: one that hangs would keep what it has for as long as the
 * door waits, and whoever comes may come at once.
 *
 * Who finds no room waits here if the turn comes soon. Of those who would wait for longer some may stay; the others are sent away, those of
 * a host that is alone after a second, since others may be behind them in the queue. They are told when their turn will roughly be, if that is
 * soon. Nobody waits blindly for a turn that is far away, for the host may get quicker, or the others leave: a few look again every 15 s, and
 * many one after the other, two hundred in a second or at the host's own pace, so that a crowd costs no more than that, and still takes
 * what room there is.
 */
export type Turns = { take(host: string): Promise<Turn> };

/** A host that did nothing for so long is not beside the others any more. */
const presenceMs = 2_000;
/** Of all slots, those that a host may have before it has answered; a few in any case. */
const firstShare = 0.25;
const fewSlots = 4;
/** Of all slots, those in which jobs may wait for a turn, however long. */
const waitingShare = 0.1;
/** In the other slots they may wait so long, and not at all for a host of which nothing has begun or ended for so long. */
const patienceMs = 1_000;
const watchMs = 250;
/** Who has his turn sooner than this waits for it in any case: to send him away costs more, and nobody is held up by it for long. */
const shortMs = 250;
const shortestWaitMs = 1_000;
/** A crowd may wait longer: each looks again in its place of a line that moves on so quickly. */
const fewWaitMs = 15_000;
const longestWaitMs = 300_000;
const looksPerS = 200;
/** Until a host has answered for the first time. */
const supposedLatencyMs = 1_000;

type Waiting = { sinceMs: number; settle(turn: Turn): void };

type Host = {
  running: number;
  /** So many may run, as its answers allow. */
  room: number;
  /** In the order in which they came. */
  readonly waiting: Waiting[];
  /** When one of its jobs began or ended last. */
  movedMs: number;
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
export function createTurns({
  slots,
  elapsedMs,
  sleep,
  slowMs = Infinity,
}: Pick<World, 'elapsedMs' | 'sleep'> & { slots: number; slowMs?: number }): Turns {
  const hosts = new Map<string, Host>();
  const waitingRoom = Math.ceil(slots * waitingShare);
  const firstRoom = Math.max(fewSlots, Math.ceil(slots * firstShare));
  let running = 0;
  let waiting = 0;
  let isWatching = false;

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
    return Math.max(1, Math.floor(Math.min(cap, host.room)));
  }

  /** How long the next one will roughly wait for his turn. */
  const waitOf = (host: Host): number => ((host.waiting.length + 1) * host.latencyMs) / Math.max(1, host.running);

  function begin(host: Host): Turn {
    running += 1;
    host.running += 1;
    const begunMs = elapsedMs();
    host.movedMs = begunMs;
    let released = false;
    return {
      kind: 'go',
      release() {
        if (released) return;
        released = true;
        const nowMs = elapsedMs();
        running -= 1;
        host.running -= 1;
        host.movedMs = nowMs;
        host.latencyMs += (nowMs - begunMs - host.latencyMs) / 8;
        host.room = Math.min(slots, host.room + 1);
        admitWaiting(nowMs);
      },
    };
  }

  /** A slot that is free may let any of the hosts grow. */
  function admitWaiting(nowMs: number): void {
    if (waiting === 0) return;
    for (const host of hosts.values()) {
      while (host.waiting.length > 0 && host.running < capOf(host, nowMs)) {
        waiting -= 1;
        host.waiting.shift()?.settle(begin(host));
      }
    }
  }

  function wait(host: Host, sinceMs: number): Promise<Turn> {
    waiting += 1;
    const turn = new Promise<Turn>((settle) => host.waiting.push({ sinceMs, settle }));
    void watch();
    return turn;
  }

  function sendAway(host: Host, nowMs: number): Turn {
    const cap = capOf(host, nowMs);
    const lastMs = nowMs + longestWaitMs;
    host.nextTurnMs = Math.min(lastMs, Math.max(nowMs + host.latencyMs, host.nextTurnMs) + host.latencyMs / cap);
    host.nextLookMs = Math.min(lastMs, Math.max(nowMs, host.nextLookMs) + Math.min(1000 / looksPerS, host.latencyMs / cap));
    const againMs = Math.min(host.nextTurnMs, Math.max(nowMs + fewWaitMs, host.nextLookMs));
    return { kind: 'later', ms: Math.max(shortestWaitMs, againMs - nowMs) };
  }

  /** While all slots are held nobody comes, so it takes a clock to let some of those go who wait. */
  async function watch(): Promise<void> {
    if (isWatching) return;
    isWatching = true;
    while (waiting > waitingRoom) {
      await sleep(watchMs);
      const nowMs = elapsedMs();
      for (const host of hosts.values()) sendAwayImpatient(host, nowMs);
    }
    isWatching = false;
  }

  /** Those who came last leave first; the others are the next to have a turn. */
  function sendAwayImpatient(host: Host, nowMs: number): void {
    const overdue = host.waiting.filter(({ sinceMs }) => nowMs - sinceMs >= patienceMs).length;
    const leaving = Math.min(overdue, Math.max(0, waiting - waitingRoom));
    waiting -= leaving;
    for (const { settle } of host.waiting.splice(overdue - leaving, leaving)) settle(sendAway(host, nowMs));
  }

  return {
    async take(name) {
      const nowMs = elapsedMs();
      const host = hosts.get(name) ?? {
        running: 0,
        room: firstRoom,
        waiting: [],
        movedMs: nowMs,
        latencyMs: supposedLatencyMs,
        nextTurnMs: 0,
        nextLookMs: 0,
        lastSeenMs: nowMs,
      };
      hosts.set(name, host);
      host.lastSeenMs = nowMs;
      // Room that came of itself, as when another host is no longer there, is first for those who wait.
      admitWaiting(nowMs);
      if (host.running < capOf(host, nowMs)) return begin(host);
      const isMoving = nowMs - host.movedMs < patienceMs && host.latencyMs <= slowMs;
      if (waiting < waitingRoom || (isMoving && (waitOf(host) <= shortMs || isAlone(host, nowMs)))) return wait(host, nowMs);
      return sendAway(host, nowMs);
    },
  };
}
