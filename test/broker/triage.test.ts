import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createHostHealth } from '../../src/broker/host-health.ts';
import type { ConnectionStatus } from '../../src/broker/records.ts';
import { refreshConnection } from '../../src/broker/refresh.ts';
import type { World } from '../../src/broker/world.ts';
import type { ErrorCode } from '../../src/protocol/errors.ts';
import { freePort, startTestBroker, type TestBroker } from '../harness/broker.ts';
import { type Local, serveHttp } from '../outside/local-servers.ts';

/** What becomes of a connection, and what comes next, for everything that a token endpoint may answer. */

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
let answer: Answer = () => {};
let asked = 0;
let provider: Local;
let world: TestBroker;
let broker: World;

const definition = (id: string, port: number, response: object) => ({
  id,
  name: id,
  methods: {
    web: {
      grant: 'authorization_code',
      authorization_endpoint: `http://127.0.0.1:${port}/authorize`,
      token_endpoint: `http://127.0.0.1:${port}/token`,
      response,
    },
  },
});
const own = {
  error: '/err/code',
  error_codes: { gone: 'invalid_grant', busy: 'provider_unavailable', key: 'invalid_client', '17': 'invalid_grant' },
  success: { pointer: '/ok', equals: true },
};

beforeAll(async () => {
  provider = await serveHttp((request, response) => {
    asked += 1;
    request.resume().on('end', () => answer(request, response));
  });
  world = await startTestBroker();
  broker = world.broker.world;
  const ports = { standard: provider.port, own: provider.port, nobody: await freePort() };
  for (const [id, port] of Object.entries(ports)) {
    await world.root.call('PUT', `/v1/providers/${id}`, { body: definition(id, port, id === 'own' ? own : { token_type_required: false }) });
    await world.root.call('POST', '/v1/integrations', { body: { id, provider: id, client_id: 'client', client_secret: 'secret' } });
  }
});
afterAll(async () => {
  await world?.stop();
  await provider?.close();
});
beforeEach(async () => {
  asked = 0;
  // As if the registration were a new one: what was refused before says nothing of it.
  await world.sql(`update integrations set status = 'active', trial_at = null, updated_at = now()`);
});

const raw =
  (status: number, body = '', headers: Record<string, string> = {}): Answer =>
  (_, response) =>
    void response.writeHead(status, headers).end(body);
const json = (status: number, body: unknown, headers: Record<string, string> = {}): Answer =>
  raw(status, JSON.stringify(body), { 'content-type': 'application/json', ...headers });
const error = (status: number, code: unknown, headers: Record<string, string> = {}) => json(status, { error: code, error_description: 'x' }, headers);
const good = { access_token: 'at-2', token_type: 'Bearer', expires_in: 3600, refresh_token: 'rt-2' };
/** A date so many seconds from now, as the answer is sent. */
const httpDate = (seconds: number) => new Date(Date.now() + seconds * 1000).toUTCString();

type End = {
  status: ConnectionStatus;
  reason: string | null;
  code: ErrorCode | null;
  retryable: boolean | null;
  event: string;
  /** Seconds until the next attempt, at least and at most; null: there is none. */
  next: readonly [number, number] | null;
  integration: 'active' | 'misconfigured';
  /** What is noted of the request: `sent` makes the next attempt at this version an ambiguous one. */
  intent: 'sent' | 'refused' | 'failed' | 'refreshed';
};

/** Full jitter below the first bound of the backoff. */
const soon = [1, 6] as const;
const failing = (code: ErrorCode, retryable: boolean, more: Partial<End> = {}): End => ({
  status: 'refresh_failing',
  reason: null,
  code,
  retryable,
  event: 'connection.refresh_failing',
  next: soon,
  integration: 'active',
  intent: 'failed',
  ...more,
});
const away = failing('provider_unavailable', true);
const awayFor = (least: number, most = least) => ({ ...away, next: [least, most] as const });
const refused = failing('provider_error', false);
const unusable = failing('bad_provider_answer', true, { intent: 'sent' });
const unanswered = failing('no_answer', true, { intent: 'sent' });
const misconfigured = failing('invalid_client', false, { next: [300, 300], integration: 'misconfigured' });
/** Nothing says whom it refuses: our registration, or this customer. */
const unexplained: End = { ...misconfigured, integration: 'active' };
const ended: End = {
  status: 'reauthorization_required',
  reason: 'invalid_grant',
  code: 'invalid_grant',
  retryable: false,
  event: 'connection.reauthorization_required',
  next: null,
  integration: 'active',
  intent: 'refused',
};
/** The next refresh is the one of the new token: before its end by a tenth, and up to half of that. */
const refreshed: End = {
  status: 'active',
  reason: null,
  code: null,
  retryable: null,
  event: 'connection.refreshed',
  next: [3140, 3300],
  integration: 'active',
  intent: 'refreshed',
};

async function outcomeOf(integration: string): Promise<End> {
  const { id } = await world.root.call<{ id: string }>('POST', '/v1/connections', {
    body: {
      integration,
      end_user: { id: 'u1' },
      import: { access_token: 'at-1', refresh_token: 'rt-1', expires_at: new Date(Date.now() - 60_000).toISOString() },
    },
  });
  const row = await broker.store.connections.get('default', id);
  if (row === undefined) throw new Error('gone');
  // Each case meets a host that nothing is known of.
  const hosts = createHostHealth({ elapsedMs: broker.elapsedMs, random: Math.random, meter: broker.meter });
  await refreshConnection({ ...broker, hosts }, row);
  const [now] = await world.sql<{ next: number | null; told: number | null; intent: End['intent']; integration: End['integration'] }>(
    `select extract(epoch from refresh_due_at - c.updated_at)::float8 as next, extract(epoch from retry_at - c.updated_at)::float8 as told, r.outcome as intent,
       i.status as integration
     from connections c join refresh_intents r on r.connection_id = c.id join integrations i on i.project_id = c.project_id and i.id = c.integration_id
     where c.id = $1`,
    [id],
  );
  const after = await broker.store.connections.get('default', id);
  if (now === undefined || after === undefined) throw new Error('gone');
  const news = await world.sql<{ type: string }>(`select type from events where connection_id = $1 and type <> 'connection.created'`, [id]);
  if (after.status === 'refresh_failing') expect(now.told).toBe(now.next);
  return {
    status: after.status,
    reason: after.reason,
    code: after.last_error === null ? null : (after.last_error.code as ErrorCode), // compared with one below
    retryable: after.last_error?.retryable ?? null,
    event: news.map(({ type }) => type).join(),
    next: now.next === null ? null : [now.next, now.next],
    integration: now.integration,
    intent: now.intent,
  };
}

async function expectEnd(integration: string, expected: End): Promise<void> {
  const { next, ...found } = await outcomeOf(integration);
  const { next: bounds, ...rest } = expected;
  expect(found).toEqual(rest);
  if (bounds === null || next === null) return expect(next).toBe(bounds);
  expect(next[0]).toBeGreaterThanOrEqual(bounds[0]);
  expect(next[0]).toBeLessThanOrEqual(bounds[1]);
}

describe('an answer of the token endpoint', () => {
  const standard: readonly (readonly [string, Answer, End])[] = [
    // The authorization has ended.
    ['400 invalid_grant', error(400, 'invalid_grant'), ended],
    ['401 invalid_grant', error(401, 'invalid_grant'), ended],
    ['403 invalid_grant', error(403, 'invalid_grant'), ended],
    ['200 with invalid_grant', error(200, 'invalid_grant'), ended],
    ['400 invalid_grant with Retry-After', error(400, 'invalid_grant', { 'retry-after': '60' }), ended],
    ['401 invalid_token', error(401, 'invalid_token'), ended],
    ['400 interaction_required', error(400, 'interaction_required'), ended],
    // The registration is not accepted.
    ['401 invalid_client', error(401, 'invalid_client', { 'www-authenticate': 'Basic' }), misconfigured],
    ['400 invalid_client', error(400, 'invalid_client'), misconfigured],
    ['200 with invalid_client', error(200, 'invalid_client'), misconfigured],
    ['400 unauthorized_client', error(400, 'unauthorized_client'), misconfigured],
    ['401 without a body', raw(401), unexplained],
    ['401 with HTML', raw(401, '<h1>Unauthorized</h1>'), unexplained],
    ['401 with an error that nobody knows', error(401, 'whatever'), unexplained],
    // The provider is away, or asks to wait.
    ['408', raw(408), away],
    ['425', raw(425), away],
    ['429', raw(429), away],
    ['429 with invalid_grant', error(429, 'invalid_grant'), away],
    ['429 with Retry-After in seconds', raw(429, '', { 'retry-after': '120' }), awayFor(120)],
    ['429 with Retry-After as a date', (_, response) => void response.writeHead(429, { 'retry-after': httpDate(120) }).end(), awayFor(118, 122)],
    ['503 with a Retry-After of a past date', (_, response) => void response.writeHead(503, { 'retry-after': httpDate(-60) }).end(), away],
    ['503 with a Retry-After of a day', raw(503, '', { 'retry-after': '86400' }), awayFor(3600)],
    ['503 with a Retry-After that makes no sense', raw(503, '', { 'retry-after': 'soon' }), away],
    ['500 with HTML', raw(500, '<h1>Internal Server Error</h1>'), away],
    ['500 with invalid_grant', error(500, 'invalid_grant'), away],
    ['500 with invalid_client', error(500, 'invalid_client'), away],
    ['502', raw(502), away],
    ['503', raw(503), away],
    ['504', raw(504), away],
    ['400 temporarily_unavailable', error(400, 'temporarily_unavailable'), away],
    ['400 server_error', error(400, 'server_error'), away],
    ['400 slow_down with Retry-After', error(400, 'slow_down', { 'retry-after': '30' }), awayFor(30)],
    // Something about the request is not liked.
    ['400 invalid_request', error(400, 'invalid_request'), refused],
    ['400 invalid_scope', error(400, 'invalid_scope'), refused],
    ['400 unsupported_grant_type', error(400, 'unsupported_grant_type'), refused],
    ['400 access_denied', error(400, 'access_denied'), refused],
    ['400 with an error that nobody knows', error(400, 'made_up'), refused],
    ['400 with an error named as what objects inherit', error(400, 'constructor'), refused],
    ['400 without a body', raw(400), refused],
    ['403 with HTML', raw(403, '<h1>Forbidden</h1>'), refused],
    ['404', raw(404), refused],
    ['405', raw(405), refused],
    ['410', raw(410), refused],
    ['200 with an error that nobody knows', error(200, 'made_up'), refused],
    ['200 with an error that is an object', json(200, { error: { code: 17 } }), refused],
    // Nobody knows what came of it.
    ['301 to somewhere else', raw(301, '', { location: `http://127.0.0.1/elsewhere` }), unusable],
    ['302 to somewhere else, with a token', json(302, good, { location: 'http://127.0.0.1/elsewhere' }), unusable],
    ['307 to somewhere else', raw(307, '', { location: `http://127.0.0.1/elsewhere` }), unusable],
    ['204', raw(204), unusable],
    ['200 without a body', raw(200), unusable],
    ['200 with HTML', raw(200, '<html>Sign in to the guest network</html>', { 'content-type': 'text/html' }), unusable],
    ['200 with half of its JSON', raw(200, '{"access_token":"at-2","expi'), unusable],
    ['200 with null', raw(200, 'null'), unusable],
    ['200 with a list', json(200, [good]), unusable],
    ['200 without an access token', json(200, { ...good, access_token: undefined }), unusable],
    ['200 with an empty access token', json(200, { ...good, access_token: '' }), unusable],
    ['200 with an access token of two lines', json(200, { ...good, access_token: 'a\r\nb' }), unusable],
    ['200 with a token of another type', json(200, { ...good, token_type: 'mac' }), unusable],
    ['200 with a lifetime that makes no sense', json(200, { ...good, expires_in: 'soon' }), unusable],
    ['200 with a refresh token that is an object', json(200, { ...good, refresh_token: {} }), unusable],
    ['200 with a body that never ends', (_, response) => void response.writeHead(200).write(`{"x":"${'x'.repeat(200_000)}`), unusable],
    [
      '200 that is cut off',
      (_, response) => void response.writeHead(200, { 'content-length': '999' }).write('{', () => response.destroy()),
      unanswered,
    ],
    ['nothing: the connection is cut', (request) => void request.socket.destroy(), unanswered],
    ['nothing: the connection is reset', (request) => void request.socket.resetAndDestroy(), unanswered],
    // It worked.
    ['200', json(200, good), refreshed],
    ['201', json(201, good), refreshed],
    ['200 with an error that is null', json(200, { ...good, error: null }), refreshed],
    ['200 as text/html', raw(200, JSON.stringify(good), { 'content-type': 'text/html' }), refreshed],
    ['200 with the lifetime as text, and no new refresh token', json(200, { ...good, expires_in: '3600', refresh_token: undefined }), refreshed],
    ['200 without a lifetime', json(200, { ...good, expires_in: undefined }), { ...refreshed, next: null }],
    ['200 with a token that has ended', json(200, { ...good, expires_in: 0 }), { ...refreshed, next: [29, 31] }],
  ];
  test.each(standard)('%s', async (_, given, expected) => {
    answer = given;
    await expectEnd('standard', expected);
    expect(asked).toBe(1);
  });

  const told: readonly (readonly [string, Answer, End])[] = [
    ['its own word for an ended authorization, with 200', json(200, { ok: false, err: { code: 'gone' } }), ended],
    ['its own number for it, with 500', json(500, { ok: false, err: { code: 17 } }), ended],
    ['its own word for "later", with 401', json(401, { err: { code: 'busy' } }, { 'retry-after': '45' }), awayFor(45)],
    ['its own word for a wrong secret, with 403', json(403, { err: { code: 'key' } }), misconfigured],
    ['an error that the definition does not know', json(200, { ok: true, err: { code: 'new' } }), refused],
    ['no success, and no reason', json(200, { ...good, ok: false }), refused],
    ['a success that is not told', json(200, good), refused],
    ['a success', json(200, { ...good, ok: true }), refreshed],
  ];
  test.each(told)('as a definition says: %s', async (_, given, expected) => {
    answer = given;
    await expectEnd('own', expected);
    expect(asked).toBe(1);
  });

  const twice: readonly (readonly [string, readonly (readonly [Answer, End])[]])[] = [
    [
      '401 without a word, to two connections',
      [
        [raw(401), unexplained],
        [raw(401), misconfigured],
      ],
    ],
    [
      '401 without a word, after another connection heard invalid_client',
      [
        [error(400, 'invalid_client'), misconfigured],
        [raw(401), misconfigured],
      ],
    ],
    [
      '401 without a word, with one accepted in between',
      [
        [raw(401), unexplained],
        [json(200, good), refreshed],
        [raw(401), unexplained],
      ],
    ],
    [
      '401 without a word, with another failure in between',
      [
        [raw(401), unexplained],
        [raw(503), away],
        [raw(401), misconfigured],
      ],
    ],
  ];
  test.each(twice)('%s', async (_, steps) => {
    for (const [given, expected] of steps) {
      answer = given;
      await expectEnd('standard', expected);
    }
  });

  test('that never comes, for nobody listens', async () => {
    await expectEnd('nobody', failing('provider_unreachable', true));
    expect(asked).toBe(0);
  });

  test('that does not come in time', async () => {
    answer = () => {};
    await expectEnd('standard', unanswered);
  }, 20_000);
});
