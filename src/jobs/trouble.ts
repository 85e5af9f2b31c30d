import type { Log } from '../broker/world.ts';

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

export type Trouble = { report(error: unknown): void; over(): void };

/** Says that something is in trouble at once, then no more than once a minute, and once when it is over. */
export function createTrouble({ log, what, now }: { log: Log; what: string; now: () => Date }): Trouble {
  let lastSaid: number | undefined;
  let unsaid = 0;
  return {
    report(error) {
      unsaid += 1;
      if (lastSaid !== undefined && now().getTime() - lastSaid < 60_000) return;
      log.warn({ queue: what, ...kindOf(error), times: unsaid }, 'the queue is in trouble; it is tried again');
      lastSaid = now().getTime();
      unsaid = 0;
    },
    over() {
      if (lastSaid !== undefined) log.info({ queue: what }, 'the queue works again');
      lastSaid = undefined;
      unsaid = 0;
    },
  };
}
