import type { Refreshes } from '../../src/broker/store.ts';
import type { World } from '../../src/broker/world.ts';

/** Named moments of a refresh and of its webhook, in front of the real ports: what is tortured is the code as it is shipped. */

export const points = ['before_intent', 'after_intent', 'after_answer', 'after_commit', 'before_event', 'after_event'] as const;
export type Point = (typeof points)[number];

export type Watch = {
  /** Called at each point; what comes after it waits for the promise. */
  reached(point: Point): Promise<void>;
  /** A sweep of due refreshes has handed out so many. */
  swept(handedOut: number): void;
  /** What the queue had been given is handed out again. */
  handedOutAgain(): void;
};

/** Where the webhooks of a torture go. */
export const hookPath = '/hook';

const isHook = (url: string) => new URL(url).pathname === hookPath;
const isTokenRequest = (url: string) => new URL(url).pathname === '/token';

function watchedRefreshes({ read, due, postpone, handOutAgain, counts, claim, commit, fail }: Refreshes, watch: Watch): Refreshes {
  return {
    read,
    postpone,
    counts,
    fail,
    async due(limit, holdS) {
      const rows = await due(limit, holdS);
      watch.swept(rows.length);
      return rows;
    },
    async handOutAgain() {
      await handOutAgain();
      watch.handedOutAgain();
    },
    async claim(connection, lease) {
      await watch.reached('before_intent');
      const claimed = await claim(connection, lease);
      if (claimed !== undefined) await watch.reached('after_intent');
      return claimed;
    },
    async commit(...saved) {
      const row = await commit(...saved);
      await watch.reached('after_commit');
      return row;
    },
  };
}

/** The same world, watched. */
export function withFailpoints(world: World, watch: Watch): World {
  return {
    ...world,
    store: { ...world.store, refreshes: watchedRefreshes(world.store.refreshes, watch) },
    async door(request) {
      if (isHook(request.url)) await watch.reached('before_event');
      const answer = await world.door(request);
      if (isHook(request.url)) await watch.reached('after_event');
      if (isTokenRequest(request.url)) await watch.reached('after_answer');
      return answer;
    },
  };
}
