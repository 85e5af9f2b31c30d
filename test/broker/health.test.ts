import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { problemOf, startWholeSandbox } from '../harness/broker.ts';
import { type Listed, walk } from '../web/api/walk.ts';
import { connect, expire, type Whole, withAuthorizationServer } from './connected.ts';

/** What a connection says of itself, and how those that are not well are found. */

let world: Whole;
const as = () => world.sandbox.providers.authorizationServer;

beforeAll(async () => {
  world = await startWholeSandbox();
  await withAuthorizationServer(world);
});
afterAll(() => world?.stop());
beforeEach(() => {
  as().switches.fault = { kind: 'none' };
});

const health = (id: string) => world.root.call<Record<string, unknown>>('GET', `/v1/connections/${id}`);
const well = { status: 'active', reason: null, failing_since: null, last_error: null, last_used_at: null };
const aTime = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);

test('a connection says how it is: new, refreshed, failing, well again, ended', async () => {
  const id = await connect(world);
  expect(await health(id)).toMatchObject({ ...well, last_refreshed_at: null, next_refresh_at: aTime });
  await world.root.call('POST', `/v1/connections/${id}/refresh`);
  expect(await health(id)).toMatchObject({ ...well, last_refreshed_at: aTime, next_refresh_at: aTime });
  as().switches.fault = { kind: 'down' };
  await expire(world, id);
  expect(await problemOf(world.root.getToken(id))).toMatchObject({ code: 'provider_unavailable' });
  const failing = await health(id);
  expect(failing).toMatchObject({
    status: 'refresh_failing',
    reason: null,
    failing_since: aTime,
    next_refresh_at: aTime,
    last_error: { code: 'provider_unavailable', at: aTime, retryable: true },
  });
  expect(Date.parse(String(failing.next_refresh_at))).toBeGreaterThan(Date.parse(String(failing.failing_since)));
  as().switches.fault = { kind: 'none' };
  await world.root.call('POST', `/v1/connections/${id}/refresh`);
  expect(await health(id)).toMatchObject({ ...well, next_refresh_at: aTime });
  as().switches.fault = { kind: 'refuse', error: 'invalid_grant', status: 400 };
  await expire(world, id);
  expect(await problemOf(world.root.getToken(id))).toMatchObject({ code: 'reauthorization_required' });
  expect(await health(id)).toMatchObject({ status: 'reauthorization_required', reason: 'invalid_grant', next_refresh_at: null });
  await world.broker.world.store.probes.used([id]);
  expect(await health(id)).toMatchObject({ last_used_at: aTime });
});

describe('a list', () => {
  const [day, hour] = [86_400_000, 3_600_000];
  const ago = (ms: number) => new Date(Date.now() - ms).toISOString();
  let [old, fresh, failing, dead] = ['', '', '', ''];

  beforeAll(async () => {
    const made = async () =>
      (
        await world.root.call<{ id: string }>('POST', '/v1/connections', {
          body: { integration: 'as', end_user: { id: 'listed' }, import: { access_token: 'at' } },
        })
      ).id;
    [old, fresh, failing, dead] = [await made(), await made(), await made(), await made()];
    const set = (id: string, columns: string) => world.sql(`update connections set ${columns} where id = $1`, [id]);
    await set(
      old,
      `created_at = now() - interval '90 days', last_refreshed_at = now() - interval '10 days', last_used_at = now() - interval '40 days',
      expires_at = now() + interval '1 hour', refresh_due_at = now() + interval '30 minutes'`,
    );
    await set(
      fresh,
      `last_refreshed_at = now(), last_used_at = now(), expires_at = now() + interval '9 days', refresh_due_at = now() + interval '8 days'`,
    );
    await set(
      failing,
      `status = 'refresh_failing', failing_since = now() - interval '3 hours',
      last_error = '{"code": "no_answer", "at": "2026-01-01T00:00:00.000Z", "retryable": true}', refresh_due_at = now() + interval '1 minute'`,
    );
    await set(
      dead,
      `status = 'reauthorization_required', reason = 'invalid_grant', failing_since = now() - interval '3 days',
      last_error = '{"code": "invalid_grant", "at": "2026-01-01T00:00:00.000Z", "retryable": false}'`,
    );
  });

  const found = async (query: Record<string, string>) =>
    (await world.root.call<Listed<{ id: string }>>('GET', '/v1/connections', { query: { end_user: 'listed', ...query } })).data.map(({ id }) => id);

  test('holds those that a filter names', async () => {
    expect(await found({})).toEqual([dead, failing, fresh, old]);
    expect(await found({ status: 'refresh_failing' })).toEqual([failing]);
    expect(await found({ error: 'no_answer' })).toEqual([failing]);
    expect(await found({ error: 'conflict' })).toEqual([]);
    expect(await found({ failing_before: ago(0) })).toEqual([dead, failing]);
    expect(await found({ failing_before: ago(day) })).toEqual([dead]);
    expect(await found({ failing_before: ago(0), status: 'refresh_failing' })).toEqual([failing]);
    expect(await found({ failing_before: ago(0), status: 'active' })).toEqual([]);
    expect(await found({ refreshed_before: ago(5 * day) })).toEqual([old]);
    expect(await found({ refreshed_before: ago(-hour) })).toEqual([dead, failing, fresh, old]);
    expect(await found({ next_refresh_before: ago(-hour) })).toEqual([failing, old]);
    expect(await found({ expires_before: ago(-2 * hour) })).toEqual([old]);
    expect(await found({ unused_since: ago(30 * day) })).toEqual([old]);
    expect(await found({ unused_since: ago(-hour) })).toEqual([dead, failing, fresh, old]);
    expect(await found({ next_refresh_before: '2100-01-01T00:00:00+02:00', expires_before: ago(-30 * day) })).toEqual([fresh, old]);
  });

  test.each([
    ['error', 'odd'],
    ['failing_before', 'yesterday'],
    ['refreshed_before', '2026-01-01'],
    ['expires_before', '0000-01-01T00:00:00Z'],
    ['unused_since', '9999-12-31T23:59:59-12:00'],
    ['next_refresh_before', '2026-02-30T00:00:00Z'],
  ])('with %s=%s is refused, with one fault', async (name, value) => {
    expect(await problemOf(found({ [name]: value }))).toMatchObject({ status: 400, problem: { errors: [{ pointer: `/${name}` }] } });
  });

  test('of a filter has pages that hold each once, and the plan for those that are not well reads no others', async () => {
    await world.sql(`insert into connections
      (id, project_id, integration_id, provider_id, method, end_user, end_user_id, status, requested_scopes, scopes, token_version, issued_at, refreshable, metadata, extras, failing_since, last_error)
      select 'con_' || lpad(n::text, 26, '0'), 'default', 'as', 'sandbox-as', 'web', '{"id": "many"}', 'many', case when n % 250 = 0 then 'refresh_failing' else 'active' end,
        '{}', '{}', 1, now(), false, '{}', '{}', case when n % 250 = 0 then now() - interval '1 day' end,
        case when n % 250 = 0 then '{"code": "no_answer", "at": "2026-01-01T00:00:00.000Z", "retryable": true}'::jsonb end
      from generate_series(1, 50000) n`);
    await world.sql('analyze connections');
    for (const query of ['status=refresh_failing', 'error=no_answer', `failing_before=${ago(day / 2)}`]) {
      const ids = await walk(world.root, `/v1/connections?end_user=many&${query}`, 7);
      expect([ids.length, new Set(ids).size]).toEqual([200, 200]);
      expect(ids).toEqual([...ids].sort().reverse());
    }
    const scans = async () =>
      (await world.sql<{ n: string }>(`select idx_scan as n from pg_stat_user_indexes where indexrelname = 'connections_ailing'`))[0]?.n;
    for (const query of [{ status: 'refresh_failing' }, { error: 'no_answer' }, { failing_before: ago(day / 2) }]) {
      const before = Number(await scans());
      // A backend reports what it counted a second later, with its next transaction.
      await vi.waitFor(
        async () => {
          await world.root.call('GET', '/v1/connections', { query });
          expect(Number(await scans())).toBeGreaterThan(before);
        },
        { timeout: 15_000, interval: 300 },
      );
    }
  });
});
