import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const ids = new WeakMap<IncomingMessage, string>();

// An id names a request and keeps no secret: one random part for each process and a counter are enough, and cost no random bytes.
const processPart = randomBytes(9).toString('base64url');
let counter = 0;
function nextId(): string {
  counter += 1;
  return `req_${processPart}${counter.toString(36).padStart(6, '0')}`;
}

/** The request's id: the caller's `X-Request-Id` when it is harmless, else one of ours. The same for each call with one request. */
export function requestIdOf(req: IncomingMessage): string {
  const known = ids.get(req);
  if (known !== undefined) return known;
  const given = req.headers['x-request-id'];
  const id = typeof given === 'string' && /^[A-Za-z0-9_-]{8,64}$/.test(given) ? given : nextId();
  ids.set(req, id);
  return id;
}
