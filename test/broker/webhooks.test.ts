import { createHmac } from 'node:crypto';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { silentMeter } from '../../src/broker/meter.ts';
import { deliverWebhook } from '../../src/broker/webhooks.ts';
import type { World } from '../../src/broker/world.ts';
import { createDoor } from '../../src/outside/http.ts';
import { startWholeSandbox } from '../harness/broker.ts';
import { type Whole, withAuthorizationServer } from './connected.ts';
import { attemptAll, deliveriesTo, happen, type Receiver, type Registered, register, startReceiver } from './receiver.ts';

let whole: Whole;
let broker: World;
let receiver: Receiver;
let endpoint: Registered;
const counted: string[] = [];

beforeAll(async () => {
  whole = await startWholeSandbox();
  await withAuthorizationServer(whole);
  broker = { ...whole.broker.world, meter: { ...silentMeter, delivered: ({ outcome }) => counted.push(outcome) } };
});
afterAll(() => whole.stop());
beforeEach(async () => {
  counted.length = 0;
  receiver = await startReceiver();
  endpoint = await register(whole, { url: receiver.url, event_types: ['connection.created'] });
});
afterEach(async () => {
  await receiver.close();
  await whole.sql('delete from webhook_endpoints');
});

const attempt = (world = broker) => attemptAll(whole, world, endpoint.id);
const only = async () => {
  const [delivery, ...others] = await deliveriesTo(whole, endpoint.id);
  if (delivery === undefined || others.length > 0) throw new Error(`not one delivery but ${others.length + 1}`);
  return delivery;
};
const shown = () => whole.root.call<Registered>('GET', `/v1/webhook-endpoints/${endpoint.id}`);
const verify = (secret: string, { body, headers }: { body: string; headers: object }) => new Webhook(secret).verify(body, { ...headers });
const sql = (text: string) => whole.sql(text, [endpoint.id]);
/** As if the first failure, and the first attempt of the round, had been earlier. */
const age = (failing: string, round: string) =>
  Promise.all([
    sql(`update webhook_endpoints set failing_since = now() - interval '${failing}' where id = $1`),
    sql(
      `update webhook_deliveries set round_since = now() - interval '${round}', last_attempt_at = now() - interval '1 second' where endpoint_id = $1 and next_attempt_at is not null`,
    ),
  ]);
const refuses =
  (status: number, headers: Record<string, string> = {}): Receiver['answer'] =>
  (response) =>
    void response.writeHead(status, headers).end('said by the receiver');

describe('a delivery', () => {
  test('is signed so that the standard library verifies it, and tells of the event', async () => {
    const connection = await happen(whole);
    expect(await attempt()).toEqual(['delivered']);
    const [request] = receiver.received;
    if (request === undefined) throw new Error('nothing came');
    const delivery = await only();
    expect(request.headers).toMatchObject({
      'content-type': 'application/json',
      'webhook-id': delivery.event_id,
      'webhook-timestamp': expect.stringMatching(/^\d{10}$/),
      'webhook-signature': expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/),
    });
    const [event] = (await whole.root.call<{ data: Record<string, unknown>[] }>('GET', `/v1/connections/${connection}/events`)).data;
    const { type, ...told } = event ?? {};
    expect(verify(endpoint.secret, request)).toEqual({ type, timestamp: event?.created_at, data: { ...told, project: 'default' } });
    expect(event).toMatchObject({ id: delivery.event_id, type: 'connection.created', connection_id: connection, what: expect.any(String) });
    expect(delivery).toMatchObject({ status: 'delivered', attempts: 1, last_status: 204, last_error: null, next_attempt_at: null });
    expect(counted).toEqual(['delivered']);
  });

  test('is signed as the specification says, without any library', async () => {
    await happen(whole);
    await attempt();
    const [request] = receiver.received;
    const key = Buffer.from(endpoint.secret.replace(/^whsec_/, ''), 'base64');
    expect(key).toHaveLength(32);
    const text = `${request?.headers['webhook-id']}.${request?.headers['webhook-timestamp']}.${request?.body}`;
    expect(request?.headers['webhook-signature']).toBe(`v1,${createHmac('sha256', key).update(text).digest('base64')}`);
  });

  test('that was changed, or is old, or bears another id, does not verify', async () => {
    await happen(whole);
    await attempt();
    const [request] = receiver.received;
    if (request === undefined) throw new Error('nothing came');
    const { headers, body } = request;
    const wrong = [
      { headers, body: body.replace('connection.created', 'connection.deleted') },
      { headers: { ...headers, 'webhook-id': 'evt_other' }, body },
      { headers: { ...headers, 'webhook-timestamp': String(Number(headers['webhook-timestamp']) - 1) }, body },
    ];
    for (const one of wrong) expect(() => verify(endpoint.secret, one)).toThrow(WebhookVerificationError);
    receiver.received.length = 0;
    await happen(whole);
    await attempt({ ...broker, now: () => new Date(Date.now() - 301_000) });
    expect(receiver.received).toHaveLength(1);
    for (const old of receiver.received) expect(() => verify(endpoint.secret, old)).toThrow('too old');
  });

  test('keeps its id over attempts, and is signed anew for each', async () => {
    await happen(whole);
    receiver.answer = refuses(500);
    expect(await attempt()).toEqual(['retried']);
    receiver.answer = refuses(200);
    expect(await attempt({ ...broker, now: () => new Date(Date.now() + 60_000) })).toEqual(['delivered']);
    const [first, second] = receiver.received;
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
    expect(second?.body).toBe(first?.body);
    expect(second?.headers['webhook-signature']).not.toBe(first?.headers['webhook-signature']);
    expect(await only()).toMatchObject({ status: 'delivered', attempts: 2, last_status: 200 });
    expect(counted).toEqual(['retried', 'delivered']);
  });

  test('is made by one of many that try at once, and only when it is due', async () => {
    await happen(whole);
    const { id } = await only();
    const at = await Promise.all(Array.from({ length: 20 }, () => deliverWebhook(broker, id)));
    expect(at.filter((outcome) => outcome !== 'nothing')).toEqual(['delivered']);
    receiver.answer = refuses(500);
    await happen(whole);
    const [, later] = await deliveriesTo(whole, endpoint.id);
    const again = () => deliverWebhook(broker, later?.id ?? '');
    await sql(`update webhook_deliveries set next_attempt_at = now() + interval '10 seconds' where endpoint_id = $1 and status = 'pending'`);
    expect(await again()).toBe('nothing');
    await sql(`update webhook_deliveries set next_attempt_at = now() where endpoint_id = $1 and status = 'pending'`);
    expect(await again()).toBe('retried');
    expect(receiver.received).toHaveLength(2);
    for (const odd of ['', 'whd_nothing', "' or 1=1 --", 'con_x'.repeat(1000)]) expect(await deliverWebhook(broker, odd)).toBe('nothing');
  });

  test('waits for its host to have a turn', async () => {
    await happen(whole);
    const { id } = await only();
    const hosts: string[] = [];
    const later = async (host: string) => {
      hosts.push(host);
      return { kind: 'later', ms: 60_000 } as const;
    };
    expect(await deliverWebhook(broker, id, later)).toBe('nothing');
    expect(hosts).toEqual(['127.0.0.1']);
    expect(await deliverWebhook(broker, id)).toBe('nothing');
    expect(await only()).toMatchObject({ status: 'pending', attempts: 0 });
    const released: string[] = [];
    await sql('update webhook_deliveries set next_attempt_at = now() where endpoint_id = $1');
    const now = async () => ({ kind: 'go', release: () => void released.push(id) }) as const;
    expect(await deliverWebhook(broker, id, now)).toBe('delivered');
    expect(released).toEqual([id]);
  });
});

describe('handing out', () => {
  test('gives each due delivery to one caller, and again when nothing came of it', async () => {
    await Promise.all(Array.from({ length: 12 }, () => happen(whole)));
    const { webhooks } = broker.store;
    const lists = await Promise.all(Array.from({ length: 6 }, () => webhooks.due(5, 60)));
    const ids = lists.flat().map(({ id }) => id);
    expect(ids).toHaveLength(12);
    expect(new Set(ids).size).toBe(12);
    expect(await webhooks.due(100, 60)).toEqual([]);
    expect(await deliverWebhook(broker, ids[0] ?? '')).toBe('delivered');
    expect(await deliverWebhook(broker, ids[0] ?? '')).toBe('nothing');
    const { data } = await whole.root.call<{ data: { status: string }[] }>('GET', '/v1/webhook-deliveries', { query: { status: 'pending' } });
    expect(data.map(({ status }) => status)).toEqual(Array.from({ length: 11 }, () => 'pending'));
    await sql(`update webhook_deliveries set next_attempt_at = now() where endpoint_id = $1 and status = 'queued'`);
    expect(await webhooks.due(100, 60)).toHaveLength(11);
  });

  test('begins anew when the queue was lost: at once, and only with what was in it', async () => {
    await Promise.all([happen(whole), happen(whole), happen(whole), happen(whole)]);
    const { webhooks } = broker.store;
    const [first, second, third, fourth] = await webhooks.due(100, 60);
    // One has been taken, one refused, and one waits for its host: their times are their own.
    expect(await deliverWebhook(broker, first?.id ?? '')).toBe('delivered');
    receiver.answer = refuses(503, { 'retry-after': '60' });
    expect(await deliverWebhook(broker, second?.id ?? '')).toBe('retried');
    await webhooks.postpone(third ?? { id: '', attempts: 0 }, 60_000);
    await webhooks.handOutAgain();
    expect(await webhooks.due(100, 60)).toEqual([fourth]);
    expect(await webhooks.due(100, 60)).toEqual([]);
  });

  test('begins anew when the process ended in the middle of an attempt', async () => {
    await happen(whole);
    const { id } = await only();
    const dies = { ...broker, door: () => Promise.reject(new Error('killed')) };
    await expect(deliverWebhook(dies, id)).rejects.toThrow('killed');
    expect(await deliverWebhook(broker, id)).toBe('nothing');
    expect(await attempt()).toEqual(['delivered']);
    expect(await only()).toMatchObject({ attempts: 2 });
  });
});

describe('a receiver that does not take it', () => {
  test.each([301, 302, 307, 400, 401, 404, 429, 500, 503])('but says %i is asked again', async (status) => {
    receiver.answer = refuses(status, { location: `${receiver.url}/elsewhere` });
    await happen(whole);
    expect(await attempt()).toEqual(['retried']);
    expect(await only()).toMatchObject({ status: 'pending', attempts: 1, last_status: status, last_error: 'unexpected_status' });
    expect(receiver.received.map(({ path }) => path)).toEqual(['/hook']);
    expect((await shown()).failing_since).not.toBeNull();
    receiver.answer = refuses(200);
    expect(await attempt()).toEqual(['delivered']);
    expect((await shown()).failing_since).toBeNull();
  });

  test('keeps the time of its first failure until it takes something', async () => {
    receiver.answer = refuses(500);
    await happen(whole);
    await attempt();
    const { failing_since } = await shown();
    await attempt();
    expect((await shown()).failing_since).toBe(failing_since);
  });

  test('is left alone for as long as it asks', async () => {
    await happen(whole);
    const waits = async () =>
      (await whole.sql<{ s: number }>('select extract(epoch from next_attempt_at - now())::float8 as s from webhook_deliveries'))[0]?.s;
    receiver.answer = refuses(429, { 'retry-after': '1000' });
    await attempt();
    expect(await waits()).toBeGreaterThan(990);
    receiver.answer = refuses(503, { 'retry-after': new Date(Date.now() + 7_000_000).toUTCString() });
    await attempt();
    expect(await waits()).toBeGreaterThan(6_900);
    receiver.answer = refuses(500, { 'retry-after': '1000' });
    await attempt();
    expect(await waits()).toBeLessThan(60);
  });

  test('and whose connection breaks, or cannot be made, is asked again', async () => {
    await happen(whole);
    receiver.answer = (response) => response.destroy();
    expect(await attempt()).toEqual(['retried']);
    expect(await only()).toMatchObject({ last_status: null, last_error: 'no_answer' });
    await receiver.close();
    expect(await attempt()).toEqual(['retried']);
    expect(await only()).toMatchObject({ last_status: null, last_error: 'provider_unreachable' });
  });

  test('is given up after a day, which begins with the first attempt', async () => {
    receiver.answer = refuses(500);
    await happen(whole);
    await sql(`update webhook_deliveries set created_at = now() - interval '3 days', round_since = now() - interval '3 days' where endpoint_id = $1`);
    expect(await attempt()).toEqual(['retried']);
    await age('1 day', '23 hours');
    expect(await attempt()).toEqual(['retried']);
    await age('1 day', '24 hours');
    expect(await attempt()).toEqual(['failed']);
    expect(await only()).toMatchObject({ status: 'failed', attempts: 3, next_attempt_at: null, last_status: 500 });
    expect((await shown()).status).toBe('enabled');
    expect(counted).toEqual(['retried', 'retried', 'failed']);
  });

  test('or hangs has the time of the door and no more', async () => {
    const door = createDoor({ allowPrivateHosts: true, deadlineMs: 300 });
    receiver.answer = () => {};
    await happen(whole);
    expect(await attempt({ ...broker, door: door.send })).toEqual(['retried']);
    expect(await only()).toMatchObject({ last_status: null, last_error: 'no_answer' });
    await door.close();
  });
});

describe('disabling', () => {
  const disabledEvents = () =>
    whole.sql<{ project_id: string; data: object }>(`select project_id, data from events where type = 'webhook_endpoint.disabled'`);
  beforeEach(() => whole.sql(`delete from events where type = 'webhook_endpoint.disabled'`));

  test('follows from 410: all that is pending has failed, and other endpoints hear of it', async () => {
    const watcher = await register(whole, { url: receiver.url, event_types: ['webhook_endpoint.disabled'] });
    await Promise.all([happen(whole), happen(whole), happen(whole)]);
    receiver.answer = refuses(410);
    const [first] = await deliveriesTo(whole, endpoint.id);
    expect(await deliverWebhook(broker, first?.id ?? '')).toBe('disabled');
    expect(await shown()).toMatchObject({ status: 'disabled', disabled_reason: 'gone' });
    expect((await deliveriesTo(whole, endpoint.id)).map(({ status, last_error, attempts }) => [status, last_error, attempts])).toEqual([
      ['failed', 'unexpected_status', 1],
      ['failed', 'endpoint_disabled', 0],
      ['failed', 'endpoint_disabled', 0],
    ]);
    expect(await disabledEvents()).toEqual([
      { project_id: 'default', data: { endpoint: endpoint.id, reason: 'gone', next: expect.stringContaining('redeliver') } },
    ]);
    expect(counted).toEqual(['disabled']);
    await happen(whole);
    expect(await deliveriesTo(whole, endpoint.id)).toHaveLength(3);
    receiver.answer = refuses(200);
    expect(await attemptAll(whole, broker, watcher.id)).toEqual(['delivered']);
    expect(receiver.received.at(-1)?.body).toContain(endpoint.id);
  });

  test('follows from days in which nothing was taken, once', async () => {
    receiver.answer = refuses(500);
    await Promise.all([happen(whole), happen(whole)]);
    await attempt();
    await age('4 days 23 hours', '2 hours');
    expect(await attempt()).toEqual(['retried', 'retried']);
    await age('5 days', '59 minutes');
    expect(await attempt()).toEqual(['retried', 'retried']);
    await age('5 days', '2 hours');
    await sql('update webhook_deliveries set next_attempt_at = now() where endpoint_id = $1');
    const outcomes = await Promise.all((await deliveriesTo(whole, endpoint.id)).map(({ id }) => deliverWebhook(broker, id)));
    expect(outcomes).toContain('disabled');
    expect(await shown()).toMatchObject({ status: 'disabled', disabled_reason: 'failing' });
    expect((await deliveriesTo(whole, endpoint.id)).map(({ status }) => status)).toEqual(['failed', 'failed']);
    expect(await disabledEvents()).toMatchObject([{ data: { endpoint: endpoint.id, reason: 'failing' } }]);
  });

  test('does not follow from days of silence, nor when something was taken meanwhile', async () => {
    receiver.answer = refuses(500);
    await happen(whole);
    await attempt();
    await age('9 days', '2 hours');
    receiver.answer = async (response) => {
      // Another delivery arrives while this one is under way.
      await sql('update webhook_endpoints set failing_since = null where id = $1');
      response.writeHead(500).end();
    };
    expect(await attempt()).toEqual(['retried']);
    expect(await shown()).toMatchObject({ status: 'enabled' });
    expect(await only()).toMatchObject({ status: 'pending' });
  });

  test('says nothing about an address that was changed meanwhile', async () => {
    await happen(whole);
    receiver.answer = async (response) => {
      await whole.root.call('PATCH', `/v1/webhook-endpoints/${endpoint.id}`, { body: { url: `${receiver.url}/new` } });
      response.writeHead(410).end();
    };
    expect(await attempt()).toEqual(['retried']);
    expect(await shown()).toMatchObject({ status: 'enabled', url: `${receiver.url}/new` });
    receiver.answer = refuses(200);
    expect(await attempt()).toEqual(['delivered']);
    expect(receiver.received.at(-1)?.path).toBe('/hook/new');
  });

  test('by request ends what is pending, and tells nobody', async () => {
    await happen(whole);
    const { id } = await only();
    const [handed] = await broker.store.webhooks.due(1, 60);
    expect(handed?.id).toBe(id);
    await whole.root.call('PATCH', `/v1/webhook-endpoints/${endpoint.id}`, { body: { status: 'disabled' } });
    expect(await shown()).toMatchObject({ status: 'disabled', disabled_reason: 'request' });
    expect(await only()).toMatchObject({ status: 'failed', last_error: 'endpoint_disabled', attempts: 0 });
    expect(await deliverWebhook(broker, id)).toBe('nothing');
    expect(await disabledEvents()).toEqual([]);
  });

  test('does not undo what the receiver takes in that very moment', async () => {
    await happen(whole);
    receiver.answer = async (response) => {
      await whole.root.call('PATCH', `/v1/webhook-endpoints/${endpoint.id}`, { body: { status: 'disabled' } });
      response.writeHead(204).end();
    };
    expect(await attempt()).toEqual(['delivered']);
    expect(await only()).toMatchObject({ status: 'delivered', last_error: null, delivered_at: expect.any(Date) });
    expect(await shown()).toMatchObject({ status: 'disabled' });
  });

  test('holds for a delivery that was written in that very moment', async () => {
    await happen(whole);
    await sql(`update webhook_endpoints set status = 'disabled' where id = $1`);
    expect(await attempt()).toEqual(['failed']);
    expect(await only()).toMatchObject({ status: 'failed', last_error: 'endpoint_disabled' });
    expect(receiver.received).toEqual([]);
  });
});

describe('a private address', () => {
  const strict = () => {
    const door = createDoor({ allowPrivateHosts: false, resolve: async () => [{ address: '127.0.0.1', family: 4 }] });
    return { ...broker, allowPrivateHosts: false, door: door.send };
  };

  test.each(['http', 'https', 'name', '[::1]', 'metadata'])('that stands in the row (%s) is not called', async (kind) => {
    const { port } = new URL(receiver.url);
    const urls: Record<string, string> = {
      http: receiver.url,
      https: `https://127.0.0.1:${port}/`,
      name: `https://receiver.example.org:${port}/`,
      '[::1]': `https://[::1]:${port}/`,
      metadata: 'https://169.254.169.254/latest/meta-data/',
    };
    await happen(whole);
    await whole.sql('update webhook_endpoints set url = $2 where id = $1', [endpoint.id, urls[kind]]);
    expect(await attempt(strict())).toEqual(['retried']);
    expect(await only()).toMatchObject({ last_status: null, last_error: 'address_refused' });
    expect(receiver.received).toEqual([]);
  });
});

describe('the signing secret', () => {
  const rotate = async (overlap?: number) =>
    (await whole.root.call<Registered>('POST', `/v1/webhook-endpoints/${endpoint.id}/rotate-secret`, { body: { overlap } })).secret;
  const next = async () => {
    await happen(whole);
    expect(await attempt()).toEqual(['delivered']);
    const request = receiver.received.at(-1);
    if (request === undefined) throw new Error('nothing came');
    return request;
  };
  const verifies = (secret: string, request: { body: string; headers: object }) => {
    try {
      return verify(secret, request) !== undefined;
    } catch {
      return false;
    }
  };

  test('is rotated without a gap: both sign until the overlap ends', async () => {
    const second = await rotate();
    expect(second).not.toBe(endpoint.secret);
    const both = await next();
    expect(both.headers['webhook-signature']).toMatch(/^v1,\S{44} v1,\S{44}$/);
    expect([verifies(endpoint.secret, both), verifies(second, both)]).toEqual([true, true]);
    await sql(`update webhook_endpoints set previous_secret_until = now() - interval '1 second' where id = $1`);
    const one = await next();
    expect([verifies(endpoint.secret, one), verifies(second, one)]).toEqual([false, true]);
  });

  test('ends at once when no overlap is wanted, and two sign at most', async () => {
    const second = await rotate(0);
    const request = await next();
    expect([verifies(endpoint.secret, request), verifies(second, request)]).toEqual([false, true]);
    const third = await rotate(600);
    const fourth = await rotate(600);
    const last = await next();
    expect([second, third, fourth].map((secret) => verifies(secret, last))).toEqual([false, true, true]);
  });

  test('is not replaced by somebody who has not seen it', async () => {
    const second = await rotate();
    const late = { secrets_sealed: 'made for the version before', overlapS: 0 };
    expect(await broker.store.webhooks.rotateSecrets('default', endpoint.id, 1, late)).toBeUndefined();
    expect(verifies(second, await next())).toBe(true);
  });

  test('that does not open is told, and does not end the worker', async () => {
    await sql('update webhook_endpoints set secret_version = secret_version + 1 where id = $1');
    await happen(whole);
    expect(await attempt()).toEqual(['retried']);
    expect(await only()).toMatchObject({ last_error: 'integrity_error' });
    expect(whole.logged.join('')).toContain('the signing secrets of a webhook endpoint do not open');
    expect(receiver.received).toEqual([]);
  });

  test('is in no log, no table, and no payload, and neither is what a receiver says', async () => {
    const second = await rotate();
    receiver.answer = refuses(500);
    await happen(whole);
    await attempt();
    const tables = await whole.sql<{ name: string }>(`select table_name as name from information_schema.tables where table_schema = 'public'`);
    const rows = await Promise.all(tables.map(({ name }) => whole.sql(`select t::text as text from "${name}" t`)));
    const places = { database: JSON.stringify(rows), log: whole.logged.join('\n'), payloads: receiver.received.map(({ body }) => body).join('\n') };
    expect(places.database).toContain(endpoint.id);
    expect(places.log).toContain('a webhook was not taken');
    for (const text of [endpoint.secret, second]) {
      const bytes = Buffer.from(text.slice('whsec_'.length), 'base64');
      const shapes = [text, text.slice(6), bytes.toString('base64url'), bytes.toString('hex'), Buffer.from(text).toString('base64')];
      for (const [place, content] of Object.entries(places))
        for (const shape of shapes) expect([place, content.includes(shape)]).toEqual([place, false]);
    }
    for (const content of [places.database, places.log]) expect(content).not.toContain('said by the receiver');
  });
});

describe('redelivery', () => {
  const redeliver = (id: string) => whole.root.call<{ status: string }>('POST', `/v1/webhook-deliveries/${id}/redeliver`);

  test('is a new round of the same delivery, with the same id, at once', async () => {
    await happen(whole);
    await attempt();
    const { id } = await only();
    expect(await redeliver(id)).toMatchObject({ id, status: 'pending', attempts: 1, delivered_at: null });
    expect(await broker.store.webhooks.due(10, 60)).toEqual([{ id, attempts: 1 }]);
    expect(await deliverWebhook(broker, id)).toBe('delivered');
    const [first, second] = receiver.received.map(({ headers }) => headers['webhook-id']);
    expect(second).toBe(first);
    expect(await only()).toMatchObject({ status: 'delivered', attempts: 2 });
  });

  test('gives one that had failed another day', async () => {
    receiver.answer = refuses(500);
    await happen(whole);
    await attempt();
    await age('1 day', '25 hours');
    expect(await attempt()).toEqual(['failed']);
    await redeliver((await only()).id);
    expect(await attempt()).toEqual(['retried']);
    expect(await only()).toMatchObject({ status: 'pending', attempts: 3 });
  });
});
