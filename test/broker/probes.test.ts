import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createHostHealth } from '../../src/broker/host-health.ts';
import { silentMeter } from '../../src/broker/meter.ts';
import { probeConnection, probeUnused } from '../../src/broker/probes.ts';
import type { ConnectionRecord } from '../../src/broker/records.ts';
import { getToken } from '../../src/broker/tokens.ts';
import type { World } from '../../src/broker/world.ts';
import { createDoor } from '../../src/outside/http.ts';
import { problemOf, startWholeSandbox } from '../harness/broker.ts';
import { connect, type Whole, withAuthorizationServer } from './connected.ts';

/** Probes find out what is dead, and end that and nothing else. */

let world: Whole;
let broker: World;
const as = () => world.sandbox.providers.authorizationServer;

/** The API that is probed: which credentials it saw, and what it says. */
const api = { seen: [] as string[], answer: (_: string, response: ServerResponse): unknown => response.writeHead(200).end('{}') };
const server = createServer((request: IncomingMessage, response) => {
  const credential = request.headers.authorization ?? '';
  api.seen.push(credential);
  api.answer(credential, response);
});
const says = (status: number, body = '{}') => {
  api.answer = (_, response) => response.writeHead(status).end(body);
};

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const base_url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  world = await startWholeSandbox();
  broker = world.broker.world;
  await withAuthorizationServer(world);
  const probed = { base_url, probe: { method: 'GET', path: '/me' } };

  await world.root.call('PUT', '/v1/providers/sandbox-as', { body: { ...JSON.parse(as().definition), api: probed } });
  const methods = {
    key: { grant: 'api_key', inputs: { api_key: { label: 'Key', secret: true } } },
    signed: {
      grant: 'oauth1',
      request_token_endpoint: `${base_url}/request`,
      authorization_endpoint: `${base_url}/authorize`,
      access_token_endpoint: `${base_url}/access`,
    },
  };
  await world.root.call('PUT', '/v1/providers/plain', { body: { id: 'plain', name: 'Plain', api: probed, methods } });
  await world.root.call('POST', '/v1/integrations', { body: { id: 'key', provider: 'plain', method: 'key' } });
  await world.root.call('POST', '/v1/integrations', {
    body: { id: 'signed', provider: 'plain', method: 'signed', client_id: 'us', client_secret: 'ours' },
  });
});
afterAll(async () => {
  await world?.stop();
  await new Promise((resolve) => server.close(resolve));
});
beforeEach(() => {
  says(200);
  api.seen.length = 0;
  as().switches.fault = { kind: 'none' };
});

async function row(id: string): Promise<ConnectionRecord> {
  const found = await broker.store.connections.get('default', id);
  if (found === undefined) throw new Error('gone');
  return found;
}
const probe = (id: string) => world.root.call('POST', `/v1/connections/${id}/probe`);
const typesOf = async (id: string) =>
  (await world.sql<{ type: string; data: unknown }>('select type, data from events where connection_id = $1 order by id', [id])).map(
    ({ type }) => type,
  );
const ended = { status: 'reauthorization_required', reason: 'probe_refused', next_refresh_at: null };
const health = (id: string) => world.root.call<Record<string, unknown>>('GET', `/v1/connections/${id}`);

async function keyConnection(): Promise<string> {
  const { id } = await world.root.call<{ id: string }>('POST', '/v1/connections', {
    body: { integration: 'key', end_user: { id: 'u1' }, grant: 'api_key', inputs: { api_key: 'a-key' } },
  });
  api.seen.length = 0;
  return id;
}

describe('a credential that works', () => {
  test('is asked about once, which is no use of the connection and no change', async () => {
    const id = await connect(world);
    const before = await row(id);
    expect(await probe(id)).toEqual({ outcome: 'works', status: 200 });
    expect(api.seen).toHaveLength(1);
    expect(await row(id)).toEqual(before);
  });

  test.each([
    ['is larger than anybody reads', (response: ServerResponse) => response.writeHead(200).end('x'.repeat(100_000))],
    ['is compressed though nobody asked for it', (response: ServerResponse) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x')],
    ['never ends', (response: ServerResponse) => response.writeHead(200).write('{')],
  ])('works, though the body %s', async (_, answer) => {
    api.answer = (_, response) => answer(response);
    expect(await probe(await connect(world))).toEqual({ outcome: 'works', status: 200 });
  });
});

describe('a credential that is refused', () => {
  test('is refreshed, and works then', async () => {
    const id = await connect(world);
    const { access_token } = await world.root.getToken(id);
    api.answer = (credential, response) => response.writeHead(credential === `Bearer ${access_token}` ? 401 : 200).end('{}');
    expect(await probe(id)).toEqual({ outcome: 'works', status: 200 });
    expect(api.seen).toHaveLength(2);
    expect(await health(id)).toMatchObject({ status: 'active', refresh_count: 1 });
  });

  test('and still is after the refresh: the end user has to connect again, and is told why', async () => {
    const id = await connect(world);
    says(401);
    expect(await probe(id)).toEqual({ outcome: 'refused', status: 401 });
    expect(new Set(api.seen).size).toBe(2);
    expect(await health(id)).toMatchObject({ ...ended, refresh_count: 1 });
    expect((await typesOf(id)).slice(-2)).toEqual(['connection.refreshed', 'connection.reauthorization_required']);
    expect(await problemOf(world.root.getToken(id))).toMatchObject({ code: 'reauthorization_required', problem: { reason: 'probe_refused' } });
    const { data } = await world.root.call<{ data: { what: string; why: string; next: string }[] }>('GET', `/v1/connections/${id}/events`);
    expect(data[0]).toMatchObject({ what: expect.stringContaining('stopped'), why: expect.stringContaining('was asked'), next: expect.any(String) });
    expect(await problemOf(probe(id))).toMatchObject({ code: 'reauthorization_required' });
  });

  test('when a person has typed it is not taken, however much is said about that', async () => {
    says(401, 'x'.repeat(100_000));
    expect(await problemOf(keyConnection())).toMatchObject({ code: 'exchange_failed' });
  });

  test('and cannot be refreshed: the same, without a second request', async () => {
    const id = await keyConnection();
    says(401);
    expect(await probe(id)).toEqual({ outcome: 'refused', status: 401 });
    expect(api.seen).toHaveLength(1);
    expect(await health(id)).toMatchObject(ended);
  });

  test('whose refresh is refused has ended for that', async () => {
    const id = await connect(world);
    says(401);
    as().switches.fault = { kind: 'refuse', error: 'invalid_grant', status: 400 };
    expect(await probe(id)).toEqual({ outcome: 'refused', status: 401 });
    expect(api.seen).toHaveLength(1);
    expect(await health(id)).toMatchObject({ status: 'reauthorization_required', reason: 'invalid_grant' });
  });

  test('whose refresh fails for now ends nothing', async () => {
    const id = await connect(world);
    says(401);
    as().switches.fault = { kind: 'down' };
    expect(await probe(id)).toEqual({ outcome: 'refused', status: 401 });
    expect(await health(id)).toMatchObject({ status: 'refresh_failing', reason: null, next_refresh_at: expect.any(String) });
  });
});

describe('what says nothing about the credential changes nothing', () => {
  test.each([403, 404, 429, 500, 503])('%i', async (status) => {
    const id = await connect(world);
    const before = await row(id);
    says(status);
    expect(await probe(id)).toEqual({ outcome: 'unclear', status });
    expect(await row(id)).toEqual(before);
  });

  test('a connection that breaks', async () => {
    const id = await connect(world);
    const before = await row(id);
    api.answer = (_, response) => response.destroy();
    expect(await problemOf(probe(id))).toMatchObject({ code: 'no_answer' });
    expect(await row(id)).toEqual(before);
  });

  test.each([
    ['signature_invalid', 'active'],
    ['timestamp_refused', 'active'],
    ['consumer_key_unknown', 'active'],
    ['token_rejected', 'reauthorization_required'],
    ['token_revoked', 'reauthorization_required'],
  ])('a signature that is refused with %s: %s', async (problem, status) => {
    const { id } = await world.root.call<{ id: string }>('POST', '/v1/connections', {
      body: { integration: 'signed', end_user: { id: 'u1' }, import: { access_token: 't', oauth_token_secret: 's' } },
    });
    says(401, `oauth_problem=${problem}`);
    expect(await probe(id)).toEqual({ outcome: 'refused', status: 401 });
    expect(await health(id)).toMatchObject({ status });
  });
});

describe('what happened meanwhile is not overwritten:', () => {
  test('a reconnect', async () => {
    const id = await connect(world);
    let asked = 0;
    api.answer = async (_, response) => {
      asked += 1;
      if (asked === 2) {
        const { token_version } = await row(id);
        await world.sql('update connections set token_version = $2 where id = $1', [id, token_version + 1]);
      }
      response.writeHead(401).end();
    };
    expect(await probe(id)).toMatchObject({ outcome: 'refused' });
    expect(await health(id)).toMatchObject({ status: 'active' });
    expect(await typesOf(id)).not.toContain('connection.reauthorization_required');
  });

  test('a refresh that is under way, and a stop for another reason', async () => {
    const id = await keyConnection();
    says(401);
    await world.sql(`update connections set refresh_lease = gen_random_uuid(), lease_until = now() + interval '1 minute' where id = $1`, [id]);
    await probe(id);
    expect(await health(id)).toMatchObject({ status: 'active' });
    await world.sql('update connections set refresh_lease = null, lease_until = null where id = $1', [id]);
    api.answer = async (_, response) => {
      await broker.store.connections.requireReauthorization('default', id, 'code_replayed', []);
      response.writeHead(401).end();
    };
    await probe(id);
    expect(await health(id)).toMatchObject({ status: 'reauthorization_required', reason: 'code_replayed' });
  });
});

describe('connections that nobody uses', () => {
  const pause = (probe_unused_after: string | null) => world.root.call('PATCH', '/v1/integrations/key', { body: { probe_unused_after } });
  const dueIn = async (id: string) => {
    const [found] = await world.sql<{ s: number | null }>(
      `select extract(epoch from probe_due_at - now())::float8 as s from connections where id = $1`,
      [id],
    );
    return found?.s ?? null;
  };
  const makeDue = (ids: string[]) => world.sql(`update connections set probe_due_at = now() - interval '1 minute' where id = any($1)`, [ids]);
  const clear = () => world.sql('update connections set probe_due_at = null');
  const several = async (count: number) => {
    const ids: string[] = [];
    for (let n = 0; n < count; n += 1) ids.push(await keyConnection());
    return ids;
  };
  /** Within a minute of it. */
  const about = (seconds: number) => expect.toSatisfy((value: unknown) => typeof value === 'number' && Math.abs(value - seconds) < 60);

  test('are due when the integration says so: made before or after, renewed; a change moves them, none wants none', async () => {
    const [before = ''] = await several(1);
    expect(await dueIn(before)).toBeNull();
    await pause('P7D');
    const after = await keyConnection();
    expect([await dueIn(before), await dueIn(after)]).toEqual([about(604_800), about(604_800)]);
    await pause('PT1H');
    expect([await dueIn(before), await dueIn(after)]).toEqual([about(3_600), about(3_600)]);
    await world.sql(`update connections set issued_at = now() - interval '30 days', last_used_at = now() - interval '20 days' where id = $1`, [
      before,
    ]);
    await pause('P7D');
    const spread = await dueIn(before);
    expect(spread).toBeGreaterThan(-1);
    expect(spread).toBeLessThanOrEqual(86_400);
    await pause(null);
    expect([await dueIn(before), await dueIn(after)]).toEqual([null, null]);
    await world.root.call('PATCH', '/v1/integrations/as', { body: { probe_unused_after: 'P1D' } });
    const id = await connect(world);
    await clear();
    const { token_version, credential_sealed, scopes, missing_scopes, extras, refreshable, requested_scopes, inputs_sealed, account, method } =
      await row(id);
    const times = { ageMs: 0, lifetimeS: 60, refreshLifetimeS: null, dueInS: null };
    const renewal = { credential_sealed, scopes, missing_scopes, extras, refreshable, times, requested_scopes, inputs_sealed, account, method };
    await broker.store.connections.renew('default', id, token_version, renewal, undefined, []);
    expect(await dueIn(id)).toEqual(about(86_400));
    await world.root.call('PATCH', '/v1/integrations/as', { body: { probe_unused_after: null } });
  });

  test('are given their times batch after batch, however many they are, and those that are due are found by an index', async () => {
    await clear();
    await world.sql(`insert into connections
      (id, project_id, integration_id, provider_id, method, end_user, end_user_id, status, requested_scopes, scopes, token_version, issued_at, refreshable, metadata, extras)
      select 'con_' || lpad(n::text, 26, '0'), 'default', 'key', 'plain', 'key', '{"id": "many"}', 'many', 'active', '{}', '{}', 1, now(), false, '{}', '{}'
      from generate_series(1, 2500) n`);
    await pause('P7D');
    const [without] = await world.sql(
      `select count(*)::int as n from connections where integration_id = 'key' and deleted_at is null and probe_due_at is null`,
    );
    expect(without).toEqual({ n: 0 });
    const plan = await world.sql(
      'explain select id from connections where probe_due_at <= now() order by probe_due_at limit 100 for no key update skip locked',
    );
    expect(JSON.stringify(plan)).toContain('connections_probe_due');
    await world.sql(`delete from connections where end_user_id = 'many'`);
  });

  test('are probed once when they are due, by two workers too; what is dead is found, and the next probe is a pause away', async () => {
    await clear();
    await pause('P7D');
    const ids = await several(7);
    const [idle = '', stopped = '', failing = '', ...due] = ids;
    await makeDue([stopped, failing, ...due]);
    await world.sql(`update connections set status = 'reauthorization_required' where id = $1`, [stopped]);
    await world.sql(`update connections set status = 'refresh_failing' where id = $1`, [failing]);
    says(401);
    const counts = await Promise.all([probeUnused(broker, 100), probeUnused(broker, 100)]);
    expect(counts[0] + counts[1]).toBe(due.length);
    expect(api.seen).toHaveLength(due.length);
    for (const id of due) expect(await health(id)).toMatchObject(ended);
    for (const id of [idle, failing]) expect((await health(id)).status).not.toBe('reauthorization_required');
    for (const id of [...due, stopped, failing]) expect(await dueIn(id)).toEqual(about(604_800));
    expect(await probeUnused(broker, 100)).toBe(0);
  });

  test('are handed out around those that somebody else has just taken', async () => {
    await clear();
    const [taken = '', free = ''] = await several(2);
    await makeDue([taken, free]);
    const session = new pg.Client(world.database.url);
    await session.connect();
    try {
      await session.query('begin');
      await session.query('select id from connections where id = $1 for update', [taken]);
      expect(await broker.store.probes.due(100)).toEqual([{ project_id: 'default', id: free }]);
    } finally {
      await session.end();
    }
  });

  test('are left alone while their host is known to be down, and asked again soon', async () => {
    await clear();
    const [id = ''] = await several(1);
    await makeDue([id]);
    const hosts = createHostHealth({ elapsedMs: () => 0, random: () => 1, meter: silentMeter });
    for (let n = 0; n < 5; n += 1) {
      const asked = hosts.ask({ host: '127.0.0.1', project: 'default', integration: 'key', address: 'own' });
      if (asked.kind === 'go') asked.ticket.end('failed');
    }
    expect(await probeUnused({ ...broker, hosts }, 100)).toBe(0);
    expect(api.seen).toEqual([]);
    expect(await dueIn(id)).toEqual(about(900));
  });

  test('share what one of them has found: a host that is away is asked by those only that were on their way', async () => {
    await clear();
    const ids = await several(15);
    await makeDue(ids);
    says(503);
    expect(await probeUnused(broker, 100)).toBe(0);
    expect(api.seen.length).toBeLessThanOrEqual(5);
    for (const id of ids) expect(await dueIn(id)).toEqual(about(900));
    for (const id of ids) expect(await health(id)).toMatchObject({ status: 'active' });
  });

  describe('of one project put off no other:', () => {
    /** One of ours is due after fifteen of another project, whose definition may have another address. */
    async function ourLast(change: { api?: object } = {}): Promise<string> {
      await clear();
      if ((await world.sql(`select 1 from projects where id = 'beside'`)).length === 0)
        await world.root.call('POST', '/v1/projects', { body: { id: 'beside', name: 'Beside' } });
      const beside = await world.clientWith(['admin', 'connect', 'tokens'], 'beside');
      const { definition } = await world.root.call<{ definition: { api: object } }>('GET', '/v1/providers/plain');
      await beside.call('PUT', '/v1/providers/plain', { body: definition });
      if ((await world.sql(`select 1 from integrations where project_id = 'beside'`)).length === 0)
        await beside.call('POST', '/v1/integrations', { body: { id: 'key', provider: 'plain', method: 'key', probe_unused_after: 'P7D' } });
      const body = { integration: 'key', end_user: { id: 'u1' }, grant: 'api_key', inputs: { api_key: 'beside' } };
      const theirs: string[] = [];
      for (let n = 0; n < 15; n += 1) theirs.push((await beside.call<{ id: string }>('POST', '/v1/connections', { body })).id);
      await beside.call('PUT', '/v1/providers/plain', { body: { ...definition, api: { ...definition.api, ...change.api } } });
      await pause('P7D');
      const id = await keyConnection();
      await clear();
      await makeDue(theirs);
      await world.sql(`update connections set probe_due_at = now() where id = $1`, [id]);
      return id;
    }

    test('what its own definition asks for may not be there', async () => {
      const id = await ourLast();
      api.answer = (credential, response) => response.writeHead(credential.includes('beside') ? 503 : 200).end('{}');
      expect(await probeUnused(broker, 100)).toBe(1);
      expect(await dueIn(id)).toEqual(about(604_800));
    });

    test('nor may the port', async () => {
      const id = await ourLast({ api: { base_url: 'http://127.0.0.1:1' } });
      expect(await probeUnused(broker, 100)).toBe(1);
      expect(await dueIn(id)).toEqual(about(604_800));
    });

    test('its crowd is not the host', async () => {
      const id = await ourLast();
      api.answer = (credential, response) => setTimeout(() => response.writeHead(200).end('{}'), credential.includes('beside') ? 700 : 0);
      // The one slot is taken for 700 ms, and the others of the first five wait for 500.
      const door = createDoor({ allowPrivateHosts: true, perHost: 1, deadlineMs: 1_000 });
      expect(await probeUnused({ ...broker, door: door.send }, 100)).toBe(2);
      expect(await dueIn(id)).toEqual(about(604_800));
      await door.close();
    });
  });

  test('are those that were not used: a use is noted to the hour and puts the probe off; nothing else changes', async () => {
    await clear();
    const [used = '', other = ''] = await several(2);
    await makeDue([used, other]);
    const before = await row(used);
    await broker.store.probes.used([used, 'con_unknown']);
    const after = await row(used);
    expect(await dueIn(used)).toEqual(about(604_800));
    expect(after).toEqual({ ...before, last_used_at: expect.any(Date), probe_due_at: expect.any(Date) });
    await makeDue([used]);
    await broker.store.probes.used([used]);
    expect((await row(used)).last_used_at).toEqual(after.last_used_at);
    expect(await dueIn(used)).toBeLessThan(0);
    await world.sql(`update connections set last_used_at = now() - interval '61 minutes' where id = $1`, [used]);
    await broker.store.probes.used([used]);
    expect(await dueIn(used)).toEqual(about(604_800));
    expect(await dueIn(other)).toBeLessThan(0);
  });

  test('are those out of which no token was handed', async () => {
    const noted: string[] = [];
    const watching = { ...broker, uses: { note: (id: string) => void noted.push(id) } };
    const id = await keyConnection();
    const found = await broker.store.tokens.byProject('default', id);
    if (found === undefined) throw new Error('gone');
    await probeConnection(watching, found);
    expect(noted).toEqual([]);
    await getToken(watching, found, { minTtlS: 60, force: false });
    expect(noted).toEqual([id]);
  });
});
