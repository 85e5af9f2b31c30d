/**
 * Gathers calls that come while others are under way, so that one statement answers all of them: under load a round trip
 * to Postgres is shared, without load nothing waits. No timer is involved.
 */
export type Gathered<Key, Value> = (key: Key) => Promise<Value>;

type Waiting<Key, Value> = { key: Key; resolve: (value: Value | PromiseLike<Value>) => void; reject: (error: unknown) => void };

/**
 * @param fetchAll answers a list of keys in their order; its failure is the failure of each of them
 * @param most keys in one list
 * @param slowMs when the last list has been under way for longer, the next one no longer waits for it
 * @param lanes how many lists may be under way at a time then
 */
export function gather<Key, Value>(
  fetchAll: (keys: readonly Key[]) => Promise<readonly (Value | Promise<Value>)[]>,
  { most, slowMs, lanes }: { most: number; slowMs: number; lanes: number },
): Gathered<Key, Value> {
  let waiting: Waiting<Key, Value>[] = [];
  let underWay = 0;
  let sentAt = 0;

  async function send(batch: readonly Waiting<Key, Value>[]): Promise<void> {
    underWay += 1;
    sentAt = performance.now();
    try {
      const values = await fetchAll(batch.map(({ key }) => key));
      batch.forEach(({ resolve, reject }, index) => {
        if (index < values.length) resolve(values[index] as Value | Promise<Value>);
        else reject(new Error('An answer is missing.'));
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      underWay -= 1;
      next();
    }
  }

  function next(): void {
    while (waiting.length > 0 && (underWay === 0 || (underWay < lanes && performance.now() - sentAt > slowMs))) {
      const batch = waiting.slice(0, most);
      waiting = waiting.slice(most);
      void send(batch);
    }
  }

  return (key) =>
    new Promise((resolve, reject) => {
      waiting.push({ key, resolve, reject });
      next();
    });
}

/**
 * A list that fails as a whole is fetched again one by one, so that one key's failure is its own.
 */
export function apartOnFailure<Key, Value>(
  fetchAll: (keys: readonly Key[]) => Promise<readonly Value[]>,
): (keys: readonly Key[]) => Promise<readonly (Value | Promise<Value>)[]> {
  const fetchOne = async (key: Key): Promise<Value> => {
    const [value] = await fetchAll([key]);
    return value as Value; // one key, one answer
  };
  return async (keys) => {
    if (keys.length === 1) return fetchAll(keys);
    try {
      return await fetchAll(keys);
    } catch {
      const apart = keys.map(fetchOne);
      // Each is heard by its own caller.
      await Promise.allSettled(apart);
      return apart;
    }
  };
}
