import { GrantryError } from '../protocol/errors.ts';

/** Gives back a slot; to be called once. */
export type Release = () => void;

export type HostSlots = {
  /**
   * Waits for a slot of that host, first come first served, and gives it out; until `signal` fires at most.
   * Throws `provider_unreachable` when the signal fires first or too many wait already: nothing was sent.
   */
  take(host: string, signal: AbortSignal): Promise<Release>;
};

type Host = { busy: number; readonly waiting: Set<() => void> };

/** Says nothing of the host. */
const crowded = () => new GrantryError('provider_unreachable', { nature: 'crowded' });

/** Bounds how many requests one host has at a time (`perHost`) and how many wait for it (`maxWaiting`); hosts do not share. */
export function createHostSlots({ perHost, maxWaiting }: { perHost: number; maxWaiting: number }): HostSlots {
  const hosts = new Map<string, Host>();

  /** Hands the slot to who has waited longest; the slot stays busy then. */
  const releaseOf =
    (name: string, host: Host): Release =>
    () => {
      const [next] = host.waiting;
      if (next !== undefined) return next();
      host.busy -= 1;
      if (host.busy === 0) hosts.delete(name);
    };

  return {
    take(name, signal) {
      const host = hosts.get(name) ?? { busy: 0, waiting: new Set() };
      hosts.set(name, host);
      if (host.busy < perHost) {
        host.busy += 1;
        return Promise.resolve(releaseOf(name, host));
      }
      if (host.waiting.size >= maxWaiting) return Promise.reject(crowded());
      return new Promise((resolve, reject) => {
        const leave = () => {
          host.waiting.delete(enter);
          signal.removeEventListener('abort', giveUp);
        };
        const enter = () => {
          leave();
          resolve(releaseOf(name, host));
        };
        const giveUp = () => {
          leave();
          reject(crowded());
        };
        if (signal.aborted) return giveUp();
        host.waiting.add(enter);
        signal.addEventListener('abort', giveUp);
      });
    },
  };
}
