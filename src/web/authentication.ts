import type { IncomingMessage } from 'node:http';
import { type Caller, callerOf, isKeyText } from '../broker/api-keys.ts';
import { defaultProject } from '../broker/projects.ts';
import { sameBytes, sha256 } from '../broker/secrets.ts';
import type { World } from '../broker/world.ts';
import { GrantryError } from '../protocol/errors.ts';

/** What the web floor knows besides the world. */
export type RootKey = { hash: Buffer };

/** The bearer token of a request (RFC 6750 section 2.1). Throws `unauthorized`. */
export function bearerOf(req: IncomingMessage): string {
  const header = req.headers.authorization;
  const token = header !== undefined && header.length <= 600 ? /^Bearer ([!-~]+)$/i.exec(header)?.[1] : undefined;
  if (token === undefined) throw new GrantryError('unauthorized', { detail: 'Send "Authorization: Bearer <API key>".' });
  return token;
}

/** The project that the holder of the root key means. */
export function namedProject(req: IncomingMessage): string {
  const named = req.headers['grantry-project'];
  return typeof named === 'string' && named !== '' ? named : defaultProject;
}

/** True when the token is the root key; compared by digest, in constant time. */
export const isRootKey = (root: RootKey, token: string): boolean => sameBytes(root.hash, sha256(token));

/** True when the holder of the root key asks. It needs no database, so it is known while Postgres is away. */
export const isRoot = (root: RootKey, req: IncomingMessage): boolean => isRootKey(root, bearerOf(req));

/** Who asks. Throws `unauthorized`; `not_found` when the root key names a project that is not there. */
export async function authenticate(world: World, root: RootKey, req: IncomingMessage): Promise<Caller> {
  const token = bearerOf(req);
  if (isKeyText(token)) {
    const hash = sha256(token);
    return callerOf(hash, await world.store.apiKeys.findByHash(hash));
  }
  if (!isRootKey(root, token)) throw new GrantryError('unauthorized');
  const project = namedProject(req);
  if ((await world.store.projects.get(project)) === undefined) throw new GrantryError('not_found', { detail: 'There is no such project.' });
  return { kind: 'root', project };
}
