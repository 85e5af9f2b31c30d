import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keepHouse } from '../../../src/broker/housekeeping.ts';
import type { World } from '../../../src/broker/world.ts';
import { createGrantryClient, type GrantryClient } from '../../../src/client/client.ts';
import { scopes } from '../../../src/outside/postgres/project-scope.ts';
import { createBrowser } from '../../../src/sandbox/browser.ts';
import { connect, expire, type Whole, withAuthorizationServer } from '../../broker/connected.ts';
import { startWholeSandbox } from '../../harness/broker.ts';

/**
 * No statement reaches for rows of a project without naming the project, and Postgres itself would not give them out: every method of the
 * store that works in one project is called at least once, and each statement that it sends is looked at.
 */

type Sent = { method: string | undefined; text: string; values: unknown[]; session: string | undefined };

const running = new AsyncLocalStorage<string>();
const sent: Sent[] = [];
const called = new Set<string>();
const sessions = new WeakMap<object, string>();
const realQuery = pg.Client.prototype.query;

/** Watches every statement of this process. */
function watchStatements(): void {
  pg.Client.prototype.query = function (this: pg.Client, ...given: unknown[]) {
    const [first, second] = given;
    const config = typeof first === 'object' && first !== null ? (first as { text?: string; values?: unknown[] }) : { text: String(first) };
    const values = config.values ?? (Array.isArray(second) ? second : []);
    if (/set_config\('grantry\.project'/.test(config.text ?? '')) sessions.set(this, String(values[0]));
    else sent.push({ method: running.getStore(), text: config.text ?? '', values, session: sessions.get(this) });
    return Reflect.apply(realQuery, this, given);
  } as typeof realQuery;
}

/** The store, each method of which says that it is called while it runs. */
function named(world: World): World {
  const groups = Object.entries(world.store).map(([group, methods]) => {
    if (typeof methods === 'function') return [group, methods];
    const watched = new Proxy(methods as Record<string, (...given: unknown[]) => unknown>, {
      get(target, name) {
        const method = Reflect.get(target, name);
        if (typeof method !== 'function') return method;
        return (...given: unknown[]) => {
          called.add(`${group}.${String(name)}`);
          return running.run(`${group}.${String(name)}`, () => Reflect.apply(method, target, given));
        };
      },
    });
    return [group, watched];
  });
  return { ...world, store: Object.fromEntries(groups) };
}

/** Statements of this file. */
const theTest = 'the test';

let world: Whole;
let owned: string[];
beforeAll(async () => {
  watchStatements();
  const started = await startWholeSandbox({ adapt: named });
  world = { ...started, sql: (...given) => running.run(theTest, () => started.sql(...given)) };
  const rows = await world.sql<{ name: string }>(
    `select c.table_name as name from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
     where c.column_name = 'project_id' and c.table_schema = 'public' and t.table_type = 'BASE TABLE' order by 1`,
  );
  owned = rows.map(({ name }) => name);
  // The default project was made in the start.
  sent.length = 0;
});
afterAll(async () => {
  pg.Client.prototype.query = realQuery;
  await world?.stop();
});

const project = 'shop';

/** Goes once through everything that is kept of a project. */
async function walkThrough(): Promise<void> {
  const { root, broker } = world;
  const store = broker.world.store;
  await root.call('POST', '/v1/projects', { body: { id: project, name: 'Shop', return_urls: ['https://shop.example/done'] } });
  const shop = createGrantryClient({ baseUrl: world.url, apiKey: broker.rootKey, project });
  const whole: Whole = { ...world, root: shop };
  await root.call('PATCH', `/v1/projects/${project}`, { body: { name: 'Shop 2' } });
  await root.call('GET', '/v1/projects');
  await withAuthorizationServer(whole);
  const definition = world.sandbox.providers.authorizationServer.definition;
  await shop.call('PUT', '/v1/providers/sandbox-as', { body: definition });
  await shop.call('GET', '/v1/providers/sandbox-as/versions');
  await shop.call('GET', '/v1/providers/sandbox-as/versions/1');
  await shop.call('GET', '/v1/providers', { query: { q: 'sandbox' } });
  await shop.call('GET', '/v1/integrations');
  await shop.call('PATCH', '/v1/integrations/as', { body: { probe_unused_after: 'P1D' } });

  const key = await shop.call<{ id: string; key: string }>('POST', '/v1/api-keys', { body: { name: 'k', scopes: ['admin'] }, idempotencyKey: 'k' });
  await shop.call('PATCH', `/v1/api-keys/${key.id}`, { body: { name: 'kk' } });
  const next = await shop.call<{ id: string; key: string }>('POST', `/v1/api-keys/${key.id}/rotate`, { body: {} });
  await shop.call('GET', '/v1/api-keys');
  const worker = createGrantryClient({ baseUrl: world.url, apiKey: next.key });
  await worker.call('POST', '/v1/providers/sandbox-as/rollback', { body: { version: 1 } });
  await store.apiKeys.used([next.id]);
  await store.apiKeys.name(project, next.id);

  await useConnections(whole, worker);
  await useLinks(whole);
  await useWebhooks(whole);
  await useJobs(whole);
  await shop.call('DELETE', `/v1/api-keys/${key.id}`);
  await shop.call('DELETE', '/v1/providers/sandbox-as').catch(() => {});
  const { data } = await shop.call<{ data: { id: string }[] }>('GET', '/v1/connections');
  for (const { id } of data) await shop.call('DELETE', `/v1/connections/${id}`);
  await shop.call('DELETE', '/v1/integrations/as');
  await root.call('DELETE', `/v1/projects/${project}`);
}

async function useConnections(whole: Whole, worker: GrantryClient): Promise<void> {
  const id = await connect(whole);
  await worker.getToken(id);
  await whole.root.getToken(id);
  await expire(whole, id);
  await worker.getToken(id);
  await worker.call('GET', `/v1/connections/${id}`);
  await worker.call('GET', '/v1/connections', { query: { integration: 'as', end_user: 'u1' } });
  await worker.call('PATCH', `/v1/connections/${id}`, { body: { metadata: { a: 1 } } });
  await worker.call('GET', `/v1/connections/${id}/events`);
  await worker.call('GET', '/v1/events');
  const again = await whole.root.createConnectLink({ integration: 'as', end_user: { id: 'u1' }, connection_id: id });
  await (await createBrowser().open(again.url)).submit();
  // The provider refuses: a failed refresh.
  const as = world.sandbox.providers.authorizationServer;
  as.revokeUser('ada');
  await expire(whole, id);
  await worker.getToken(id).catch(() => {});
}

async function useLinks(whole: Whole): Promise<void> {
  const { store } = whole.broker.world;
  const abandoned = await whole.root.createConnectLink({ integration: 'as', end_user: { id: 'u2' } });
  await createBrowser().open(abandoned.url);
  await whole.root.getConnectLink(abandoned.id);
  const user = await whole.root.createConnectLink({
    integration: 'as',
    end_user: { id: 'u3' },
    verification: 'user',
    return_url: 'https://shop.example/done',
  });
  await (await createBrowser().open(user.url)).submit().catch(() => {});
  await whole.root.call('POST', `/v1/connect-links/${user.id}/confirm`, { body: { nonce: 'A'.repeat(43), end_user_id: 'u3' } }).catch(() => {});
  const made = await whole.root.call<{ id: string; url: string }>('POST', '/v1/integrations/as/test', { body: {} });
  await (await createBrowser().open(made.url)).submit();
  await whole.root.call('GET', `/v1/integrations/as/tests/${made.id}`);
  const hash = Buffer.alloc(32, 7);
  await store.links.consumeByBrowser(hash, 'http://x/');
  await store.links.consumeByLink(abandoned.id, hash);
  await store.links.waitAgain(abandoned.id, 99, hash, 'x');
  await store.links.release(abandoned.id, 99);
  await store.links.fail(abandoned.id, 'link_expired', 'Given up.', []);
}

async function useWebhooks(whole: Whole): Promise<void> {
  const { root } = whole;
  const { store } = whole.broker.world;
  const hook = await root.call<{ id: string }>('POST', '/v1/webhook-endpoints', { body: { url: 'http://127.0.0.1:9/' } });
  await root.call('GET', '/v1/webhook-endpoints');
  await root.call('POST', `/v1/webhook-endpoints/${hook.id}/rotate-secret`, { body: {} });
  await root.createConnectLink({ integration: 'as', end_user: { id: 'u4' } });
  const { data } = await root.call<{ data: { id: string }[] }>('GET', '/v1/webhook-deliveries');
  const id = data[0]?.id ?? '';
  await root.call('GET', `/v1/webhook-deliveries/${id}`);
  await store.webhooks.due(10, 60);
  await store.webhooks.handOutAgain();
  const view = await store.webhooks.read(id);
  if (view === undefined) throw new Error('There is no delivery.');
  await store.webhooks.postpone(view.delivery, 1_000);
  const begun = await store.webhooks.begin(view.delivery, 60);
  const attempt = begun?.attempt ?? view.delivery;
  await store.webhooks.fail(attempt, { status: 500, error: 'http_status' }, null);
  await store.webhooks.disable(
    attempt,
    { status: 500, error: 'http_status' },
    { reason: 'gone', url: 'http://127.0.0.1:9/', failingForS: 1 },
    { project_id: project, type: 'webhook_endpoint.disabled', data: {} },
  );
  await store.webhooks.succeed(attempt, 200);
  await store.webhooks.giveUp(view.delivery);
  await root.call('POST', `/v1/webhook-deliveries/${id}/redeliver`).catch(() => {});
  await root.call('PATCH', `/v1/webhook-endpoints/${hook.id}`, { body: { status: 'disabled' } });
  await root.call('DELETE', `/v1/webhook-endpoints/${hook.id}`);
}

/** What jobs call, and what only happens when something goes wrong. */
async function useJobs(whole: Whole): Promise<void> {
  const { store } = whole.broker.world;
  const id = await connect(whole, 'as', 'u9');
  const connection = await store.connections.get(project, id);
  const integration = await store.integrations.get(project, 'as');
  if (connection === undefined || integration === undefined) throw new Error('They must be there.');
  await store.refreshes.due(10, 60);
  await store.refreshes.handOutAgain();
  await store.refreshes.postpone({ connection_id: id, token_version: connection.token_version }, 1_000);
  await store.refreshes.counts();
  await store.probes.due(10);
  await store.probes.used([id]);
  await store.probes.postpone([id], 60);
  await store.probes.refused({ ...connection, token_version: 99 }, []);
  await store.integrations.isRefusedElsewhere(integration, undefined);
  await store.integrations.setStatus(integration, 'misconfigured', []);
  await store.integrations.takeTrial(project, 'as', 60);
  await store.integrations.setStatus(integration, 'active', []);
  await store.integrations.resume(project, 'as');
  await store.connections.requireReauthorization(project, id, 'code_replayed', []);
  await store.connections.endExpired(10);
  const revocation = {
    connection_id: 'con_never',
    project_id: project,
    integration_id: 'as',
    credential_sealed: 'x',
    inputs_sealed: null,
    token_version: 1,
    method: 'web',
    extras: {},
  };
  await store.revocations.queue(revocation);
  await store.revocations.get('con_never');
  await store.revocations.claimDue(10, 60);
  await store.revocations.done(revocation, []);
  await store.idempotency.begin(project, 'root', 'given-up', Buffer.alloc(32));
  await store.idempotency.abandon(project, 'root', 'given-up');
  await store.audit.list(project, { order: 'newest' }, { limit: 1 });
  const entry = {
    at: new Date(),
    project_id: project,
    actor: 'broker',
    action: 'project.updated' as const,
    target_id: project,
    address: null,
    request_id: null,
    details: {},
  };
  await store.audit.pend({ id: 'never', entry, dueInS: 60 });
  await whole.root.call('GET', '/v1/audit/head');
  await store.audit.forget('never');
  await store.audit.count([]);
  const [dataKey] = await store.dataKeys.list(project);
  if (dataKey === undefined) throw new Error('The project has sealed something.');
  await store.dataKeys.find(dataKey.kid);
  await store.dataKeys.insert(dataKey);
  // One that seals has not been retired.
  if (await store.dataKeys.stillInUse(project, dataKey.kid)) throw new Error('It was not retired.');
  const canary = await store.dataKeys.canary();
  await store.dataKeys.setCanary(canary ?? '');
  await store.providers.remove(project, 'nothing');
  await keepHouse(whole.broker.world);
}

/** A table of a project that the statement reads or writes. */
const tablesIn = (text: string): string[] =>
  [...owned, 'projects'].filter((table) => new RegExp(`\\b(?:from|join|into|update)\\s+"?${table}"?\\b`, 'i').test(text));

/** The project is a condition on a column, or a column that is written. */
function namesProject(text: string): boolean {
  if (/"?project_id"?\s*(?:=|is not distinct from)\s*(?:\$\d+|\w+\.)/i.test(text)) return true;
  if (/insert into\s+"?\w+"?\s*\([^)]*"?project_id"?/i.test(text)) return true;
  return /"?projects"?[\s\S]*"id"\s*=\s*\$\d+/i.test(text);
}

describe('statements', () => {
  test('of a method that works in a project name it, on a connection that sees nothing else; the others say why they do not', async () => {
    await walkThrough();
    const methods = Object.entries(scopes).flatMap(([group, of]) => Object.entries(of).map(([name, scope]) => ({ name: `${group}.${name}`, scope })));
    const uncalled = methods.filter(({ name, scope }) => typeof scope !== 'object' && !called.has(name)).map(({ name }) => name);
    expect(uncalled, 'call these in walkThrough: their statements were not looked at').toEqual([]);
    const scopeOf = new Map(methods.map(({ name, scope }) => [name, scope]));
    const wrong: string[] = [];
    let seen = 0;
    for (const { method, text, values, session } of sent) {
      const tables = tablesIn(text);
      if (tables.length === 0 || method === theTest) continue;
      // The chain of all projects is written by a process of its own accord.
      if (method === undefined && tables.join() === 'audit_log') continue;
      const scope = method === undefined ? undefined : scopeOf.get(method);
      if (typeof scope === 'object' || (scope === 'first or all' && session === undefined)) continue;
      seen += 1;
      const said = `${method ?? 'outside the store'}: ${text.replace(/\s+/g, ' ').slice(0, 300)}`;
      if (session === undefined) wrong.push(`On a connection that sees all projects. ${said}`);
      else if (!JSON.stringify(values).includes(session)) wrong.push(`Not for the project of its connection. ${said}`);
      else if (!namesProject(text)) wrong.push(`Without project_id. ${said}`);
    }
    expect(seen).toBeGreaterThan(100);
    expect([...new Set(wrong)]).toEqual([]);
  });
});

describe('row-level security', () => {
  test('is in force in every table that has a project, for its owner too', async () => {
    const rows = await world.sql<{ name: string; forced: boolean; policies: number }>(
      `select relname as name, relrowsecurity and relforcerowsecurity as forced, (select count(*)::int from pg_policy where polrelid = c.oid) as policies
       from pg_class c where relname = any($1) and relkind = 'r'`,
      [[...owned, 'projects']],
    );
    expect(rows.filter(({ forced, policies }) => !forced || policies === 0).map(({ name }) => name)).toEqual([]);
    expect(rows).toHaveLength(owned.length + 1);
  });

  test('shows a connection the rows of its project alone, and lets it write no others', async () => {
    await world.root.call('POST', '/v1/projects', { body: { id: 'left', name: 'Left' } });
    await world.root.call('POST', '/v1/projects', { body: { id: 'right', name: 'Right' } });
    await world.clientWith(['admin'], 'left');
    await world.clientWith(['admin'], 'right');
    const client = new pg.Client(world.database.url);
    await client.connect();
    try {
      const projectsSeen = async () =>
        (await client.query<{ id: string }>('select project_id as id from api_keys union select id from projects')).rows.map(({ id }) => id).sort();
      const all = await projectsSeen();
      expect(all).toEqual(expect.arrayContaining(['default', 'left', 'right']));
      await client.query(`select set_config('grantry.project', 'left', false)`);
      expect(await projectsSeen()).toEqual(['left']);
      expect((await client.query(`update api_keys set name = 'taken' where true`)).rowCount).toBe(1);
      expect((await client.query(`delete from api_keys where project_id = 'right'`)).rowCount).toBe(0);
      const insert = (owner: string) =>
        client.query(
          `insert into api_keys (id, project_id, name, key_hash, scopes) values ($1::text, $2::text, 'x', sha256(convert_to($2, 'UTF8')), '{}')`,
          [`key_${owner}`, owner],
        );
      await expect(insert('right')).rejects.toMatchObject({ code: '42501' });
      await insert('left');
      await expect(client.query(`update api_keys set project_id = 'right' where id = 'key_left'`)).rejects.toMatchObject({ code: '42501' });
      await client.query(`select set_config('grantry.project', '', false)`);
      expect(await projectsSeen()).toEqual(all);
    } finally {
      await client.end();
    }
  });

  test('stops a method that would reach for another project', async () => {
    const { store } = world.broker.world;
    const other = { project_id: 'right', id: 'con_x', token_version: 1 };
    expect(await store.probes.refused(other, [])).toBe(false);
    // An event of another project than that of the work.
    await world.sql(
      `insert into integrations (project_id, id, provider_id, method, client_id, scopes, callback, context, verification)
       values ('left', 'as', 'acme', 'web', 'c', '{}', 'own', 'ctx-left', 'browser')`,
    );
    const news = { project_id: 'right', type: 'integration.misconfigured' as const, integration_id: 'as', data: {} };
    await expect(store.integrations.setStatus({ project_id: 'left', id: 'as', secret_version: 1 }, 'misconfigured', [news])).rejects.toThrow();
    expect(await world.sql(`select status from integrations where project_id = 'left'`)).toEqual([{ status: 'active' }]);
  });
});
