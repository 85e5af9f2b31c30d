import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { markMisconfigured, markRecovered, mayTry } from '../../src/broker/integrations.ts';
import type { ConnectionRecord, IntegrationRecord } from '../../src/broker/records.ts';
import { refreshConnection, refreshDue } from '../../src/broker/refresh.ts';
import { refreshesSettled } from '../../src/broker/under-way.ts';
import type { World } from '../../src/broker/world.ts';
import { GrantryError } from '../../src/protocol/errors.ts';
import { problemOf, startWholeSandbox } from '../harness/broker.ts';
import { connect, type Whole, withAuthorizationServer } from './connected.ts';

let world: Whole;
let broker: World;
const as = () => world.sandbox.providers.authorizationServer;
const atOnce = 5;

beforeAll(async () => {
  world = await startWholeSandbox();
  broker = world.broker.world;
  await withAuthorizationServer(world);
});
afterAll(() => world?.stop());
beforeEach(async () => {
  as().switches.clientSecret = null;
  as().switches.fault = { kind: 'none' };
  as().switches.accessTokenTtlS = 3600;
  await world.sql('update connections set deleted_at = now(), refresh_due_at = null');
  await world.sql(`update integrations set status = 'active', trial_at = null, updated_at = now()`);
});

async function integration(): Promise<IntegrationRecord> {
  const found = await broker.store.integrations.get('default', 'as');
  if (found === undefined) throw new Error('gone');
  return found;
}
async function row(id: string): Promise<ConnectionRecord> {
  const found = await broker.store.connections.get('default', id);
  if (found === undefined) throw new Error('gone');
  return found;
}
async function machines(count: number): Promise<string[]> {
  const body = { integration: 'as', end_user: { id: 'machine' }, grant: 'client_credentials' };
  const made = await Promise.all(Array.from({ length: count }, () => world.root.call<{ id: string }>('POST', '/v1/connections', { body })));
  return made.map(({ id }) => id);
}
const asked = () => Object.values(as().counters.token).reduce((sum, count) => sum + count, 0);
/** Not just now: the column rounds to a millisecond, also up, and what looks sooner than that finds nothing due. */
const past = `now() - interval '1 second'`;
const endAll = () =>
  world.sql(`update connections set issued_at = now() - interval '1 hour', expires_at = ${past}, refresh_due_at = ${past} where deleted_at is null`);
/** The next attempts are due: as if their time had come. */
const allDue = () => world.sql(`update connections set refresh_due_at = ${past}, queued_until = null, retry_at = null where deleted_at is null`);
const aMinuteLater = () => world.sql(`update integrations set trial_at = trial_at - interval '61 seconds'`);
const states = async () =>
  Object.fromEntries(
    (await world.sql<{ status: string; n: number }>('select status, count(*)::int as n from connections where deleted_at is null group by 1')).map(
      ({ status, n }) => [status, n],
    ),
  );
/** How often something was told of the integration since the last look. */
let told = 0;
async function news(): Promise<string[]> {
  const found = await world.sql<{ type: string }>(`select type from events where type like 'integration.%' order by created_at, id`);
  const fresh = found.slice(told).map(({ type }) => type);
  told = found.length;
  return fresh;
}
beforeEach(news);

/** What the sweep and its workers do, a few connections at a time; how often the provider was asked. */
async function sweep(): Promise<number> {
  const before = asked();
  for (;;) {
    await refreshesSettled(broker);
    const due = await broker.store.refreshes.due(atOnce, 60);
    if (due.length === 0) return asked() - before;
    await Promise.all(due.map((each) => refreshDue(broker, each, async () => ({ kind: 'go', release() {} }))));
  }
}

test('a wrong secret stops no connection, is asked about now and then only, and all go on by themselves when it is mended', async () => {
  const ids = await machines(50);
  await endAll();
  as().switches.clientSecret = 'changed-at-the-provider';

  expect(await sweep()).toBeLessThanOrEqual(atOnce);
  expect((await integration()).status).toBe('misconfigured');
  for (let again = 0; again < 3; again += 1) {
    await allDue();
    expect(await sweep()).toBe(0);
  }
  await allDue();
  await aMinuteLater();
  expect(await sweep()).toBe(1);

  const { reauthorization_required, revoked } = await states();
  expect({ reauthorization_required, revoked }).toEqual({ reauthorization_required: undefined, revoked: undefined });
  const before = asked();
  expect(await problemOf(world.root.getToken(ids[0] ?? ''))).toMatchObject({ status: 409, code: 'misconfigured', retryAfterS: expect.any(Number) });
  expect(asked()).toBe(before);
  expect(await news()).toEqual(['integration.misconfigured']);

  await world.root.call('PATCH', '/v1/integrations/as', { body: { client_secret: 'changed-at-the-provider' } });
  expect(await integration()).toMatchObject({ status: 'active', trial_at: null });
  expect(await sweep()).toBe(50);
  expect(await states()).toEqual({ active: 50 });
  expect(await news()).toEqual(['integration.recovered']);
  for (const id of ids) expect(await row(id)).toMatchObject({ failure_count: 0, last_error: null, token_version: 2 });
  await world.root.call('PATCH', '/v1/integrations/as', { body: { client_secret: as().client.client_secret } });
});

test('the provider accepts it again by itself: the first trial brings all others back', async () => {
  const ids = await machines(20);
  // Half of them have ended, half live on and are due.
  await endAll();
  await world.sql(`update connections set expires_at = now() + interval '5 minutes' where id = any($1)`, [ids.slice(10)]);
  as().switches.clientSecret = 'wrong-for-a-while';
  await sweep();
  expect((await states()).active).toBeGreaterThan(0);
  as().switches.clientSecret = null;
  await aMinuteLater();
  await world.sql(`update connections set refresh_due_at = ${past}, queued_until = null, retry_at = null where id = $1`, [ids[0]]);
  expect(await sweep()).toBe(20);
  expect(await states()).toEqual({ active: 20 });
  expect(await world.sql('select id from connections where deleted_at is null and token_version <> 2')).toEqual([]);
  expect(await integration()).toMatchObject({ status: 'active', trial_at: null });
  expect(await news()).toEqual(['integration.misconfigured', 'integration.recovered']);
});

test('a living token is handed out meanwhile', async () => {
  const [id = ''] = await machines(1);
  await world.sql(`update integrations set status = 'misconfigured', trial_at = now() where id = 'as'`);
  expect(await world.root.getToken(id, { minTtlS: 3600 })).toMatchObject({ access_token: expect.any(String) });
  expect((await row(id)).status).toBe('active');
});

test('one of many who ask at once may try, and all of them when it is active', async () => {
  await world.sql(`update integrations set status = 'misconfigured' where id = 'as'`);
  const misconfigured = await integration();
  const tries = async () => (await Promise.all(Array.from({ length: 20 }, () => mayTry(broker, misconfigured)))).filter(Boolean).length;
  expect(await tries()).toBe(1);
  expect(await tries()).toBe(0);
  await aMinuteLater();
  expect(await tries()).toBe(1);
  await world.sql(`update integrations set status = 'active' where id = 'as'`);
  expect(await tries()).toBe(20);
});

test('however many are refused or accepted at once, it is told once', async () => {
  const active = await integration();
  await Promise.all(Array.from({ length: 20 }, () => markMisconfigured(broker, active, { error: new GrantryError('invalid_client') })));
  const misconfigured = await integration();
  expect(misconfigured).toMatchObject({ status: 'misconfigured', trial_at: expect.any(Date), updated_at: active.updated_at });
  await Promise.all(Array.from({ length: 20 }, () => markRecovered(broker, misconfigured)));
  expect(await integration()).toMatchObject({ status: 'active', trial_at: null });
  expect(await news()).toEqual(['integration.misconfigured', 'integration.recovered']);
});

test('a refusal of what was replaced meanwhile says nothing', async () => {
  const before = await integration();
  await world.root.call('PATCH', '/v1/integrations/as', { body: { client_secret: as().client.client_secret } });
  await markMisconfigured(broker, before, { error: new GrantryError('invalid_client') });
  expect((await integration()).status).toBe('active');
  expect(await news()).toEqual([]);
});

test('a registration that was refused between our look and our change is active after it, and that is told', async () => {
  const { secret_version } = await integration();
  const change = { status: 'active', secret_version: secret_version + 1 } as const;
  const event = { project_id: 'default', type: 'integration.recovered', integration_id: 'as' } as const;
  await broker.store.integrations.update('default', 'as', secret_version, change, [event]);
  expect(await news()).toEqual([]);
  await world.sql(`update integrations set status = 'misconfigured' where id = 'as'`);
  await broker.store.integrations.update('default', 'as', secret_version + 1, { ...change, secret_version }, [event]);
  expect(await news()).toEqual(['integration.recovered']);
});

test('a registration that is refused again just after it was accepted is noticed by those that had been put off', async () => {
  await machines(20);
  await endAll();
  as().switches.clientSecret = 'wrong-for-a-while';
  await sweep();
  await markRecovered(broker, await integration());
  expect(await news()).toEqual(['integration.misconfigured', 'integration.recovered']);
  expect(await sweep()).toBeLessThanOrEqual(atOnce);
  expect(await news()).toEqual(['integration.misconfigured']);
});

test('one connection that is refused over and over does not stop those that are accepted', async () => {
  const [odd = '', fine = ''] = await machines(2);
  const refuse = async () => {
    as().switches.fault = { kind: 'invalid_client', times: 1 };
    await allDue();
    await aMinuteLater();
    expect(await refreshConnection(broker, await row(odd))).toMatchObject({ kind: 'failed', error: { code: 'invalid_client' } });
  };
  for (let time = 0; time < 3; time += 1) {
    await refuse();
    expect((await integration()).status).toBe('misconfigured');
    await aMinuteLater();
    expect(await refreshConnection(broker, await row(fine))).toMatchObject({ kind: 'refreshed' });
    expect((await integration()).status).toBe('active');
    expect(await news()).toEqual(['integration.misconfigured', 'integration.recovered']);
  }

  await refuse();
  await refuse();
  expect((await integration()).status).toBe('active');
  expect(await news()).toEqual([]);
  expect(await row(odd)).toMatchObject({ status: 'refresh_failing', last_error: { code: 'invalid_client' }, failure_count: 5 });

  // A registration that was changed is another one.
  await world.root.call('PATCH', '/v1/integrations/as', { body: { client_secret: as().client.client_secret } });
  await refuse();
  expect(await news()).toEqual(['integration.misconfigured']);
});

describe('a 401 that names nobody', () => {
  /** Tells neither an end user's dead authorization from a wrong secret, nor the other way round. */
  const bare = { kind: 'refuse', error: '', status: 401 } as const;
  const people = async (count: number) => {
    const ids: string[] = [];
    for (let n = 0; n < count; n += 1) ids.push(await connect(world, 'as', `user-${n}`));
    return ids;
  };
  const refusedOnce = async (id = '') => {
    as().switches.fault = { ...bare, times: 1 };
    await allDue();
    expect(await refreshConnection(broker, await row(id))).toMatchObject({ kind: 'failed', error: { code: 'invalid_client' } });
  };

  test('stops nobody when it comes to one customer, however often', async () => {
    const [dead, fine = ''] = await people(2);
    for (let time = 0; time < 5; time += 1) await refusedOnce(dead);
    expect((await integration()).status).toBe('active');
    expect(await refreshConnection(broker, await row(fine))).toMatchObject({ kind: 'refreshed' });
    expect(await news()).toEqual([]);
    expect(await row(dead ?? '')).toMatchObject({ status: 'refresh_failing', last_error: { code: 'invalid_client' }, failure_count: 5 });
  });

  test('stops nobody when it comes to several of them, while others are accepted in between', async () => {
    const [one, two, fine = ''] = await people(3);
    for (const dead of [one, two, one, two]) {
      await refusedOnce(dead);
      expect(await refreshConnection(broker, await row(fine))).toMatchObject({ kind: 'refreshed' });
    }
    expect((await integration()).status).toBe('active');
    expect(await news()).toEqual([]);
  });

  test('makes the integration misconfigured when two connections hear it, and all go on by themselves when the secret is mended', async () => {
    await people(8);
    await endAll();
    as().switches.fault = bare;
    // Of what is under way at once each sees the others, or is seen by them.
    expect(await sweep()).toBeLessThanOrEqual(atOnce);
    expect((await integration()).status).toBe('misconfigured');
    await allDue();
    expect(await sweep()).toBe(0);
    as().switches.fault = { kind: 'none' };
    await world.root.call('PATCH', '/v1/integrations/as', { body: { client_secret: as().client.client_secret } });
    expect(await sweep()).toBe(8);
    expect(await states()).toEqual({ active: 8 });
    expect(await news()).toEqual(['integration.misconfigured', 'integration.recovered']);
  });

  test('makes it misconfigured too when each of two processes hears it once', async () => {
    const [one, two] = await people(2);
    const process = () => ({ ...broker, store: { ...broker.store } });
    as().switches.fault = bare;
    await refreshConnection(process(), await row(one ?? ''));
    expect((await integration()).status).toBe('active');
    await refreshConnection(process(), await row(two ?? ''));
    expect((await integration()).status).toBe('misconfigured');
  });

  test('says nothing of another registration, nor of one that was changed since', async () => {
    const [one, two] = await people(2);
    await refusedOnce(one);
    await world.root.call('PATCH', '/v1/integrations/as', { body: { client_secret: as().client.client_secret } });
    await refusedOnce(two);
    expect((await integration()).status).toBe('active');
  });

  test('is asked about less and less while it is one customer alone', async () => {
    const [dead = ''] = await people(1);
    await refusedOnce(dead);
    await world.sql('update connections set failure_count = 13 where id = $1', [dead]);
    as().switches.fault = { ...bare, times: 1 };
    const longest = { ...broker, random: (bytes: number) => Buffer.alloc(bytes, 0xff) };
    await refreshConnection(longest, await row(dead));
    const { refresh_due_at, updated_at } = await row(dead);
    expect(((refresh_due_at?.getTime() ?? 0) - updated_at.getTime()) / 1000).toBeCloseTo(21_601, -1);
  });

  test('means the registration where the request held nothing else', async () => {
    const [id = ''] = await machines(1);
    await refusedOnce(id);
    expect((await integration()).status).toBe('misconfigured');
  });
});
