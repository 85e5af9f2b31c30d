import { endpoints } from '../../src/web/api/router.ts';
import type { Recorded } from './recorder.ts';

/** Which calls of the API were made, by what the router knows: one that is added later is missed here until the run makes it. */

const patternOf = (path: string) => new RegExp(`^${path.replace(/:[a-z_]+/g, '[^/]+')}$`);
const known = endpoints.map(({ method, path, status }) => ({
  name: `${method} ${path}`,
  method: method.toUpperCase(),
  status,
  pattern: patternOf(path),
}));

/** The calls that never went well, by method and path. The first that fits an address is the one that was called. */
export function uncalled(answers: readonly Recorded[]): string[] {
  const called = new Set<string>();
  for (const { method, path, status } of answers) {
    const endpoint = known.find((each) => each.method === method && each.pattern.test(path));
    if (endpoint?.status === status) called.add(endpoint.name);
  }
  return known.map(({ name }) => name).filter((name) => !called.has(name));
}
