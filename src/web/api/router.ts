import express, { type Request, type Response, Router } from 'express';
import { z } from 'zod';
import { type Caller, callerName, requireScope } from '../../broker/caller.ts';
import { once } from '../../broker/idempotency.ts';
import { reaches, reachOf } from '../../broker/key-limits.ts';
import { tooMany } from '../../broker/limits.ts';
import { defaultProject } from '../../broker/projects.ts';
import type { World } from '../../broker/world.ts';
import { GrantryError, isGrantryError } from '../../protocol/errors.ts';
import { apiHeaders } from '../api-headers.ts';
import { authenticate, bearerOf, type Gate, isRoot } from '../authentication.ts';
import { rateLimitHeaders } from '../rate-limit-headers.ts';
import { administration } from './administration.ts';
import { audit } from './audit.ts';
import { connecting } from './connecting.ts';
import { encryption } from './encryption.ts';
import type { Call, Endpoint } from './endpoint.ts';
import { isStorableText, parseJson } from './json-body.ts';
import { parseBody, parseQuery } from './parsing.ts';
import { canBeOurs } from './path-ids.ts';
import { recorded } from './recording.ts';
import { webhooks } from './webhooks.ts';

export const endpoints: readonly Endpoint[] = [...administration, ...encryption, ...connecting, ...webhooks, ...audit];

const bodyLimit = 65_536;
const jsonTypes = ['application/json'];
const definitionTypes = ['application/json', 'application/yaml', 'application/x-yaml', 'text/yaml', 'text/x-yaml'];

const noQuery = z.strictObject({});

function readBody(endpoint: Endpoint, req: Request): unknown {
  if (endpoint.body === undefined) return undefined;
  const format = endpoint.bodyFormat ?? 'json';
  const type = (req.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  const accepted = format === 'json' ? jsonTypes : definitionTypes;
  if (!accepted.includes(type)) throw new GrantryError('unsupported_media_type', { detail: `Send Content-Type: ${accepted.join(' or ')}.` });
  const text: unknown = req.body;
  if (typeof text !== 'string')
    throw new GrantryError('invalid_request', { detail: 'A body is needed.', errors: [{ pointer: '', detail: 'Must not be empty.' }] });
  return format === 'definition' ? text : parseJson(text);
}

/** Path parameters; an id that could not be stored, or not be an id, is nobody's. */
function readParams(req: Request, { path }: Endpoint): Record<string, string> {
  const entries = Object.entries(req.params).map(([name, value]): [string, string] => [name, String(value)]);
  const params = Object.fromEntries(entries);
  if (entries.some(([, value]) => !isStorableText(value)) || !canBeOurs(path, params)) throw new GrantryError('not_found');
  return params;
}

function idempotencyKey(req: Request): string | undefined {
  const key = req.headers['idempotency-key'];
  if (key === undefined || req.method !== 'POST') return undefined;
  if (typeof key !== 'string' || !/^[!-~]{1,255}$/.test(key)) {
    throw new GrantryError('invalid_request', { detail: 'Idempotency-Key must be 1 to 255 visible characters.' });
  }
  return key;
}

/** Throws `rate_limited` after too many calls; every answer says how many are left. */
async function countCall(world: World, caller: Caller, res: Response): Promise<void> {
  const standing = await world.sharedLimits.take('calls', callerName(caller));
  res.set(rateLimitHeaders('calls', standing));
  if (standing.kind === 'refused') throw tooMany('This API key has made too many calls in the last minute.', standing.resetS);
}

async function identify(
  world: World,
  gate: Gate,
  { req, res, endpoint: { scope, limited } }: { req: Request; res: Response; endpoint: Endpoint },
): Promise<Caller> {
  // What only the root key may do concerns no project, so none is looked up: diagnostics are for the time when Postgres is away.
  if (scope === 'root' && isRoot(gate, req)) return { kind: 'root', project: defaultProject };
  const caller = await authenticate(world, gate, req);
  if (limited !== false) await countCall(world, caller, res);
  return caller;
}

function authorize(caller: Caller, { scope }: Endpoint): void {
  if (scope !== 'root') requireScope(caller, scope);
  else if (caller.kind !== 'root') throw new GrantryError('forbidden', { detail: 'Only the root key may do that.' });
}

/** The call as a limited key may make it; undefined when nothing is left to list. Throws `not_found` or `forbidden` beyond its reach. */
async function withinReach({ reach }: Endpoint, call: Call<unknown, unknown>): Promise<Call<unknown, unknown> | undefined> {
  const limits = reachOf(call.caller);
  if (limits === undefined || reach === undefined) return call;
  switch (reach.kind) {
    case 'named': {
      const subject = await reach.of(call);
      if (subject === undefined || !reaches(call.caller, subject)) throw new GrantryError('not_found');
      return call;
    }
    case 'made': {
      if (reaches(call.caller, reach.of(call))) return call;
      const { integration, end_user } = limits;
      const to = [integration !== undefined && `the integration "${integration}"`, end_user !== undefined && `the end user "${end_user}"`];
      throw new GrantryError('forbidden', { detail: `This API key is limited to ${to.filter(Boolean).join(' and ')}.` });
    }
    case 'listed': {
      const query = reach.narrow(call.query, limits);
      return query === undefined ? undefined : { ...call, query };
    }
  }
}

const emptyList = { data: [], next_cursor: null };

const parseText = express.text({ type: () => true, limit: bodyLimit, defaultCharset: 'utf-8' });
const readText = (req: Request, res: Response): Promise<void> =>
  new Promise((resolve, reject) => parseText(req, res, (error?: unknown) => (error === undefined ? resolve() : reject(error))));

async function serve(world: World, gate: Gate, endpoint: Endpoint, req: Request, res: Response): Promise<void> {
  res.set(apiHeaders);
  const caller = await identify(world, gate, { req, res, endpoint });
  try {
    // Known before a byte of the body is read.
    authorize(caller, endpoint);
    await answer(world, gate, { endpoint, req, res, caller });
  } catch (error) {
    if (isGrantryError(error, 'forbidden')) gate.witness.forbidden(req, { name: callerName(caller), project: caller.project });
    throw error;
  }
}

async function answer(
  world: World,
  gate: Gate,
  { endpoint, req, res, caller }: { endpoint: Endpoint; req: Request; res: Response; caller: Caller },
): Promise<void> {
  await readText(req, res);
  const query = parseQuery(endpoint.query ?? noQuery, new URL(req.originalUrl, 'http://query').searchParams);
  const given = readBody(endpoint, req);
  const body = endpoint.body === undefined ? undefined : parseBody(endpoint.body, given);
  const params = readParams(req, endpoint);
  const call = await withinReach(endpoint, { world, caller, project: caller.project, params, query, body });
  if (call === undefined) return send(res, { status: 200, body: emptyList });
  if (endpoint.yaml !== undefined) {
    res.vary('Accept');
    const type = req.accepts(definitionTypes);
    if (type !== false && type !== 'application/json') return void res.type(`${type}; charset=utf-8`).send(await endpoint.yaml(call));
  }
  const run = async () => {
    const body = await recorded(gate.witness, { endpoint, call, req }, async () => {
      const answer = await endpoint.handle(call);
      return endpoint.answer?.parse(answer);
    });
    return { status: endpoint.status, body };
  };
  const key = idempotencyKey(req);
  if (key === undefined) return send(res, await run());
  // With the key in it nobody who reads the database can guess the body, which may hold a password, by its hash.
  const fingerprint = JSON.stringify([bearerOf(req), req.method, req.originalUrl, given ?? null]);
  const done = await once(world, { project: caller.project, caller: callerName(caller), key, fingerprint }, run);
  if (done.repeated) res.set('Idempotency-Replayed', 'true');
  send(res, done);
}

function send(res: Response, { status, body }: { status: number; body?: unknown }): void {
  if (status === 204) res.status(204).end();
  else res.status(status).json(body);
}

/** Every call of the REST API. */
export function apiRouter(world: World, gate: Gate): Router {
  const router = Router({ caseSensitive: true, strict: true });
  for (const endpoint of endpoints) {
    router[endpoint.method](endpoint.path, (req: Request, res: Response) => serve(world, gate, endpoint, req, res));
  }
  const paths = new Map<string, string[]>();
  for (const { path, method } of endpoints)
    paths.set(path, [...(paths.get(path) ?? []), ...(method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()])]);
  for (const [path, methods] of paths) {
    router.all(path, (_req, res) => {
      res.set('Allow', methods.join(', '));
      throw new GrantryError('method_not_allowed', { detail: `This address answers to ${methods.join(', ')}.` });
    });
  }
  router.use('/v1', () => {
    throw new GrantryError('not_found');
  });
  return router;
}
