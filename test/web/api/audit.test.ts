import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateKeyRing } from '../../../src/outside/key-ring.ts';
import { migrateDatabase } from '../../../src/outside/postgres/database.ts';
import { auditActions } from '../../../src/protocol/audit-actions.ts';
import { endpoints } from '../../../src/web/api/router.ts';
import { type Scene, startScene } from '../../flows/scene.ts';
import { firstBroken, type Row, wholeLog } from '../../harness/audit-log.ts';
import { packageRoot, problemOf, startTestBroker } from '../../harness/broker.ts';
import { createTestDatabase, type TestDatabase } from '../../harness/database.ts';
import { type Ask, ask, json, type Told } from './ask.ts';

/** Each call that is no GET leaves its row: by whom, from where, to what, and no secret in it. */

const returnUrl = 'https://app.example/connected';
const rootKey = 'the-root-key-of-these-tests-0123456789';
const env = { GRANTRY_ROOT_KEY: rootKey, GRANTRY_KEYS: generateKeyRing(), TRUST_PROXY: '1' };
const from = '198.51.100.7';
/** What must be nowhere in the log. */
const secrets = new Set<string>([rootKey]);

let database: TestDatabase;
let scene: Scene;
let admin: string;
let adminId: string;

beforeAll(async () => {
  database = await createTestDatabase({ migrate: (url) => migrateDatabase(url, join(packageRoot, 'drizzle')) });
  scene = await startScene({ env, database });
  const as = scene.providers.authorizationServer;
  await scene.define(as.definition);
  await scene.root.call('PATCH', '/v1/projects/default', { body: { return_urls: [returnUrl] } });
  await scene.integrate(as, { id: 'as', provider: 'sandbox-as' });
  await scene.integrate(as, { id: 'named', provider: 'sandbox-as', verification: 'user' });
  const made = await scene.root.call<{ id: string; key: string }>('POST', '/v1/api-keys', { body: { name: 'admin', scopes: ['admin'] } });
  [admin, adminId] = [made.key, made.id];
  for (const secret of [admin, as.client.client_secret]) secrets.add(secret);
});
afterAll(async () => {
  await scene?.stop();
  await database?.drop();
});

const asked = (request: Ask & { id?: string }): Promise<Told> =>
  ask(scene.url, {
    key: admin,
    ...request,
    headers: { 'x-forwarded-for': `203.0.113.9, ${from}`, ...(request.id !== undefined && { 'x-request-id': request.id }), ...request.headers },
  });

type Step = {
  call: string;
  ids?: Record<string, string>;
  body?: unknown;
  target: (answer: Record<string, unknown>) => unknown;
  details?: object;
  key?: string;
  project?: string | null;
};

/** Every secret-looking value of an answer: what is shown once, tokens, URLs of links. */
function learn(answer: Record<string, unknown>): void {
  for (const name of ['key', 'secret', 'access_token', 'refresh_token', 'url']) {
    const value = answer[name];
    if (typeof value === 'string') secrets.add(name === 'url' ? (value.split('/connect/')[1] ?? value) : value);
  }
}

async function take({ call, ids = {}, body, key }: Step, id: string): Promise<Record<string, unknown>> {
  const [method = '', path = ''] = call.split(' ');
  const sent = typeof body === 'string' ? { headers: { 'content-type': 'application/json' }, body } : body === undefined ? {} : json(body);
  const filled = path.replace(/:([a-z]+)/g, (_, name: string) => ids[name] ?? '');
  const { status, text } = await asked({ method: method.toUpperCase(), path: filled, ...sent, id, ...(key !== undefined && { key }) });
  expect([call, status, text]).toEqual([call, expect.toSatisfy((code: number) => code >= 200 && code < 300), text]);
  const answer = text === '' ? {} : JSON.parse(text);
  learn(answer);
  return answer;
}

describe('a call that is no GET', () => {
  const told = new Map<string, { step: Step; answer: Record<string, unknown> }>();

  beforeAll(async () => {
    const as = scene.providers.authorizationServer;
    let n = 0;
    const does = async (step: Step) => {
      n += 1;
      const id = `req_audit_${String(n).padStart(4, '0')}`;
      const answer = await take(step, id);
      told.set(id, { step, answer });
      return answer;
    };
    const own = (answer: Record<string, unknown>) => answer.id;
    const is = (id: unknown) => () => id;
    const rename = { ...JSON.parse(as.definition), id: 'mine' };

    await does({ call: 'post /v1/projects', body: { id: 'beta', name: 'Beta' }, key: rootKey, target: is('beta'), project: 'beta' });
    await does({
      call: 'patch /v1/projects/:id',
      ids: { id: 'beta' },
      body: { name: 'B' },
      key: rootKey,
      target: is('beta'),
      project: 'beta',
      details: { changed: ['name'] },
    });
    const key = await does({
      call: 'post /v1/api-keys',
      body: { name: 'worker', scopes: ['tokens'] },
      target: own,
      details: { name: 'worker', scopes: ['tokens'], expires_at: null },
    });
    await does({
      call: 'patch /v1/api-keys/:id',
      ids: { id: String(key.id) },
      body: { name: 'renamed' },
      target: is(key.id),
      details: { changed: ['name'] },
    });
    await does({ call: 'post /v1/encryption/rotate', key: rootKey, target: own, project: null });
    const next = await does({ call: 'post /v1/api-keys/:id/rotate', ids: { id: String(key.id) }, body: { overlap: 60 }, target: is(key.id) });
    expect(next.id).not.toBe(key.id);
    await scene.root.call('POST', '/v1/projects', { body: { id: 'gamma', name: 'Gamma' } });
    await does({ call: 'delete /v1/projects/:id', ids: { id: 'gamma' }, key: rootKey, target: is('gamma'), project: 'gamma' });
    await does({ call: 'delete /v1/api-keys/:id', ids: { id: String(key.id) }, target: is(key.id) });
    await does({ call: 'post /v1/providers/validate', body: JSON.stringify(rename), target: is('mine') });
    await does({ call: 'post /v1/providers/discover', body: { issuer: as.issuer }, target: is(null), details: { host: new URL(as.issuer).host } });
    await does({ call: 'put /v1/providers/:id', ids: { id: 'mine' }, body: JSON.stringify(rename), target: is('mine'), details: { version: 1 } });
    await does({
      call: 'post /v1/providers/:id/rollback',
      ids: { id: 'mine' },
      body: { version: 1 },
      target: is('mine'),
      details: { from: 1, version: 2 },
    });
    const secret = 'a-client-secret-that-nobody-may-read';
    secrets.add(secret);
    await does({
      call: 'post /v1/integrations',
      body: { id: 'two', provider: 'mine', client_id: 'x', client_secret: secret },
      target: is('two'),
      details: { provider: 'mine' },
    });
    await does({
      call: 'patch /v1/integrations/:id',
      ids: { id: 'two' },
      body: { client_secret: `${secret}2`, scopes: [] },
      target: is('two'),
      details: { changed: ['client_secret', 'scopes'] },
    });
    const made = await does({ call: 'post /v1/integrations/:id/test', ids: { id: 'as' }, body: {}, target: is('as') });
    expect(made.id).toMatch(/^lnk_/);
    await does({ call: 'delete /v1/integrations/:id', ids: { id: 'two' }, target: is('two') });
    await does({ call: 'delete /v1/providers/:id', ids: { id: 'mine' }, target: is('mine') });

    const hook = await does({ call: 'post /v1/webhook-endpoints', body: { url: 'http://127.0.0.1:9/a-path-that-is-a-secret' }, target: own });
    secrets.add('a-path-that-is-a-secret');
    await does({
      call: 'patch /v1/webhook-endpoints/:id',
      ids: { id: String(hook.id) },
      body: { description: 'x' },
      target: is(hook.id),
      details: { changed: ['description'] },
    });
    await does({
      call: 'post /v1/webhook-endpoints/:id/rotate-secret',
      ids: { id: String(hook.id) },
      body: { overlap: 60 },
      target: is(hook.id),
      details: { overlap_s: 60 },
    });
    await does({
      call: 'post /v1/connect-links',
      body: { integration: 'as', end_user: { id: 'the-name-of-an-end-user' } },
      target: own,
      details: { integration: 'as', reconnects: null },
    });
    secrets.add('the-name-of-an-end-user');
    const [delivery] = await scene.sql<{ id: string }>("update webhook_deliveries set status = 'failed', next_attempt_at = null returning id");
    await does({ call: 'post /v1/webhook-deliveries/:id/redeliver', ids: { id: delivery?.id ?? '' }, target: is(delivery?.id) });
    await does({ call: 'delete /v1/webhook-endpoints/:id', ids: { id: String(hook.id) }, target: is(hook.id) });

    as.switches.autoApprove = { user: 'ada' };
    const { callback, browser, link } = await scene.untilCallback('named', { return_url: returnUrl });
    const { location } = await scene.visit(callback, browser);
    const nonce = new URL(location).searchParams.get('nonce') ?? '';
    for (const [, value] of callback.searchParams) secrets.add(value);
    secrets.add(nonce);
    const confirmed = await does({
      call: 'post /v1/connect-links/:id/confirm',
      ids: { id: link.id },
      body: { nonce, end_user_id: 'u1' },
      target: is(link.id),
    });
    const id = String(confirmed.connection_id);
    learn(await scene.root.call<Record<string, unknown>>('GET', `/v1/connections/${id}/token`));
    const imported = { integration: 'as', end_user: { id: 'u2' }, import: { access_token: 'an-imported-access-token' } };
    secrets.add('an-imported-access-token');
    const other = await does({ call: 'post /v1/connections', body: imported, target: own, details: { integration: 'as', how: 'imported' } });
    await does({
      call: 'patch /v1/connections/:id',
      ids: { id: String(other.id) },
      body: { metadata: { note: 'a-note-of-the-integrator' } },
      target: is(other.id),
      details: { changed: ['metadata'] },
    });
    secrets.add('a-note-of-the-integrator');
    await does({ call: 'post /v1/connections/:id/refresh', ids: { id }, target: is(id) });
    await does({ call: 'post /v1/connections/:id/probe', ids: { id }, target: is(id), details: { answer: 'works' } });
    await does({ call: 'post /v1/connections/:id/sign', ids: { id }, body: { method: 'GET', url: `${as.url}/api/me` }, target: is(id) });
    await does({ call: 'delete /v1/connections/:id', ids: { id: String(other.id) }, target: is(other.id) });
  });

  const calls = endpoints.filter(({ method }) => method !== 'get');

  test('is made by these tests: say in the list above how a new one succeeds, and what it leaves', () => {
    const made = new Set([...told.values()].map(({ step }) => step.call));
    expect(calls.map(({ method, path }) => `${method} ${path}`).filter((call) => !made.has(call))).toEqual([]);
  });

  test.each(calls.filter(({ audit }) => audit?.counted !== true).map((endpoint) => [`${endpoint.method} ${endpoint.path}`, endpoint] as const))(
    'leaves its row: %s',
    async (call, { audit }) => {
      const rows = await wholeLog(scene.root);
      for (const [id, { step, answer }] of told) {
        if (step.call !== call) continue;
        const { project = 'default', key = admin } = step;
        expect(rows.filter(({ request_id }) => request_id === id)).toEqual([
          expect.objectContaining({
            action: audit?.action,
            actor: key === rootKey ? 'root' : adminId,
            project,
            target_id: step.target(answer),
            address: from,
            details: step.details === undefined ? expect.anything() : step.details,
          }),
        ]);
      }
    },
  );

  test('leaves no row when it is refused, unless the refusal counts', async () => {
    const before = (await wholeLog(scene.root)).length;
    const refused: [Ask, number][] = [
      [{ method: 'POST', path: '/v1/projects', key: rootKey, ...json({ id: 'beta', name: 'Taken' }) }, 409],
      [{ method: 'DELETE', path: '/v1/api-keys/key_nobody' }, 404],
      [{ method: 'POST', path: '/v1/providers/discover', ...json({ issuer: 'http://127.0.0.1:9' }) }, 503],
      [{ method: 'PATCH', path: '/v1/integrations/as', ...json({ nothing: 1 }) }, 400],
      [{ method: 'POST', path: '/v1/connect-links/lnk_nobody/confirm', ...json({ nonce: 'x'.repeat(43), end_user_id: 'u1' }) }, 404],
    ];
    for (const [request, status] of refused) expect([request.path, (await asked(request)).status]).toEqual([request.path, status]);
    // Nor is anything begun left, that would be told later.
    expect(await scene.sql('select entry from audit_pending where count is null and due_at > now()')).toEqual([]);
    const rows = await wholeLog(scene.root);
    expect(rows.slice(before).map(({ action, details }) => [action, details])).toEqual([
      ['provider.discovered', { outcome: 'failed', error: expect.any(String) }],
    ]);
    const { callback, browser, link } = await scene.untilCallback('named', { return_url: returnUrl });
    const nonce = new URL((await scene.visit(callback, browser)).location).searchParams.get('nonce');
    expect((await asked({ method: 'POST', path: `/v1/connect-links/${link.id}/confirm`, ...json({ nonce, end_user_id: 'u9' }) })).status).toBe(403);
    const [row] = await wholeLog(scene.root, { action: 'connect_link.confirmed', target: link.id });
    expect(row?.details).toEqual({ outcome: 'failed', error: 'wrong_user' });
  });

  test('that is repeated under its Idempotency-Key leaves one row', async () => {
    const request = { method: 'POST', path: '/v1/connect-links', body: JSON.stringify({ integration: 'as', end_user: { id: 'u1' } }) };
    const again = { ...request, headers: { 'content-type': 'application/json', 'idempotency-key': 'once' } };
    const ids = [await asked(again), await asked(again)].map(({ text }) => JSON.parse(text).id);
    expect(ids[0]).toBe(ids[1]);
    expect(await wholeLog(scene.root, { target: ids[0] })).toHaveLength(1);
  });

  test('puts no secret into the log, nor into what waits for it', async () => {
    const waiting = await scene.sql<{ text: string }>('select entry::text as text from audit_pending');
    const text = `${JSON.stringify(await wholeLog(scene.root))}${JSON.stringify(waiting)}`;
    expect(text).toContain('connect_link.confirmed');
    expect(secrets.size).toBeGreaterThan(15);
    expect([...secrets].filter((secret) => text.includes(secret))).toEqual([]);
  });

  test('goes through the chain, which holds', async () => {
    expect(firstBroken(await wholeLog(scene.root))).toBeUndefined();
  });
});

describe('the log', () => {
  const listed = (key: string, query = '') => asked({ path: `/v1/audit${query}`, key });
  const rowsOf = ({ text }: Told): Row[] => JSON.parse(text).data;

  test('is an admin’s for her own project, and nobody else’s', async () => {
    const beta = await scene.clientWith(['admin'], 'beta');
    const rows = rowsOf(await listed(beta.key));
    expect(rows.length).toBeGreaterThanOrEqual(3);
    expect(new Set(rows.map(({ project }) => project))).toEqual(new Set(['beta']));
    const { key } = await scene.clientWith(['connect', 'tokens']);
    for (const path of ['', '/head']) expect((await listed(key, path)).status).toBe(403);
    expect(new Set(rowsOf(await listed(rootKey, '?limit=1000')).map(({ project }) => project))).toEqual(new Set(['default', 'beta', 'gamma', null]));
  });

  test('is filtered and paged, in both directions', async () => {
    const all = await wholeLog(scene.root);
    const newest = rowsOf(await listed(rootKey, '?limit=1000'));
    expect(newest).toEqual([...all].reverse());
    const byHand = async (query: string) => rowsOf(await listed(rootKey, `?order=oldest&limit=1000&${query}`)).map(({ seq }) => seq);
    const seqs = (keep: (row: Row) => boolean) => all.filter(keep).map(({ seq }) => seq);
    expect(await byHand('action=key.created')).toEqual(seqs(({ action }) => action === 'key.created'));
    expect(await byHand(`actor=${adminId}`)).toEqual(seqs(({ actor }) => actor === adminId));
    expect(await byHand('target=beta')).toEqual(seqs(({ target_id }) => target_id === 'beta'));
    const middle = all[Math.floor(all.length / 2)]?.at ?? '';
    expect(await byHand(`from=${middle}`)).toEqual(seqs(({ at }) => at >= middle));
    expect(await byHand(`to=${middle}`)).toEqual(seqs(({ at }) => at < middle));
    const paged: Row[] = [];
    for (let cursor = ''; ; ) {
      const { data, next_cursor } = JSON.parse((await listed(rootKey, `?limit=7${cursor}`)).text);
      paged.push(...data);
      if (next_cursor === null) break;
      cursor = `&cursor=${next_cursor}`;
    }
    expect(paged).toEqual(newest);
    for (const query of ['?action=nothing.done', '?limit=1001', '?order=none', '?cursor=eA', '?from=then'])
      expect((await listed(rootKey, query)).status).toBe(400);
  });

  test('has a head: the newest row', async () => {
    const [newest] = rowsOf(await listed(rootKey, '?limit=1'));
    expect(JSON.parse((await listed(admin, '/head')).text)).toEqual({ seq: newest?.seq, hash: newest?.hash });
  });
});

describe('when the log cannot be written', () => {
  const failing = (when: string) =>
    scene.sql(
      `create or replace function full_disk() returns trigger language plpgsql as $$ begin raise exception 'full' using errcode = '53100'; end $$;
       create trigger full_disk before ${when} on audit_pending for each row execute function full_disk()`,
    );
  const mended = () => scene.sql('drop trigger full_disk on audit_pending');

  test('nothing is begun', async () => {
    await failing('insert');
    const answer = await asked({ method: 'POST', path: '/v1/projects', key: rootKey, ...json({ id: 'unseen', name: 'Unseen' }) });
    await mended();
    expect([answer.status, JSON.parse(answer.text).code]).toEqual([503, 'unavailable']);
    expect(await problemOf(scene.root.call('GET', '/v1/projects/unseen'))).toMatchObject({ status: 404 });
  });

  test('what was begun is told as of unknown outcome', async () => {
    // Only the insert goes through: the second word, which is an update, does not, as after a crash.
    await failing('update');
    expect((await asked({ method: 'POST', path: '/v1/projects', key: rootKey, ...json({ id: 'half', name: 'Half' }) })).status).toBe(201);
    await scene.sql('alter table audit_pending disable trigger full_disk');
    await scene.sql(`update audit_pending set due_at = now() where entry ->> 'target_id' = 'half'`);
    const rows = await wholeLog(scene.root, { target: 'half' });
    await mended();
    expect(rows.map(({ action, details }) => [action, details])).toEqual([['project.created', { outcome: 'unknown' }]]);
  });
});

test('releases and refusals are counted exactly over an orderly stop', async () => {
  const [connection] = await scene.sql<{ id: string }>(
    `select id from connections where deleted_at is null and status = 'active' order by id limit 1`,
  );
  const path = `/v1/connections/${connection?.id}/token`;
  const worker = await scene.clientWith(['tokens']);
  const { key: weak } = await scene.clientWith(['connect']);
  const second = await startTestBroker({ database, env });
  const releases = (url: string, count: number) => Promise.all(Array.from({ length: count }, () => ask(url, { path, key: worker.key })));
  await releases(second.url, 170);
  await releases(scene.url, 30);
  // By the way that all other calls take, as well.
  expect((await ask(second.url, { path: `${path}?min_ttl=${'0'.repeat(1_000)}`, key: worker.key })).status).toBe(200);
  const sign = json({ method: 'GET', url: `${scene.providers.authorizationServer.url}/api/me` });
  expect((await ask(second.url, { method: 'POST', path: path.replace('token', 'sign'), key: worker.key, ...sign })).status).toBe(200);
  for (let n = 0; n < 25; n += 1)
    expect((await ask(second.url, { path, key: `grt_${String(n).padStart(26, '0')}_${'x'.repeat(43)}` })).status).toBe(401);
  for (const asks of [{ path }, { path: '/v1/api-keys' }, { path: '/v1/projects' }])
    expect((await ask(second.url, { ...asks, key: weak })).status).toBe(403);
  const limited = async (limits: object) =>
    (await scene.root.call<{ key: string }>('POST', '/v1/api-keys', { body: { name: 'limited', scopes: ['connect', 'tokens'], limits } })).key;
  const [elsewhere, narrow] = [await limited({ addresses: ['192.0.2.0/24'] }), await limited({ integration: 'as' })];
  const link = json({ integration: 'named', end_user: { id: 'u1' } });
  for (const at of [path, '/v1/connections']) expect((await ask(second.url, { path: at, key: elsewhere })).status).toBe(403);
  expect((await ask(second.url, { method: 'POST', path: '/v1/connect-links', key: narrow, ...link })).status).toBe(403);
  await second.stop();
  await scene.broker.stop();
  const third = await startTestBroker({ database, env });
  await third.sql('update audit_pending set due_at = now()');
  const rows = await wholeLog(third.root);
  expect(firstBroken(rows)).toBeUndefined();
  const counted = (action: string, keep: (row: Row) => boolean) =>
    rows.filter((row) => row.action === action && keep(row)).reduce((sum, { details }) => sum + Number(details.count), 0);
  const [workerId, weakId] = await Promise.all(
    [worker, { key: weak }].map(async ({ key }) => JSON.parse((await ask(third.url, { path: '/v1/api-keys/current', key })).text).id),
  );
  expect(counted('token.released', (row) => row.actor === workerId && row.target_id === connection?.id && row.address === '127.0.0.1')).toBe(202);
  expect(counted('auth.refused', ({ actor, project, target_id }) => actor === 'unknown' && project === null && target_id === null)).toBe(25);
  expect(counted('auth.forbidden', ({ actor, project }) => actor === weakId && project === 'default')).toBe(3);
  // A right key from a wrong place, and one that reaches for more than it may.
  expect(counted('auth.forbidden', ({ actor, address }) => actor !== weakId && address === '127.0.0.1')).toBe(3);
  expect(rows.every(({ action }) => Object.hasOwn(auditActions, action))).toBe(true);
  await third.stop();
}, 60_000);
