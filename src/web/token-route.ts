import type { IncomingMessage, ServerResponse } from 'node:http';
import { callerOf, isKeyText, requireScope } from '../broker/api-keys.ts';
import { sha256 } from '../broker/secrets.ts';
import type { TokenRow } from '../broker/store.ts';
import { getToken, type TokenWish } from '../broker/tokens.ts';
import type { World } from '../broker/world.ts';
import { GrantryError } from '../protocol/errors.ts';
import { apiHeaders } from './api-headers.ts';
import { bearerOf, isRootKey, namedProject, type RootKey } from './authentication.ts';
import { problemOf } from './problem.ts';
import { requestIdOf } from './request-id.ts';

/**
 * The token path, in front of Express: every job of every worker comes through here. One statement finds key and
 * connection, nothing is written, the answer is one buffer. What it answers is what the same call in api/ says.
 */

const path = /^\/v1\/connections\/([A-Za-z0-9_-]{1,100})\/token(?:\?([^#]*))?$/;
const usual: TokenWish = { minTtlS: 60, force: false };

/** The connection's id when the request is for the token path; undefined for everything else. */
export function tokenPathOf(req: IncomingMessage): { id: string; query: string } | undefined {
  if (req.method !== 'GET' || req.url === undefined) return undefined;
  const match = path.exec(req.url);
  return match === null ? undefined : { id: match[1] ?? '', query: match[2] ?? '' };
}

function wishOf(query: string): TokenWish {
  if (query === '') return usual;
  const wish = { ...usual };
  const seen = new Set<string>();
  const refuse = (pointer: string, detail: string) =>
    new GrantryError('invalid_request', { detail: `The query is not valid: ${pointer} - ${detail}`, errors: [{ pointer, detail }] });
  for (const [name, value] of new URLSearchParams(query)) {
    if (seen.has(name)) throw refuse(`/${name}`, 'Give it once.');
    seen.add(name);
    if (name === 'min_ttl') {
      if (!/^\d{1,5}$/.test(value) || Number(value) > 86_400) throw refuse('/min_ttl', 'Must be whole seconds from 0 to 86400.');
      wish.minTtlS = Number(value);
    } else if (name === 'force') {
      if (!['true', 'false', '1', '0'].includes(value)) throw refuse('/force', 'Must be true or false.');
      wish.force = value === 'true' || value === '1';
    } else throw refuse(`/${name}`, 'There is no such field.');
  }
  return wish;
}

/** The row, when there is one; whether the caller may ask at all is settled first. */
async function findRow(world: World, root: RootKey, req: IncomingMessage, id: string): Promise<TokenRow | undefined> {
  const token = bearerOf(req);
  if (isKeyText(token)) {
    const hash = sha256(token);
    const found = await world.store.tokens.byKey(hash, id);
    requireScope(callerOf(hash, found?.key), 'tokens');
    return found?.connection;
  }
  if (!isRootKey(root, token)) throw new GrantryError('unauthorized');
  return world.store.tokens.byProject(namedProject(req), id);
}

/** Answers one request of the token path; `onError` hears what was not the caller's fault. */
export async function serveToken(
  { world, root, onError }: { world: World; root: RootKey; onError: (error: unknown, requestId: string) => void },
  req: IncomingMessage,
  res: ServerResponse,
  { id, query }: { id: string; query: string },
): Promise<void> {
  const requestId = requestIdOf(req);
  try {
    const row = await findRow(world, root, req, id);
    const wish = wishOf(query);
    if (row === undefined) throw new GrantryError('not_found');
    const body = JSON.stringify(await getToken(world, row, wish));
    res.writeHead(200, {
      ...apiHeaders,
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
      'X-Request-Id': requestId,
    });
    res.end(body);
  } catch (error) {
    const problem = problemOf(error, requestId);
    if (problem.status >= 500) onError(error, requestId);
    const body = JSON.stringify(problem.body);
    res.writeHead(problem.status, { ...apiHeaders, ...problem.headers, 'Content-Length': Buffer.byteLength(body), 'X-Request-Id': requestId });
    res.end(body);
  }
}
