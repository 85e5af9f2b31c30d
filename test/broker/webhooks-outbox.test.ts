import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { NewEvent } from '../../src/broker/records.ts';
import { allOrNothing, openPostgres, type Postgres } from '../../src/outside/postgres/database.ts';
import { eventColumns, eventRows, eventWrites, insertEvents } from '../../src/outside/postgres/events.ts';
import { startTestBroker, type TestBroker } from '../harness/broker.ts';

/** Events and their deliveries are written with the change that they tell of, or not at all. */

let broker: TestBroker;
let postgres: Postgres;

beforeAll(async () => {
  broker = await startTestBroker();
  postgres = openPostgres({ url: broker.database.url, max: 4, onError() {} });
  await broker.root.call('POST', '/v1/projects', { body: { id: 'other', name: 'Other' } });
});
afterAll(async () => {
  await postgres.close();
  await broker.stop();
});
afterEach(async () => {
  await broker.sql('delete from webhook_endpoints');
  await broker.sql('delete from events');
});

const register = async (body: { event_types?: string[] } = {}, project = 'default') => {
  const admin = await broker.clientWith(['admin'], project);
  return (await admin.call<{ id: string }>('POST', '/v1/webhook-endpoints', { body: { url: 'http://127.0.0.1:9/', ...body } })).id;
};
const created: NewEvent = { project_id: 'default', type: 'connection.created', connection_id: 'con_1', data: { a: 1 } };
const deleted: NewEvent = { project_id: 'default', type: 'connection.deleted', connection_id: 'con_1' };
const events = () => broker.sql<{ id: string; type: string; data: object }>('select id, type, data, connection_id, link_id from events order by id');
const deliveries = () =>
  broker.sql<{ id: string; endpoint_id: string; event_id: string; event_type: string; status: string }>(
    'select id, project_id, endpoint_id, event_id, event_type, status from webhook_deliveries order by id',
  );
const wanted = async () => (await deliveries()).map(({ endpoint_id, event_type }) => `${endpoint_id} ${event_type}`).sort();

/** Hears what is told on the channel while the work is done. */
async function told(work: () => Promise<unknown>): Promise<number> {
  const session = new pg.Client(broker.database.url);
  let heard = 0;
  session.on('notification', () => {
    heard += 1;
  });
  await session.connect();
  await session.query('listen grantry_webhooks');
  await work();
  // What was told before this statement comes with its answer.
  await session.query('select 1');
  await session.end();
  return heard;
}

test('every enabled endpoint of the project that wants the type gets a delivery', async () => {
  const all = await register();
  const some = await register({ event_types: ['connection.created', 'connection.revoked'] });
  const off = await register();
  await register({ event_types: ['connection.revoked'] });
  await register({}, 'other');
  await broker.sql(`update webhook_endpoints set status = 'disabled' where id = $1`, [off]);
  await insertEvents(postgres.db, [created, deleted]);
  expect(await events()).toMatchObject([
    { type: 'connection.created', data: { a: 1 }, connection_id: 'con_1', link_id: null },
    { type: 'connection.deleted', data: {} },
  ]);
  expect(await wanted()).toEqual([`${all} connection.created`, `${all} connection.deleted`, `${some} connection.created`].sort());
  for (const { id, event_id, endpoint_id, ...rest } of await deliveries()) {
    expect(id).toBe(`whd_${event_id.slice(4)}_${endpoint_id.slice(-10)}`);
    expect(rest).toMatchObject({ project_id: 'default', status: 'pending' });
  }
});

test('events keep the order in which they were given', async () => {
  const types = ['connection.created', 'connection.refreshed', 'connection.deleted'] as const;
  for (let round = 0; round < 20; round += 1)
    await insertEvents(
      postgres.db,
      types.map((type) => ({ project_id: 'default', type, data: { round } })),
    );
  // Those of one change; changes within one millisecond are in any order.
  for (let round = 0; round < 20; round += 1)
    expect((await events()).filter(({ data }) => 'round' in data && data.round === round).map(({ type }) => type)).toEqual(types);
});

test('nothing is written of a change that does not happen', async () => {
  await register();
  const undone = () =>
    allOrNothing(postgres.db, async (tx) => {
      await insertEvents(tx, [created]);
      tx.rollback();
    });
  expect(await told(undone)).toBe(0);
  expect([await events(), await deliveries()]).toEqual([[], []]);
});

test('an event that cannot be written leaves no delivery, and a delivery that cannot be written no event', async () => {
  await register();
  await expect(insertEvents(postgres.db, [created, { ...created, project_id: 'nowhere' }])).rejects.toThrow();
  expect([await events(), await deliveries()]).toEqual([[], []]);
  await broker.sql(`alter table webhook_deliveries add constraint refused check (event_type <> 'connection.deleted')`);
  await expect(insertEvents(postgres.db, [created, deleted])).rejects.toThrow();
  await broker.sql('alter table webhook_deliveries drop constraint refused');
  expect([await events(), await deliveries()]).toEqual([[], []]);
});

describe('whoever delivers', () => {
  test('is told once for all of a change, when there is something to deliver', async () => {
    await register({ event_types: ['connection.created'] });
    await register({ event_types: ['connection.created'] });
    expect(await told(() => insertEvents(postgres.db, [deleted]))).toBe(0);
    expect(await told(() => insertEvents(postgres.db, [created, created, deleted]))).toBe(1);
    expect(await deliveries()).toHaveLength(4);
  });

  test('is told of a redelivery', async () => {
    await register();
    await insertEvents(postgres.db, [created]);
    await broker.sql(`update webhook_deliveries set status = 'delivered', next_attempt_at = null`);
    const [delivery] = await deliveries();
    expect(await told(() => broker.root.call('POST', `/v1/webhook-deliveries/${delivery?.id}/redeliver`))).toBe(1);
  });
});

test('an endpoint that is being deleted holds up no change, and makes none fail', async () => {
  const going = await register();
  const staying = await register();
  const session = await postgres.pool.connect();
  try {
    await session.query('begin');
    await session.query('delete from webhook_endpoints where id = $1', [going]);
    await insertEvents(postgres.db, [created]);
    await session.query('commit');
  } finally {
    session.release(true);
  }
  expect(await wanted()).toEqual([`${staying} connection.created`]);
  expect(await events()).toHaveLength(1);
});

test('changes and deletions of endpoints at once: no change fails', async () => {
  for (let round = 0; round < 10; round += 1) {
    const ids = await Promise.all([register(), register()]);
    const writes = Array.from({ length: 10 }, () => insertEvents(postgres.db, [created]));
    const removed = ids.map((id) => broker.broker.world.store.webhooks.removeEndpoint('default', id));
    expect(await Promise.all([...removed, ...writes])).toEqual([true, true, ...writes.map(() => undefined)]);
  }
  expect(await deliveries()).toEqual([]);
  expect(await events()).toHaveLength(100);
});

test('a statement that makes a change writes the events with it', async () => {
  await register();
  const rows = JSON.stringify(eventRows([created]));
  const text = (name: string) => `
    with changed as (update projects set name = $2 where id = '${name}' returning id),
    news as (select n.* from json_to_recordset($1::json) as n(${eventColumns}) join changed on changed.id = n.project_id),
    ${eventWrites('news')}
    select id from changed`;
  expect(await told(() => postgres.pool.query(text('nowhere'), [rows, 'New']))).toBe(0);
  expect([await events(), await deliveries()]).toEqual([[], []]);
  expect(await told(() => postgres.pool.query(text('default'), [rows, 'New']))).toBe(1);
  expect([(await events()).length, (await deliveries()).length]).toEqual([1, 1]);
});
