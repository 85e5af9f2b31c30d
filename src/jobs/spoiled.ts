/** A queue on Redis into which somebody else has written: how that shows, and how it is emptied. Postgres knows what is to be in it. */

/** What Redis says when it refuses: nothing is wrong with what it holds. */
const refusal = /\b(OOM|NOPERM|NOAUTH|READONLY|MISCONF|BUSY|LOADING|CLUSTERDOWN|MASTERDOWN|NOREPLICAS)\b/;

/** Whether the error says that something in the queue cannot be read, and not that Redis is away or refuses. */
export function isSpoiled(error: unknown): boolean {
  if (error instanceof SyntaxError || error instanceof TypeError || error instanceof RangeError) return true;
  return error instanceof Error && /WRONGTYPE|user_script/.test(error.message) && !refusal.test(error.message);
}

/** What is asked of Redis here. */
export type QueueKeys = {
  hmget(key: string, ...fields: string[]): Promise<(string | null)[]>;
  scan(cursor: string | number, options: { MATCH: string; COUNT: number }): Promise<[string, string[]]>;
  del(...keys: string[]): Promise<number>;
};

/** What this process has noticed of a queue, until it is emptied. */
export type Suspicion = {
  /** What cannot be read raises it. */
  note(error: unknown): void;
  raise(): void;
  /** The same for what is asked of the queue; rejects as that does. */
  during<T>(asked: Promise<T>): Promise<T>;
  /** Empties the queue, and says so, when there is a suspicion or the queue is held. `prefix`: that of all its keys. */
  heal(redis: QueueKeys, prefix: string): Promise<boolean>;
};

export function createSuspicion(): Suspicion {
  let isRaised = false;
  const note = (error: unknown): void => {
    if (isSpoiled(error)) isRaised = true;
  };
  return {
    note,
    raise() {
      isRaised = true;
    },
    async during(asked) {
      try {
        return await asked;
      } catch (error) {
        note(error);
        throw error;
      }
    },
    async heal(redis, prefix) {
      if (!isRaised && !(await isHeld(redis, prefix))) return false;
      await emptyQueue(redis, prefix);
      isRaised = false;
      return true;
    },
  };
}

/** Whether the queue is told to stand still, or to be slow: nothing of ours does that. `prefix`: that of all its keys. */
export async function isHeld(redis: QueueKeys, prefix: string): Promise<boolean> {
  try {
    return (await redis.hmget(`${prefix}meta`, 'paused', 'concurrency', 'max', 'duration')).some((value) => value !== null);
  } catch (error) {
    if (isSpoiled(error)) return true;
    throw error;
  }
}

/** Deletes all keys of the queue. */
export async function emptyQueue(redis: QueueKeys, prefix: string): Promise<void> {
  let cursor = '0';
  do {
    const [next, keys] = await redis.scan(cursor, { MATCH: `${prefix}*`, COUNT: 1_000 });
    if (keys.length > 0) await redis.del(...keys);
    cursor = next;
  } while (cursor !== '0');
}
