import type { Log, World } from '../broker/world.ts';

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  // Redis begins a refusal with its code: NOAUTH, OOM, READONLY. What drizzle throws has Postgres's code in its cause.
  return /^[A-Z]{3,20}(?= )/.exec(error.message)?.[0] ?? codeOf(error.cause);
}

/** What of an error may be logged and stored: its kind. Messages of foreign libraries may hold addresses, parameters and bodies. */
export function kindOf(error: unknown): { error: string; code?: string } {
  const code = codeOf(error);
  return { error: error instanceof Error ? error.constructor.name : typeof error, ...(code !== undefined && { code }) };
}

/** Says something at once, then no more than once a minute, each time how often it would have been said. */
export function createSeldom(now: () => Date, say: (times: number) => void) {
  let lastSaid: number | undefined;
  let unsaid = 0;
  return {
    say() {
      unsaid += 1;
      if (lastSaid !== undefined && now().getTime() - lastSaid < 60_000) return;
      say(unsaid);
      lastSaid = now().getTime();
      unsaid = 0;
    },
    /** Whether anything was said since the last time; from now on it is said at once again. */
    over(): boolean {
      const wasSaid = lastSaid !== undefined;
      lastSaid = undefined;
      unsaid = 0;
      return wasSaid;
    },
  };
}

export type Trouble = { report(error: unknown): void; over(): void };

/** Says that something is in trouble, seldom, and once when it is over. */
export function createTrouble({ log, what, now }: { log: Log; what: string; now: () => Date }): Trouble {
  let kind = {};
  const seldom = createSeldom(now, (times) => log.warn({ queue: what, ...kind, times }, 'the queue is in trouble; it is tried again'));
  return {
    report(error) {
      kind = kindOf(error);
      seldom.say();
    },
    over() {
      if (seldom.over()) log.info({ queue: what }, 'the queue works again');
    },
  };
}

/** Says that jobs were dropped because nobody of ours has written them: how many, and nothing of what is in them. */
export function createDropped({ log, now }: Pick<World, 'log' | 'now'>, queue: string): () => void {
  return createSeldom(now, (times) => log.warn({ queue, times }, 'jobs that name nothing of ours were dropped')).say;
}
