import { afterAll, beforeAll, expect, test } from 'vitest';
import type { GrantryClient } from '../../../src/client/client.ts';
import { connect, type Whole, withAuthorizationServer } from '../../broker/connected.ts';
import { problemOf, startWholeSandbox } from '../../harness/broker.ts';
import { type Listed, walk } from './walk.ts';

type Told = { id: string; type: string; what: string; why: string | null; next: string | null; created_at: string };

let world: Whole;
let root: GrantryClient;
let id: string;

beforeAll(async () => {
  world = await startWholeSandbox();
  root = world.root;
  await withAuthorizationServer(world);
  id = await connect(world);
  for (let n = 0; n < 3; n += 1) await root.call('POST', `/v1/connections/${id}/refresh`);
  world.sandbox.providers.authorizationServer.switches.fault = { kind: 'refuse', error: 'invalid_grant', status: 400 };
  expect(await problemOf(root.getToken(id, { force: true }))).toMatchObject({ code: 'reauthorization_required' });
});
afterAll(() => world?.stop());

const timeline = async (query: Record<string, string> = {}, path = `/v1/connections/${id}/events`) =>
  (await root.call<Listed<Told>>('GET', path, { query })).data;
const typesOf = (events: Told[]) => events.map(({ type }) => type);

test('a timeline says what happened, why, and what comes next', async () => {
  const events = await timeline();
  expect(typesOf(events)).toEqual([
    'connection.reauthorization_required',
    'connection.refreshed',
    'connection.refreshed',
    'connection.refreshed',
    'connection.created',
    'connect_link.connected',
  ]);
  for (const { what, why, next } of events) {
    expect(what).toMatch(/\.$/);
    for (const text of [why, next]) expect(text === null || text.endsWith('.')).toBe(true);
  }
  expect(events[0]).toMatchObject({
    what: 'The connection has stopped working.',
    why: expect.stringContaining('no longer accepts'),
    next: expect.stringContaining('connect the account again'),
  });
});

test('events are found by type, one or several, page by page', async () => {
  expect(typesOf(await timeline({ type: 'connection.refreshed' }))).toHaveLength(3);
  expect(typesOf(await timeline({ type: 'connection.created,connection.reauthorization_required' }))).toEqual([
    'connection.reauthorization_required',
    'connection.created',
  ]);
  expect(await timeline({ type: 'connection.deleted' })).toEqual([]);
  expect(typesOf(await timeline({ type: 'connection.created' }, '/v1/events'))).toEqual(['connection.created']);
  const all = await timeline({ type: 'connection.refreshed,connection.created' });
  expect(await walk(root, `/v1/connections/${id}/events?type=connection.refreshed,connection.created`, 1)).toEqual(all.map((event) => event.id));
});

test('events are found by time, to the millisecond', async () => {
  const events = await timeline();
  const middle = events.findLast(({ type }) => type === 'connection.refreshed')?.created_at ?? '';
  const [since, until] = [await timeline({ after: middle }), await timeline({ before: middle })];
  expect([since.length, until.length]).toEqual([4, 2]);
  expect([...since, ...until].map((event) => event.id)).toEqual(events.map((event) => event.id));
  expect(since.every(({ created_at }) => created_at >= middle)).toBe(true);
  expect(until.every(({ created_at }) => created_at < middle)).toBe(true);
  expect(typesOf(await timeline({ after: middle, type: 'connection.refreshed' }, '/v1/events'))).toHaveLength(3);
  expect(await timeline({ after: '2100-01-01T00:00:00Z' }, '/v1/events')).toEqual([]);
  expect(await timeline({ before: '1970-01-01T00:00:00Z' }, '/v1/events')).toEqual([]);
  expect(await timeline({ after: '9998-12-31T00:00:00Z' }, '/v1/events')).toEqual([]);
});

test('a deleted connection still has its timeline in the project, and no other project sees it', async () => {
  const gone = await root.call<{ id: string }>('POST', '/v1/connections', {
    body: { integration: 'as', end_user: { id: 'u9' }, import: { access_token: 'at' } },
  });
  await root.call('DELETE', `/v1/connections/${gone.id}`);
  expect(await problemOf(timeline({}, `/v1/connections/${gone.id}/events`))).toMatchObject({ status: 404 });
  const told = typesOf(await timeline({ connection_id: gone.id }, '/v1/events'));
  expect(told.slice(-2)).toEqual(['connection.deleted', 'connection.created']);
  await root.call('POST', '/v1/projects', { body: { id: 'other', name: 'Other' } });
  const other = await world.clientWith(['connect'], 'other');
  expect(await other.call('GET', '/v1/events', { query: { connection_id: gone.id } })).toMatchObject({ data: [] });
});

test.each([
  ['type', 'connection.enchanted'],
  ['type', 'connection.created,'],
  ['after', 'now'],
  ['before', '1969-12-31T23:59:59Z'],
])('%s=%s is refused', async (name, value) => {
  const { status, problem } = await problemOf(timeline({ [name]: value }));
  expect([status, problem.errors]).toEqual([400, [expect.objectContaining({ pointer: expect.stringMatching(`^/${name}`) })]]);
});
