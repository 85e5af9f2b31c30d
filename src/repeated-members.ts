/** Strings, with what tells names of members from values, and the signs of the structure. One without an end reaches to the end, so that nothing is looked at twice. */
const parts = /("[^"\\]*(?:\\.[^"\\]*)*"?)\s*(:)?|[{}[\],]/g;

/** A collection that is not closed yet, and the step to what is in it now; `names`: of an object, so far. */
type Level = { names: Set<string> | undefined; step: string | number };

/**
 * Pointers of members that an object names again: `JSON.parse` lets the last one win, in silence.
 * @param json valid JSON
 */
export function repeatedMembers(json: string): string[] {
  const levels: Level[] = [];
  const repeated: string[] = [];
  for (const [part, text, colon] of json.matchAll(parts)) {
    const level = levels.at(-1);
    if (part === '{') levels.push({ names: new Set(), step: '' });
    else if (part === '[') levels.push({ names: undefined, step: 0 });
    else if (part === '}' || part === ']') levels.pop();
    else if (level === undefined || text === undefined) {
      if (typeof level?.step === 'number') level.step += 1;
    } else if (colon !== undefined) {
      level.step = String(JSON.parse(text));
      if (level.names?.has(level.step)) repeated.push(levels.map(({ step }) => `/${step}`).join(''));
      level.names?.add(level.step);
    }
  }
  return [...new Set(repeated)];
}
