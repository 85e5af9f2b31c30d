import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createWebhookEndpoint, updateWebhookEndpoint } from '../../../src/broker/webhook-endpoints.ts';
import type { GrantryClient } from '../../../src/client/client.ts';
import { GrantryError } from '../../../src/protocol/errors.ts';
import { type Whole, withAuthorizationServer } from '../../broker/connected.ts';
import { happen } from '../../broker/receiver.ts';
import { problemOf, startWholeSandbox } from '../../harness/broker.ts';
import { privateUrls } from '../../protocol/private-hosts.ts';
import { ask, json } from './ask.ts';
import { type Listed, type Shown, walk } from './walk.ts';

let whole: Whole;
let root: GrantryClient;

beforeAll(async () => {
  whole = await startWholeSandbox();
  root = whole.root;
  await withAuthorizationServer(whole);
});
afterAll(() => whole.stop());
beforeEach(() => whole.sql('delete from webhook_endpoints'));

const url = 'https://receiver.example.com/hooks?a=b';
const path = '/v1/webhook-endpoints';
const register = (body: Shown = {}) => root.call<Shown & { id: string; secret: string }>('POST', path, { body: { url, ...body } });

describe('endpoints', () => {
  test('are made, read, listed, changed and deleted; the secret is shown once', async () => {
    const { secret, ...made } = await register({
      description: 'CRM',
      event_types: ['connection.created', 'connection.deleted', 'connection.created'],
    });
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(made).toEqual({
      id: expect.stringMatching(/^whe_[0-9a-z]{26}$/),
      url,
      description: 'CRM',
      event_types: ['connection.created', 'connection.deleted'],
      status: 'enabled',
      disabled_reason: null,
      failing_since: null,
      previous_secret_until: null,
      created_at: expect.any(String),
      updated_at: expect.any(String),
    });
    expect(await root.call('GET', `${path}/${made.id}`)).toEqual(made);
    expect(await root.call('GET', path)).toEqual({ data: [made], next_cursor: null });
    const changed = await root.call<Shown>('PATCH', `${path}/${made.id}`, {
      body: { url: 'https://other.example.com/', description: null, event_types: [] },
    });
    expect(changed).toMatchObject({ url: 'https://other.example.com/', description: null, event_types: [], status: 'enabled' });
    expect(changed).not.toHaveProperty('secret');
    expect(await root.call('DELETE', `${path}/${made.id}`)).toBeUndefined();
    for (const method of ['GET', 'DELETE'] as const) expect(await problemOf(root.call(method, `${path}/${made.id}`))).toMatchObject({ status: 404 });
  });

  test('show their secret in an answer that nobody keeps, the same when it is asked for again', async () => {
    const headers = { 'idempotency-key': 'once', 'content-type': 'application/json' };
    const post = () => ask(whole.url, { method: 'POST', path, key: whole.broker.rootKey, headers, body: JSON.stringify({ url }) });
    const [first, again] = [await post(), await post()];
    expect(first).toMatchObject({ status: 201, headers: { 'cache-control': 'no-store' } });
    expect(again.text).toBe(first.text);
    const stored = await whole.sql('select t::text from idempotency_keys t');
    expect(JSON.stringify(stored)).not.toContain(JSON.parse(first.text).secret.slice(6));
  });

  test('want types that exist, and a change that is one', async () => {
    expect(await problemOf(register({ event_types: ['connection.created', 'connection.odd'] }))).toMatchObject({
      status: 400,
      problem: { errors: [{ pointer: '/event_types/1' }] },
    });
    const { id } = await register();
    expect(await problemOf(root.call('PATCH', `${path}/${id}`, { body: {} }))).toMatchObject({ status: 400 });
    expect(await problemOf(root.call('PATCH', `${path}/${id}`, { body: { status: 'odd' } }))).toMatchObject({ status: 400 });
    expect(await problemOf(root.call('PATCH', `${path}/whe_none`, { body: { status: 'enabled' } }))).toMatchObject({ status: 404 });
  });

  test('are forgiven when they are enabled again, or move', async () => {
    const { id } = await register();
    const ail = () =>
      whole.sql(`update webhook_endpoints set status = 'disabled', disabled_reason = 'gone', failing_since = now() where id = $1`, [id]);
    await ail();
    const patch = (body: Shown) => root.call<Shown>('PATCH', `${path}/${id}`, { body });
    expect(await patch({ status: 'disabled' })).toMatchObject({ status: 'disabled', disabled_reason: 'gone', failing_since: expect.any(String) });
    expect(await patch({ status: 'enabled' })).toMatchObject({ status: 'enabled', disabled_reason: null, failing_since: null });
    await ail();
    expect(await patch({ url })).toMatchObject({ status: 'disabled', failing_since: expect.any(String) });
    expect(await patch({ url: `${url}c` })).toMatchObject({ status: 'disabled', failing_since: null });
  });

  test('are at most fifty in a project, however many are made at once', async () => {
    const made = await Promise.allSettled(Array.from({ length: 60 }, () => register()));
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(50);
    expect(await problemOf(register())).toMatchObject({ status: 409, code: 'conflict' });
    expect(await walk(root, path, 20)).toEqual(await walk(root, path, 200));
    await root.call('POST', '/v1/projects', { body: { id: 'roomy', name: 'Roomy' } });
    const other = await whole.clientWith(['admin'], 'roomy');
    expect(await other.call('POST', path, { body: { url } })).toMatchObject({ status: 'enabled' });
  });

  test('rotate their secret, with an overlap of a week at most', async () => {
    const { id, secret } = await register();
    const rotate = (body: Shown) => root.call<Shown>('POST', `${path}/${id}/rotate-secret`, { body });
    const rotated = await rotate({});
    expect(rotated).toMatchObject({ id, secret: expect.stringMatching(/^whsec_/), previous_secret_until: expect.any(String) });
    expect(rotated.secret).not.toBe(secret);
    for (const overlap of [-1, 604_801, 1.5, '60']) expect(await problemOf(rotate({ overlap }))).toMatchObject({ status: 400 });
    expect(await root.call('GET', `${path}/${id}`)).not.toHaveProperty('secret');
    const both = await Promise.allSettled([rotate({}), rotate({})]);
    expect(both.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(0);
  });
});

describe('an address that the broker may not call', () => {
  const strict = () => ({ ...whole.broker.world, allowPrivateHosts: false });
  const refused = async (work: Promise<unknown>) => {
    const error = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (error instanceof GrantryError) return { code: error.code, pointers: error.details.errors?.map(({ pointer }) => pointer) };
    throw new Error('was taken', { cause: error });
  };
  const bad = [
    ...privateUrls,
    'http://receiver.example.com/',
    'https://u:p@receiver.example.com/',
    `${url}#f`,
    'receiver.example.com',
    'ftp://a.com/',
  ];

  test.each(bad)('%s is refused, when an endpoint is made and when it moves', async (address) => {
    const world = strict();
    const expected = { code: 'invalid_request', pointers: ['/url'] };
    expect(await refused(createWebhookEndpoint(world, 'default', { url: address }))).toEqual(expected);
    const { record } = await createWebhookEndpoint(world, 'default', { url: 'https://receiver.example.com/' });
    expect(await refused(updateWebhookEndpoint(world, 'default', record.id, { url: address }))).toEqual(expected);
    expect(await root.call('GET', `${path}/${record.id}`)).toMatchObject({ url: 'https://receiver.example.com/' });
  });

  test('is pointed at in the answer', async () => {
    expect(await problemOf(register({ url: 'https://u:p@receiver.example.com/' }))).toMatchObject({
      status: 400,
      problem: { errors: [{ pointer: '/url', detail: 'The address must not hold a user name or password: leave out what stands before @.' }] },
    });
  });
});

describe('deliveries', () => {
  const list = async (query: Record<string, string> = {}) =>
    (await root.call<Listed<Shown & { id: string }>>('GET', '/v1/webhook-deliveries', { query })).data;

  test('are found by endpoint, event and status, and page, newest first', async () => {
    const one = await register({ event_types: ['connection.created'] });
    const two = await register({ event_types: ['connection.created'] });
    const connections = [await happen(whole), await happen(whole), await happen(whole)];
    const all = await list();
    expect(all).toHaveLength(6);
    expect(all.map(({ id }) => id)).toEqual(
      all
        .map(({ id }) => id)
        .sort()
        .reverse(),
    );
    expect(all[0]).toEqual({
      id: expect.stringMatching(/^whd_[0-9a-z]{26}_[0-9a-z]{10}$/),
      endpoint: expect.stringMatching(/^whe_/),
      event: expect.stringMatching(/^evt_/),
      event_type: 'connection.created',
      status: 'pending',
      attempts: 0,
      next_attempt_at: expect.any(String),
      last_attempt_at: null,
      last_status: null,
      last_error: null,
      delivered_at: null,
      created_at: expect.any(String),
    });
    expect(await root.call('GET', `/v1/webhook-deliveries/${all[0]?.id}`)).toEqual(all[0]);
    for (const { id } of [one, two]) expect((await list({ endpoint: id })).map(({ endpoint }) => endpoint)).toEqual([id, id, id]);
    const { data: events } = await root.call<Listed<{ id: string }>>('GET', `/v1/connections/${connections[1]}/events`);
    expect((await list({ event: events[0]?.id ?? '' })).map(({ endpoint }) => endpoint).sort()).toEqual([one.id, two.id].sort());
    expect(await list({ status: 'pending', endpoint: one.id })).toHaveLength(3);
    expect(await list({ status: 'delivered' })).toEqual([]);
    expect(await walk(root, '/v1/webhook-deliveries', 1)).toEqual(all.map(({ id }) => id));
    expect(await problemOf(list({ status: 'queued' }))).toMatchObject({ status: 400, problem: { errors: [{ pointer: '/status' }] } });
    await root.call('DELETE', `${path}/${one.id}`);
    expect(new Set((await list()).map(({ endpoint }) => endpoint))).toEqual(new Set([two.id]));
  });

  test('are sent again when they are over and their endpoint is enabled', async () => {
    const { id: endpoint } = await register({ event_types: ['connection.created'] });
    await happen(whole);
    const [delivery] = await list();
    const redeliver = () => root.call<Shown>('POST', `/v1/webhook-deliveries/${delivery?.id}/redeliver`);
    expect(await problemOf(redeliver())).toMatchObject({ status: 409, code: 'conflict' });
    await root.call('PATCH', `${path}/${endpoint}`, { body: { status: 'disabled' } });
    expect(await list()).toMatchObject([{ status: 'failed', last_error: 'endpoint_disabled', next_attempt_at: null }]);
    expect(await problemOf(redeliver())).toMatchObject({ status: 409, code: 'conflict' });
    await root.call('PATCH', `${path}/${endpoint}`, { body: { status: 'enabled' } });
    expect(await redeliver()).toMatchObject({ status: 'pending', next_attempt_at: expect.any(String) });
    expect(await problemOf(root.call('POST', '/v1/webhook-deliveries/whd_none/redeliver'))).toMatchObject({ status: 404 });
  });
});

test('only administrators see and change them', async () => {
  for (const scope of ['connect', 'tokens']) {
    const { key } = await whole.clientWith([scope]);
    for (const asked of [{ path }, { path: '/v1/webhook-deliveries' }, { method: 'POST', path, ...json({ url }) }])
      expect((await ask(whole.url, { ...asked, key })).status).toBe(403);
  }
});

test('another project’s endpoints get nothing of ours', async () => {
  await root.call('POST', '/v1/projects', { body: { id: 'neighbour', name: 'Neighbour' } });
  const neighbour = await whole.clientWith(['admin'], 'neighbour');
  await neighbour.call('POST', path, { body: { url } });
  await happen(whole);
  expect(await neighbour.call('GET', '/v1/webhook-deliveries')).toEqual({ data: [], next_cursor: null });
});
