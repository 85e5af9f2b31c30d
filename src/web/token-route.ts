import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Caller, callerName, isKeyText, requireScope } from '../broker/caller.ts';
import { reaches } from '../broker/key-limits.ts';
import type { TokenRow } from '../broker/store.ts';
import { getToken, type TokenWish } from '../broker/tokens.ts';
import type { World } from '../broker/world.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import { parseQuery } from './api/parsing.ts';
import { tokenQuery } from './api/schemas.ts';
import { apiHeaders } from './api-headers.ts';
import { type Gate, guarded, isRootKey, keyCaller, namedProject } from './authentication.ts';
import { problemOf } from './problem.ts';
import { requestIdOf } from './request-id.ts';

/**
 * The token path, in front of Express: every job of every worker comes through here. One statement finds key and
 * connection, nothing is written, the answer is one buffer. What it answers is what the same call in api/ says.
 */

/** With anything but an id of ours there it takes the way that all others take: it is logged here, and may be a secret in the wrong place. */
const path = /^\/v1\/connections\/(con_[0-9a-z_]{1,64})\/token(?:\?([^#]*))?$/;
/** Longer ones take the way that all others take. */
const longestUrl = 1_000;
const usual: TokenWish = { minTtlS: 60, force: false };

/** The connection's id when the request is for the token path; undefined for everything else. */
export function tokenPathOf(req: IncomingMessage): { id: string; query: string } | undefined {
  if (req.method !== 'GET' || req.url === undefined || req.url.length > longestUrl) return undefined;
  const match = path.exec(req.url);
  return match === null ? undefined : { id: match[1] ?? '', query: match[2] ?? '' };
}

/** The query read; mostly there is none. Throws `invalid_request` with all of its faults. */
function wishOf(query: string): TokenWish {
  if (query === '') return usual;
  const { min_ttl, force } = parseQuery(tokenQuery, new URLSearchParams(query));
  return { minTtlS: min_ttl, force };
}

/** Who asks, and the row, when there is one for this caller. Throws `unauthorized`, and `rate_limited` after too many of those. */
const lookUp = (world: World, gate: Gate, req: IncomingMessage, id: string): Promise<{ caller: Caller; row: TokenRow | undefined }> =>
  guarded(gate, req, async (token, hash) => {
    if (isKeyText(token)) {
      const found = await world.store.tokens.byKey(hash, id);
      return { caller: keyCaller(world, gate, req, hash, found?.key), row: found?.connection };
    }
    if (!isRootKey(gate, hash)) throw new GrantryError('unauthorized');
    const project = namedProject(req);
    return { caller: { kind: 'root', project }, row: await world.store.tokens.byProject(project, id) };
  });

/** Answers one request of the token path, and logs that it did: refusals at info, tokens handed out at debug. `onError` hears what was not the caller's fault. */
export async function serveToken(
  { world, gate, onError }: { world: World; gate: Gate; onError: (error: unknown, requestId: string) => void },
  req: IncomingMessage,
  res: ServerResponse,
  { id, query }: { id: string; query: string },
): Promise<void> {
  const startedMs = performance.now();
  const requestId = requestIdOf(req);
  let caller: Caller | undefined;
  try {
    const found = await lookUp(world, gate, req, id);
    caller = found.caller;
    const { row } = found;
    requireScope(caller, 'tokens');
    const wish = wishOf(query);
    if (row === undefined || !reaches(caller, row)) throw new GrantryError('not_found');
    const body = JSON.stringify(await getToken(world, row, wish));
    res.writeHead(200, {
      ...apiHeaders,
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
      'X-Request-Id': requestId,
    });
    res.end(body);
    gate.witness.released(req, caller, id);
    world.meter.tokenAnswered(200, performance.now() - startedMs);
    world.log.debug({ request_id: requestId, status: 200, connection: id, key_id: callerName(caller) }, 'token request');
  } catch (error) {
    const problem = problemOf(error, requestId);
    if (caller !== undefined && isGrantryError(error, 'forbidden'))
      gate.witness.forbidden(req, { name: callerName(caller), project: caller.project });
    const keyId = caller === undefined ? null : callerName(caller);
    if (problem.status >= 500) onError(error, requestId);
    world.log.info({ request_id: requestId, status: problem.status, error: problem.body.code, connection: id, key_id: keyId }, 'token request');
    const body = JSON.stringify(problem.body);
    res.writeHead(problem.status, { ...apiHeaders, ...problem.headers, 'Content-Length': Buffer.byteLength(body), 'X-Request-Id': requestId });
    res.end(body);
    world.meter.tokenAnswered(problem.status, performance.now() - startedMs);
  }
}
