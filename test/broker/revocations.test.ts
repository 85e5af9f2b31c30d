import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { keepHouse } from '../../src/broker/housekeeping.ts';
import { attemptRevocation } from '../../src/broker/revocations.ts';
import { problemOf, startWholeSandbox } from '../harness/broker.ts';
import { connect, type Whole, withAuthorizationServer } from './connected.ts';

let world: Whole;
let id: string;

beforeAll(async () => {
  world = await startWholeSandbox();
  await withAuthorizationServer(world);
});
afterAll(() => world.stop());
beforeEach(async () => {
  as().switches.revocationFault = { kind: 'none' };
  id = await connect(world);
});

const as = () => world.sandbox.providers.authorizationServer;
const waiting = async () => (await world.sql('select attempts from revocations where connection_id = $1', [id])).length;
const remove = () => world.root.call('DELETE', `/v1/connections/${id}`);
const types = async () =>
  (
    await world.root.call<{ data: { type: string; connection_id: string; data: object }[] }>('GET', '/v1/events', { query: { limit: 10 } })
  ).data.filter((event) => event.connection_id === id);

test('a deleted connection is revoked at the provider and gone here', async () => {
  const { access_token } = await world.root.getToken(id);
  const before = as().counters.revocations;
  expect(await remove()).toBeUndefined();
  for (const path of ['', '/token', '/events'])
    expect(await problemOf(world.root.call('GET', `/v1/connections/${id}${path}`))).toMatchObject({ status: 404, code: 'not_found' });
  expect(await problemOf(remove())).toMatchObject({ status: 404 });
  await expect.poll(waiting).toBe(0);
  // The refresh token, and then the access token.
  expect(as().counters.revocations).toBe(before + 2);
  const { status } = await fetch(`${as().url}/api/me`, { headers: { authorization: `Bearer ${access_token}` } });
  expect(status).toBe(401);
  expect((await types()).map(({ type }) => type).slice(0, 2)).toEqual(['connection.revoked', 'connection.deleted']);
});

test('a provider that is down changes nothing for the caller, and is told later', async () => {
  as().switches.revocationFault = { kind: 'down' };
  expect(await remove()).toBeUndefined();
  expect((await world.sql('select credential_sealed, inputs_sealed from connections where id = $1', [id]))[0]).toEqual({
    credential_sealed: null,
    inputs_sealed: null,
  });
  await keepHouse(world.broker.world);
  expect(await waiting()).toBe(1);
  for (let attempt = 0; attempt < 2; attempt += 1) {
    await world.sql(`update revocations set next_attempt_at = now() - interval '1 second'`);
    expect((await keepHouse(world.broker.world)).revocationsTried).toBe(1);
    expect(await waiting()).toBe(1);
  }
  as().switches.revocationFault = { kind: 'none' };
  expect((await keepHouse(world.broker.world)).revocationsTried).toBe(0);
  await world.sql(`update revocations set next_attempt_at = now() - interval '1 second'`);
  await keepHouse(world.broker.world);
  expect(await waiting()).toBe(0);
  expect((await types())[0]).toMatchObject({ type: 'connection.revoked' });
});

test('a provider that asks to wait is not asked again before, and after an hour in any case', async () => {
  const dueInS = async () =>
    Number(
      (await world.sql('select extract(epoch from next_attempt_at - now())::float8 as s from revocations where connection_id = $1', [id]))[0]?.s,
    );
  as().switches.revocationFault = { kind: 'retry_after', seconds: 600 };
  await remove();
  await expect.poll(dueInS, { timeout: 20_000 }).toBeGreaterThan(500);
  expect(await dueInS()).toBeLessThanOrEqual(600);
  as().switches.revocationFault = { kind: 'retry_after', seconds: 86_400 };
  await world.sql(`update revocations set next_attempt_at = now() - interval '1 second'`);
  expect((await keepHouse(world.broker.world)).revocationsTried).toBe(1);
  expect(await dueInS()).toBeGreaterThan(3_500);
  expect(await dueInS()).toBeLessThanOrEqual(3_600);
  as().switches.revocationFault = { kind: 'none' };
  await world.sql('delete from revocations');
});

test('a definition that is refused today keeps a revocation waiting for one that holds, and not for ever', async () => {
  const definition = as().definition.replace('"sandbox-as"', '"soon-refused"');
  await world.root.call('PUT', '/v1/providers/soon-refused', { body: definition });
  const body = { id: 'soon-refused', provider: 'soon-refused', ...as().client };
  const { redirect_uri } = await world.root.call<{ redirect_uri: string }>('POST', '/v1/integrations', { body });
  as().registerRedirectUri(redirect_uri);
  const given = { access_token: 'tok', refresh_token: 'ref' };
  const made = await world.root.call<{ id: string }>('POST', '/v1/connections', {
    body: { integration: 'soon-refused', end_user: { id: 'u1' }, import: given },
  });
  id = made.id;
  await world.sql(`update provider_versions set version = 2, definition = '{"id": "soon-refused"}' where provider_id = 'soon-refused'`);
  await remove();
  await expect.poll(() => world.logged.some((line) => line.includes('revocation failed') && line.includes(id))).toBe(true);
  expect(await waiting()).toBe(1);
  await world.sql(`update revocations set attempts = 30, next_attempt_at = now() - interval '1 second' where connection_id = $1`, [id]);
  await keepHouse(world.broker.world);
  expect(await waiting()).toBe(0);
});

test('an integration stays until the provider was told of what was deleted', async () => {
  const body = { id: 'passing', provider: 'sandbox-as', ...as().client };
  const { redirect_uri } = await world.root.call<{ redirect_uri: string }>('POST', '/v1/integrations', { body });
  as().registerRedirectUri(redirect_uri);
  const given = { access_token: 'tok', refresh_token: 'ref' };
  const made = await world.root.call<{ id: string }>('POST', '/v1/connections', {
    body: { integration: 'passing', end_user: { id: 'u1' }, import: given },
  });
  as().switches.revocationFault = { kind: 'down' };
  await world.root.call('DELETE', `/v1/connections/${made.id}`);
  expect(await problemOf(world.root.call('DELETE', '/v1/integrations/passing'))).toMatchObject({ status: 409, code: 'conflict', retryAfterS: 60 });
  as().switches.revocationFault = { kind: 'none' };
  await world.sql(`update revocations set next_attempt_at = now() - interval '1 second'`);
  await keepHouse(world.broker.world);
  expect(await world.root.call('DELETE', '/v1/integrations/passing')).toBeUndefined();
});

test('a provider that never answers is given up after a day, with an event', async () => {
  as().switches.revocationFault = { kind: 'down' };
  await remove();
  await world.sql(`update revocations set attempts = 30, next_attempt_at = now() - interval '1 second'`);
  await keepHouse(world.broker.world);
  expect(await waiting()).toBe(0);
  expect((await types())[0]).toMatchObject({ type: 'connection.revocation_failed', data: { next: expect.stringContaining('account') } });
});

test('a provider that refuses is not asked again', async () => {
  as().switches.revocationFault = { kind: 'refuse', error: 'unsupported_token_type', status: 400 };
  await remove();
  await expect.poll(waiting).toBe(0);
  expect((await types())[0]).toMatchObject({ type: 'connection.revocation_failed' });
});

test('a connection whose definition has lost its method, or that does not open, can be deleted all the same', async () => {
  await world.sql(`update connections set method = 'no-longer' where id = $1`, [id]);
  expect(await problemOf(world.root.call('POST', `/v1/connections/${id}/refresh`))).toMatchObject({ status: 409, code: 'conflict' });
  expect(await remove()).toBeUndefined();
  id = await connect(world);
  await world.sql(`update connections set credential_sealed = 'x.y.z', inputs_sealed = 'x.y.z' where id = $1`, [id]);
  expect(await remove()).toBeUndefined();
  await expect.poll(waiting).toBe(0);
});

test('two housekeepers at a time tell the provider once', async () => {
  as().switches.revocationFault = { kind: 'down' };
  const failures = () => world.logged.filter((line) => line.includes('revocation failed') && line.includes(id)).length;
  await remove();
  await expect.poll(failures).toBe(1);
  as().switches.revocationFault = { kind: 'none' };
  await world.sql(`update revocations set next_attempt_at = now() - interval '1 second'`);
  const before = as().counters.revocations;
  await Promise.all([keepHouse(world.broker.world), keepHouse(world.broker.world), keepHouse(world.broker.world)]);
  expect(as().counters.revocations).toBe(before + 2);
});

test('what is sealed anew while its provider is told goes all the same: the provider hears of it once', async () => {
  as().switches.revocationFault = { kind: 'down' };
  await remove();
  await expect.poll(() => world.logged.some((line) => line.includes('revocation failed') && line.includes(id))).toBe(true);
  as().switches.revocationFault = { kind: 'none' };
  const { store } = world.broker.world;
  const before = as().counters.revocations;
  await world.sql(`update revocations set next_attempt_at = now() - interval '1 second'`);
  const [claimed] = await store.revocations.claimDue(10, 60);
  if (claimed === undefined) throw new Error('Nothing was due.');
  const change = { key: [id], column: 'credential_sealed', from: claimed.credential_sealed, to: `${claimed.credential_sealed}.anew` };
  expect(await store.sealedRows.replace('revocations', [change])).toBe(1);
  await attemptRevocation(world.broker.world, claimed);
  expect([await waiting(), as().counters.revocations]).toEqual([0, before + 2]);
  expect((await types())[0]).toMatchObject({ type: 'connection.revoked' });
});

test('what was queued meanwhile of a later version stays', async () => {
  as().switches.revocationFault = { kind: 'down' };
  await remove();
  await expect.poll(() => world.logged.some((line) => line.includes('revocation failed') && line.includes(id))).toBe(true);
  const { store } = world.broker.world;
  const row = await store.revocations.get(id);
  if (row === undefined) throw new Error('Nothing is queued.');
  await store.revocations.queue({ ...row, token_version: row.token_version + 1 });
  await store.revocations.done(row, []);
  expect(await waiting()).toBe(1);
  await world.sql('delete from revocations where connection_id = $1', [id]);
});
