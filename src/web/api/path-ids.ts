/**
 * Ids in a path that cannot be one of ours are nobody's. They go no further, neither into a statement nor into a log: what stands there may be
 * a key or a token that somebody put into the wrong place.
 */

/** What comes before an id, and how those ids begin. */
const prefixes: Readonly<Record<string, string>> = {
  connections: 'con',
  'connect-links': 'lnk',
  tests: 'lnk',
  'webhook-endpoints': 'whe',
  'webhook-deliveries': 'whd',
  'api-keys': 'key',
};
const idOf = /^([a-z]{3})_[0-9a-z_]{1,64}$/;
/** Ids that people choose: of projects and integrations. */
const chosen = /^[a-z0-9][a-z0-9_-]{0,63}$/;

/** True for what can be the id of a connection, a link and so on. */
export const isIdOf = (prefix: string, text: string): boolean => idOf.exec(text)?.[1] === prefix;

/** True for what can be the id of a project. */
export const isProjectId = (text: string): boolean => chosen.test(text);

/** True when each parameter of the path can be what stands there. `path`: as `/v1/connections/:id`. */
export function canBeOurs(path: string, params: Readonly<Record<string, string>>): boolean {
  const parts = path.split('/');
  return parts.every((part, at) => {
    const value = part.startsWith(':') ? params[part.slice(1)] : undefined;
    const kind = parts[at - 1] ?? '';
    if (value === undefined) return true;
    const prefix = prefixes[kind];
    if (prefix !== undefined) return isIdOf(prefix, value);
    return kind !== 'projects' && kind !== 'integrations' ? true : chosen.test(value);
  });
}
