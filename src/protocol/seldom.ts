const everyMs = 60_000;

/** Tells whether a line about a thing is to be logged: the first one, and then one a minute, for what fails goes on failing. Things are few. */
export function createSeldom(elapsedMs: () => number): (thing: string) => boolean {
  const told = new Map<string, number>();
  return (thing) => {
    const nowMs = elapsedMs();
    if (nowMs - (told.get(thing) ?? Number.NEGATIVE_INFINITY) < everyMs) return false;
    told.set(thing, nowMs);
    return true;
  };
}
