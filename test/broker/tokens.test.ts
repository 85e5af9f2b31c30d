import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { keepHouse } from '../../src/broker/housekeeping.ts';
import { problemOf, startWholeSandbox } from '../harness/broker.ts';
import { ask, refusalOf } from '../web/api/ask.ts';
import { connect, expire, type Whole, withAuthorizationServer } from './connected.ts';

let world: Whole;
let id: string;
let worker: Awaited<ReturnType<Whole['clientWith']>>;

beforeAll(async () => {
  world = await startWholeSandbox();
  await withAuthorizationServer(world);
  worker = await world.clientWith(['tokens']);
});
afterAll(() => world.stop());
beforeEach(async () => {
  as().switches.fault = { kind: 'none' };
  as().switches.accessTokenTtlS = 3600;
  id = await connect(world);
});
afterEach(() => vi.restoreAllMocks());

const as = () => world.sandbox.providers.authorizationServer;
const refreshes = () => as().counters.token.refresh_token ?? 0;
const token = async (wish?: { minTtlS?: number; force?: boolean }) => (await worker.getToken(id, wish)).access_token;
const isProcessed = (text: unknown) => typeof text === 'string';
/** Lets the token be `ageS` seconds old. */
const age = (ageS: number) =>
  world.sql(
    'update connections set issued_at = issued_at - make_interval(secs => $2), expires_at = expires_at - make_interval(secs => $2) where id = $1',
    [id, ageS],
  );
const types = async () =>
  (await world.root.call<{ data: { type: string; data: object }[] }>('GET', `/v1/connections/${id}/events`)).data.map(({ type }) => type);

test('a fresh token costs at most two statements, and none of them writes', async () => {
  await token();
  let statements: string[] = [];
  const query = pg.Client.prototype.query;
  vi.spyOn(pg.Client.prototype, 'query').mockImplementation(function (this: pg.Client, ...args: unknown[]) {
    const [first] = args;
    statements.push(isProcessed(first) ? String(first) : typeof first === 'object' && first !== null && 'text' in first ? String(first.text) : '?');
    return Reflect.apply(query, this, args);
  });
  // What the process writes down by itself now and then may come in between: the quietest of some counts.
  const counts: string[][] = [];
  for (let n = 0; n < 5; n += 1) {
    statements = [];
    await token();
    counts.push(statements);
  }
  [statements = []] = counts.sort((a, b) => a.length - b.length);
  expect(statements.length).toBeGreaterThan(0);
  expect(statements.length).toBeLessThanOrEqual(2);
  for (const statement of statements) expect(statement.trim()).toMatch(/^select\b(?!.*\b(?:insert|update|delete|for update)\b)/is);
});

describe('min_ttl', () => {
  test('lets a token be refreshed that has less to live, once', async () => {
    const first = await token({ minTtlS: 3000 });
    await age(2800);
    expect(await token({ minTtlS: 700 })).toBe(first);
    const before = refreshes();
    const second = await token({ minTtlS: 900 });
    expect(second).not.toBe(first);
    expect(await token({ minTtlS: 900 })).toBe(second);
    expect(refreshes() - before).toBe(1);
  });

  test('beyond the lifetime refreshes at most once per tenth of it', async () => {
    const first = await token({ minTtlS: 7200 });
    const before = refreshes();
    await age(300);
    expect(await token({ minTtlS: 7200 })).toBe(first);
    expect(refreshes()).toBe(before);
    await age(100);
    const second = await token({ minTtlS: 7200 });
    expect(second).not.toBe(first);
    for (let call = 0; call < 5; call += 1) expect(await token({ minTtlS: 7200 })).toBe(second);
    expect(refreshes() - before).toBe(1);
  });

  test('is 60 s when nothing is said, and 0 hands out whatever lives', async () => {
    const first = await token();
    await age(3545);
    expect(await token({ minTtlS: 0 })).toBe(first);
    expect(await token()).not.toBe(first);
  });

  test.each([
    'min_ttl=-1',
    'min_ttl=1.5',
    'min_ttl=abc',
    'min_ttl=',
    'min_ttl=86401',
    'min_ttl=1&min_ttl=2',
    'force=yes',
    'force=',
    'other=1',
    'min_ttl=%00',
  ])('refuses %s', async (query) => {
    const answer = refusalOf(await ask(world.url, { path: `/v1/connections/${id}/token?${query}`, key: worker.key }));
    expect(answer).toMatchObject({ status: 400, code: 'invalid_request', pointers: [`/${query.split('=')[0]}`] });
    const nobody = await ask(world.url, { path: `/v1/connections/${id}/token?${query}`, key: 'nobody' });
    expect(nobody.status).toBe(401);
  });
});

test('all faults of a query are told together, one for each name', async () => {
  const query = 'other=1&min_ttl=x&a%2Fb~=2&force=1&force=2&force=0&other=2';
  const { pointers } = refusalOf(await ask(world.url, { path: `/v1/connections/${id}/token?${query}`, key: worker.key }));
  expect([...pointers].sort()).toEqual(['/a~1b~0', '/force', '/min_ttl', '/other']);
});

test('each request leaves one line that names the key and never holds it, nor the token', async () => {
  const told = async (requestId: string, key: string, query = '', connection = id) => {
    await ask(world.url, { path: `/v1/connections/${connection}/token${query}`, key, headers: { 'x-request-id': requestId } });
    return world.logged.filter((line) => line.includes(requestId)).map((line) => JSON.parse(line));
  };
  const reader = await world.clientWith(['connect']);
  const [{ id: keyId } = { id: '' }] = await world.sql<{ id: string }>(`select id from api_keys where name = 'connect'`);
  const line = (level: string, status: number) => ({ level, status, connection: id, msg: 'token request' });
  expect(await told('log-line-200', worker.key)).toEqual([
    expect.objectContaining({ ...line('debug', 200), key_id: expect.stringMatching(/^key_/) }),
  ]);
  expect(await told('log-line-400', world.broker.rootKey, '?x=1')).toEqual([
    expect.objectContaining({ ...line('info', 400), error: 'invalid_request', key_id: 'root' }),
  ]);
  expect(await told('log-line-401', 'nobody')).toEqual([expect.objectContaining({ ...line('info', 401), error: 'unauthorized', key_id: null })]);
  expect(await told('log-line-403', reader.key)).toEqual([expect.objectContaining({ ...line('info', 403), error: 'forbidden', key_id: keyId })]);
  const nobodys = 'con_00000000000000000000000000';
  expect(await told('log-line-404', worker.key, '', nobodys)).toEqual([expect.objectContaining({ status: 404, connection: nobodys })]);
  const all = world.logged.join('');
  for (const secret of [await token(), worker.key, reader.key, world.broker.rootKey]) expect(all).not.toContain(secret);
});

test('force refreshes a token that lives', async () => {
  const first = await token();
  const second = await token({ force: true });
  expect(second).not.toBe(first);
  expect(await token()).toBe(second);
});

describe('while the provider', () => {
  test.each([
    ['is down', { kind: 'down' }],
    ['answers 500', { kind: 'error_500' }],
    ['answers garbage', { kind: 'garbage' }],
    ['cuts the connection', { kind: 'drop' }],
    ['hangs', { kind: 'slow', ms: 60_000 }],
    ['refuses our client', { kind: 'invalid_client' }],
    ['refuses the request', { kind: 'refuse', error: 'invalid_request', status: 400 }],
  ] as const)('%s a living token is handed out, and the provider is asked once', async (_, fault) => {
    const first = await token();
    await age(3550);
    as().switches.fault = fault;
    const before = refreshes();
    expect(await token({ minTtlS: 300 })).toBe(first);
    if (fault.kind !== 'slow') expect(await token({ minTtlS: 300 })).toBe(first);
    as().switches.fault = { kind: 'none' };
    expect(refreshes() - before).toBeLessThanOrEqual(1);
    const { status, expires_at } = await world.root.call<{ status: string; expires_at: string }>('GET', `/v1/connections/${id}`);
    expect(Date.parse(expires_at)).toBeGreaterThan(Date.now());
    expect(['active', 'refresh_failing']).toContain(status);
    await world.root.call('PATCH', '/v1/integrations/as', { body: { client_secret: as().client.client_secret } });
  });

  test('is down an ended token is 503 with Retry-After, and works again when it is back', async () => {
    const first = await token();
    await expire(world, id);
    as().switches.fault = { kind: 'down' };
    const answer = await problemOf(worker.getToken(id));
    expect(answer).toMatchObject({
      status: 503,
      code: 'provider_unavailable',
      problem: { last_error: { code: 'provider_unavailable', retryable: true } },
    });
    expect(answer.retryAfterS).toBeGreaterThan(0);
    const asked = as().counters.token.refresh_token;
    expect(await problemOf(worker.getToken(id))).toMatchObject({ status: 503 });
    expect(as().counters.token.refresh_token).toBe(asked);
    as().switches.fault = { kind: 'none' };
    await world.sql(`update connections set retry_at = now() where id = $1`, [id]);
    expect(await token()).not.toBe(first);
    expect((await types()).slice(0, 3)).toEqual(['connection.recovered', 'connection.refreshed', 'connection.refresh_failing']);
    expect(await world.root.call('GET', `/v1/connections/${id}`)).toMatchObject({ status: 'active', last_error: null, failing_since: null });
  });

  test('asks to wait, the caller is told how long', async () => {
    await expire(world, id);
    as().switches.fault = { kind: 'retry_after', seconds: 1200, status: 429 };
    const answer = await problemOf(worker.getToken(id));
    expect(answer).toMatchObject({ status: 503, code: 'provider_unavailable' });
    expect(answer.retryAfterS).toBeGreaterThanOrEqual(1200);
    expect(answer.retryAfterS).toBeLessThan(1210);
  });

  test('has ended the grant the answer is 409 with the reason, since when, and the way back', async () => {
    as().revokeUser('ada');
    await expire(world, id);
    const answer = await problemOf(worker.getToken(id));
    expect(answer).toMatchObject({ status: 409, code: 'reauthorization_required', problem: { reason: 'invalid_grant', connection_id: id } });
    expect(Math.abs(Date.parse(String(answer.problem.since)) - Date.now())).toBeLessThan(10_000);
    expect(await problemOf(worker.call('POST', `/v1/connections/${id}/refresh`))).toMatchObject({
      status: 409,
      problem: { ...answer.problem, request_id: expect.any(String) },
    });
    expect(await problemOf(worker.call('POST', `/v1/connections/${id}/probe`))).toMatchObject({ status: 409, code: 'reauthorization_required' });
    expect(await types()).toContain('connection.reauthorization_required');
    const { method, path, body } = answer.problem.reconnect as { method: 'POST'; path: string; body: object };
    expect(await world.root.call(method, path, { body })).toMatchObject({ status: 'pending' });
  });

  test('refuses our client the integration is misconfigured, and all goes on when it is mended', async () => {
    await expire(world, id);
    await world.root.call('PATCH', '/v1/integrations/as', { body: { client_secret: 'wrong' } });
    expect(await problemOf(worker.getToken(id))).toMatchObject({ status: 409, code: 'misconfigured' });
    expect(await problemOf(worker.getToken(id))).toMatchObject({ status: 409, code: 'misconfigured' });
    expect(await problemOf(worker.call('POST', `/v1/connections/${id}/refresh`))).toMatchObject({ status: 409, code: 'misconfigured' });
    expect(await world.root.call('GET', '/v1/integrations/as')).toMatchObject({ status: 'misconfigured' });
    expect(await world.root.call('GET', `/v1/connections/${id}`)).toMatchObject({
      status: 'refresh_failing',
      last_error: { code: 'invalid_client' },
    });
    expect(await world.root.call('PATCH', '/v1/integrations/as', { body: { client_secret: as().client.client_secret } })).toMatchObject({
      status: 'active',
    });
    expect(await token()).toEqual(expect.any(String));
    const { data } = await world.root.call<{ data: { type: string }[] }>('GET', '/v1/events', { query: { limit: 20 } });
    expect(data.map(({ type }) => type)).toEqual(expect.arrayContaining(['integration.misconfigured', 'integration.recovered']));
  });
});

test('the refresh call refreshes, and says so when nothing can be refreshed', async () => {
  const first = await token();
  const answer = await worker.call('POST', `/v1/connections/${id}/refresh`);
  expect(answer).toMatchObject({ id, status: 'active', refresh_count: 1, last_refreshed_at: expect.any(String) });
  expect(await token()).not.toBe(first);
  const imported = await world.root.call<{ id: string }>('POST', '/v1/connections', {
    body: { integration: 'as', end_user: { id: 'u2' }, import: { access_token: 'at' } },
  });
  expect(await problemOf(worker.call('POST', `/v1/connections/${imported.id}/refresh`))).toMatchObject({ status: 422, code: 'unsupported' });
});

test('a token that nothing can renew ends in 409', async () => {
  const body = { integration: 'as', end_user: { id: 'u2' }, import: { access_token: 'at', expires_at: new Date(Date.now() - 60_000).toISOString() } };
  const imported = await world.root.call<{ id: string }>('POST', '/v1/connections', { body });
  expect(await problemOf(worker.getToken(imported.id))).toMatchObject({
    status: 409,
    code: 'reauthorization_required',
    problem: { reason: 'expired' },
  });
  await keepHouse(world.broker.world);
  expect(await world.root.call('GET', `/v1/connections/${imported.id}`)).toMatchObject({ status: 'reauthorization_required', reason: 'expired' });
  const again = await problemOf(worker.getToken(imported.id));
  expect(again).toMatchObject({ status: 409, code: 'reauthorization_required', problem: { reason: 'expired' } });
  expect(Math.abs(Date.parse(String(again.problem.since)) - Date.parse(body.import.expires_at))).toBeLessThan(5_000);
  const { data } = await world.root.call<{ data: { type: string; data: object }[] }>('GET', `/v1/connections/${imported.id}/events`);
  expect(data[0]).toMatchObject({ type: 'connection.reauthorization_required', data: { reason: 'expired' } });
  expect((await keepHouse(world.broker.world)).endedConnections).toBe(0);
});

test('an imported token that has ended is refreshed before it is handed out', async () => {
  const { refresh_token } = JSON.parse(
    await world.broker.world.seal.open({ project: 'default', table: 'connections', row: id, field: 'credential', version: 1 }, await sealed()),
  );
  const body = {
    integration: 'as',
    end_user: { id: 'u3' },
    import: { access_token: 'ended', refresh_token, expires_at: new Date(Date.now() - 60_000).toISOString() },
  };
  const imported = await world.root.call<{ id: string }>('POST', '/v1/connections', { body });
  expect((await worker.getToken(imported.id)).access_token).not.toBe('ended');
});
const sealed = async () => String((await world.sql('select credential_sealed from connections where id = $1', [id]))[0]?.credential_sealed);

test('neither the log nor any event nor any answer but the one holds a secret', async () => {
  const first = await token();
  await token({ force: true });
  const opened = await world.broker.world.seal.open(
    { project: 'default', table: 'connections', row: id, field: 'credential', version: 2 },
    await sealed(),
  );
  const secrets = [
    first,
    JSON.parse(opened).access_token,
    JSON.parse(opened).refresh_token,
    as().client.client_secret,
    worker.key,
    world.broker.rootKey,
  ];
  const events = JSON.stringify(await world.root.call('GET', '/v1/events', { query: { limit: 200 } }));
  const shown = JSON.stringify([
    await world.root.call('GET', `/v1/connections/${id}`),
    await world.root.call('GET', '/v1/integrations/as'),
    await world.root.call('GET', '/v1/api-keys'),
  ]);
  for (const secret of secrets) {
    expect(secret?.length).toBeGreaterThan(10);
    for (const place of [events, shown, world.logged.join('')]) expect(place).not.toContain(secret);
  }
  expect(world.logged.length).toBeGreaterThan(20);
});
