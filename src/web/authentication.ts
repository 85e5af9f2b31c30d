import type { IncomingMessage } from 'node:http';
import { type Caller, callerName, callerOf, isKeyText } from '../broker/caller.ts';
import { defaultProject } from '../broker/projects.ts';
import { sameBytes, sha256 } from '../broker/secrets.ts';
import type { FoundKey } from '../broker/store.ts';
import type { World } from '../broker/world.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import { isProjectId } from './api/path-ids.ts';
import type { Guesses } from './guesses.ts';
import type { Witness } from './witness.ts';

export type RootKey = { hash: Buffer };

/** What the web floor knows besides the world. */
export type Gate = RootKey & {
  guesses: Guesses;
  witness: Witness;
  /** Where a request came from, as far as our proxies tell. */
  addressOf(req: IncomingMessage): string;
};

/** The bearer token of a request (RFC 6750 section 2.1). Throws `unauthorized`. */
export function bearerOf(req: IncomingMessage): string {
  const header = req.headers.authorization;
  const token = header !== undefined && header.length <= 600 ? /^Bearer ([!-~]+)$/i.exec(header)?.[1] : undefined;
  if (token === undefined) throw new GrantryError('unauthorized', { detail: 'Send "Authorization: Bearer <API key>".' });
  return token;
}

/** The project that the holder of the root key means. Throws `not_found` when it can be none. */
export function namedProject(req: IncomingMessage): string {
  const named = req.headers['grantry-project'];
  if (typeof named !== 'string' || named === '') return defaultProject;
  if (!isProjectId(named)) throw new GrantryError('not_found', { detail: 'There is no such project.' });
  return named;
}

/** True when the digest is that of the root key; compared in constant time. */
export const isRootKey = (root: RootKey, hash: Buffer): boolean => sameBytes(root.hash, hash);

/** True when the holder of the root key asks. It needs no database, so it is known while Postgres is away. Throws `rate_limited`. */
export function isRoot(gate: Gate, req: IncomingMessage): boolean {
  const hash = sha256(bearerOf(req));
  const key = hash.toString('latin1');
  if (!gate.guesses.knows(key)) gate.guesses.admit(req);
  const is = isRootKey(gate, hash);
  if (is) gate.guesses.right(key);
  return is;
}

/** The caller behind a found key, whose use is noted. Throws as `callerOf` does. */
export function keyCaller(world: World, gate: Gate, req: IncomingMessage, hash: Buffer, found: FoundKey | undefined): Caller {
  try {
    const caller = callerOf(hash, found, () => gate.addressOf(req));
    world.keyUses.note(callerName(caller));
    return caller;
  } catch (error) {
    if (found !== undefined && isGrantryError(error, 'forbidden')) gate.witness.forbidden(req, { name: found.id, project: found.project_id });
    throw error;
  }
}

/** Looks up who asks, unless too many wrong keys came from there; a wrong key is counted. A key that was right before waits for nothing else. */
export async function guarded<T>({ guesses, witness }: Gate, req: IncomingMessage, lookUp: (token: string, hash: Buffer) => Promise<T>): Promise<T> {
  const token = bearerOf(req);
  const hash = sha256(token);
  const key = hash.toString('latin1');
  let leave: (() => void) | undefined;
  try {
    if (!guesses.knows(key)) leave = await guesses.enter(req);
    const found = await lookUp(token, hash);
    guesses.right(key);
    leave?.();
    return found;
  } catch (error) {
    // The caller does not wait for the counting; the next guess does.
    if (isGrantryError(error, 'unauthorized')) void guesses.wrong(req, key).finally(leave);
    else leave?.();
    if (isGrantryError(error, 'unauthorized', 'rate_limited')) witness.refused(req);
    throw error;
  }
}

/** Who asks. Throws `unauthorized`; `rate_limited` after too many of those; `not_found` when the root key names a project that is not there. */
export const authenticate = (world: World, gate: Gate, req: IncomingMessage): Promise<Caller> =>
  guarded(gate, req, async (token, hash) => {
    if (isKeyText(token)) return keyCaller(world, gate, req, hash, await world.store.apiKeys.findByHash(hash));
    if (!isRootKey(gate, hash)) throw new GrantryError('unauthorized');
    const project = namedProject(req);
    if ((await world.store.projects.get(project)) === undefined) throw new GrantryError('not_found', { detail: 'There is no such project.' });
    return { kind: 'root', project };
  });
