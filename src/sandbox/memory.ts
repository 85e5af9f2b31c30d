/** A Map that forgets its oldest entry when it is full: a sandbox that runs for days stays small. */
export function boundedMap<K, V>(max = 20_000): Map<K, V> {
  const map = new Map<K, V>();
  const set = map.set.bind(map);
  map.set = (key, value) => {
    const oldest = map.size >= max && !map.has(key) ? map.keys().next() : undefined;
    if (oldest?.done === false) map.delete(oldest.value);
    return set(key, value);
  };
  return map;
}
