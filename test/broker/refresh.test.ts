import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { keepHouse } from '../../src/broker/housekeeping.ts';
import type { ConnectionRecord } from '../../src/broker/records.ts';
import { refreshConnection, refreshDue } from '../../src/broker/refresh.ts';
import type { Refreshes } from '../../src/broker/store.ts';
import { refreshesSettled } from '../../src/broker/under-way.ts';
import type { World } from '../../src/broker/world.ts';
import { GrantryError } from '../../src/protocol/errors.ts';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { problemOf, startWholeSandbox } from '../harness/broker.ts';
import { connect, expire, type Whole, withAuthorizationServer } from './connected.ts';

let world: Whole;
let broker: World;
let id: string;

beforeAll(async () => {
  world = await startWholeSandbox();
  broker = world.broker.world;
  await withAuthorizationServer(world);
});
afterAll(() => world.stop());
beforeEach(async () => {
  as().switches.fault = { kind: 'none' };
  as().switches.accessTokenTtlS = 3600;
  id = await connect(world);
  await expire(world, id);
});

const as = () => world.sandbox.providers.authorizationServer;
const token = async () => (await world.root.getToken(id)).access_token;
async function row(): Promise<ConnectionRecord> {
  const found = await broker.store.connections.get('default', id);
  if (found === undefined) throw new Error('gone');
  return found;
}
const lease = (seconds: number, holder: string = randomUUID()) =>
  world.sql('update connections set refresh_lease = $2, lease_until = now() + make_interval(secs => $3) where id = $1', [id, holder, seconds]);
const counted = () => ({ ok: as().counters.refresh_ok, reuse: as().counters.refresh_reuse, asked: as().counters.token.refresh_token ?? 0 });
const events = async () =>
  (await world.root.call<{ data: { type: string; data: Record<string, unknown> }[] }>('GET', `/v1/connections/${id}/events`)).data;
/** The store with some of its refresh steps changed: what Postgres or another process would do at that moment. */
const withRefreshes = (change: Partial<Refreshes>): World => {
  const store = { ...spread(broker.store), refreshes: { ...guardedMethods(broker.store.refreshes), ...change } };
  return { ...broker, store };
};
/** The store's groups are proxies: their methods are asked for by name. */
const guardedMethods = ({ read, due, postpone, handOutAgain, counts, claim, commit, fail }: Refreshes): Refreshes => ({
  read,
  due,
  postpone,
  handOutAgain,
  counts,
  claim,
  commit,
  fail,
});
const spread = (store: World['store']): World['store'] => ({ ...store });

describe('one refresh per version', () => {
  test('however many ask at once', async () => {
    const before = counted();
    const tokens = await Promise.all(Array.from({ length: 100 }, token));
    expect(new Set(tokens).size).toBe(1);
    expect(counted()).toEqual({ ok: before.ok + 1, reuse: before.reuse, asked: before.asked + 1 });
  });

  test('also for worlds that share nothing but Postgres', async () => {
    const before = counted();
    const worlds = Array.from({ length: 8 }, () => withRefreshes({}));
    const target = await row();
    const outcomes = await Promise.all(worlds.flatMap((each) => [refreshConnection(each, target), refreshConnection(each, target)]));
    expect(outcomes.map(({ kind }) => kind)).toEqual(outcomes.map(() => 'refreshed'));
    expect(counted()).toEqual({ ok: before.ok + 1, reuse: before.reuse, asked: before.asked + 1 });
  });

  test('of client credentials as well, which have no refresh token to lose', async () => {
    const machine = await world.root.call<{ id: string }>('POST', '/v1/connections', {
      body: { integration: 'as', end_user: { id: 'machine' }, grant: 'client_credentials' },
    });
    await expire(world, machine.id);
    const before = as().counters.token.client_credentials ?? 0;
    const tokens = await Promise.all(Array.from({ length: 100 }, () => world.root.getToken(machine.id)));
    expect(new Set(tokens.map(({ access_token }) => access_token)).size).toBe(1);
    expect(as().counters.token.client_credentials).toBe(before + 1);
  });

  test('and one attempt at a provider that fails, for all who looked before it', async () => {
    as().switches.fault = { kind: 'down' };
    const before = counted();
    const target = await row();
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => refreshConnection(withRefreshes({}), target)));
    expect(outcomes.map(({ kind }) => kind)).toEqual(outcomes.map(() => 'failed'));
    expect(counted().asked - before.asked).toBe(1);
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ error: { code: 'provider_unavailable', details: { retryAfterS: expect.any(Number) } } });
  });
});

describe('a lease of which we hear late', () => {
  /** A world whose process stands still for so long between asking for the lease and hearing of it; waiting costs it a minute. */
  function stoppedFor(ms: number): World {
    let elapsedMs = 0;
    const late = withRefreshes({
      claim: async (...args) => {
        const claim = await broker.store.refreshes.claim(...args);
        elapsedMs += ms;
        return claim;
      },
    });
    const wait = async () => {
      elapsedMs += 60_000;
    };
    return { ...late, elapsedMs: () => elapsedMs, wakeups: { ...late.wakeups, wait } };
  }

  test('is used while an answer is there well before it passes', async () => {
    const before = counted();
    expect(await refreshConnection(stoppedFor(10_000), await row())).toMatchObject({ kind: 'refreshed' });
    expect(counted().asked).toBe(before.asked + 1);
  });

  test('is not used later: nothing is sent, and nothing is said of the connection', async () => {
    const before = counted();
    const outcome = await refreshConnection(stoppedFor(10_001), await row());
    expect(outcome).toMatchObject({ kind: 'failed', error: { code: 'provider_unavailable' } });
    expect(counted()).toEqual(before);
    expect(await row()).toMatchObject({ token_version: 1, status: 'active', failure_count: 0 });
  });
});

describe('a lease that another process holds', () => {
  test('is waited for, and the winner’s token handed out', async () => {
    const before = counted();
    await lease(60);
    const waiting = token();
    await sleep(600);
    expect(counted()).toEqual(before);
    // The other process: its lease ends with what it brought.
    await world.sql('update connections set refresh_lease = null, lease_until = null where id = $1', [id]);
    expect(await waiting).toEqual(expect.any(String));
    expect(counted().asked).toBe(before.asked + 1);
  });

  test('is taken over when it has passed', async () => {
    await lease(-1);
    expect(await token()).toEqual(expect.any(String));
  });

  test('says nothing about us when it fails: a stale invalid_grant ends nothing', async () => {
    const target = await row();
    const claim = await broker.store.refreshes.claim(target, randomUUID());
    if (claim === undefined) throw new Error('not claimed');
    await lease(-1);
    const winner = await token();
    const refusal = {
      outcome: 'refused',
      status: 'reauthorization_required',
      reason: 'invalid_grant',
      error: { code: 'invalid_grant', retryable: false },
      retryInS: null,
    } as const;
    expect(await broker.store.refreshes.fail(claim, refusal, [])).toBe(false);
    expect(await token()).toBe(winner);
    expect(await row()).toMatchObject({ status: 'active', last_error: null });
  });
});

describe('a loser', () => {
  test('whose lease another one has says nothing, though that one is still under way', async () => {
    const target = await row();
    const take = () => broker.store.refreshes.claim(target, randomUUID());
    const loser = await take();
    await lease(-1, loser?.lease ?? '');
    const holder = await take();
    if (loser === undefined || holder === undefined) throw new Error('not claimed');
    const error = { code: 'invalid_grant', retryable: false };
    const refusal = { outcome: 'refused', status: 'reauthorization_required', reason: 'invalid_grant', error, retryInS: null } as const;
    expect(await broker.store.refreshes.fail(loser, refusal, [])).toBe(false);
    expect(await row()).toMatchObject({ status: 'active', refresh_lease: holder.lease, failure_count: 0 });
    expect(await broker.store.refreshes.fail(holder, refusal, [])).toBe(true);
  });

  test('that hears invalid_grant because it was too slow hands out the winner’s token', async () => {
    as().switches.fault = { kind: 'slow', ms: 1_200, times: 1 };
    const slow = refreshConnection(withRefreshes({}), await row());
    await sleep(300);
    await lease(-1);
    const winner = await token();
    expect(await slow).toMatchObject({ kind: 'refreshed', connection: { token_version: 2, status: 'active' } });
    expect(await token()).toBe(winner);
    expect(await row()).toMatchObject({ status: 'active', last_error: null });
  });
});

describe('a late answer', () => {
  async function claimed() {
    const target = await row();
    const claim = await broker.store.refreshes.claim(target, randomUUID());
    if (claim === undefined) throw new Error('not claimed');
    const place = { project: 'default', table: 'connections', row: id, field: 'credential', version: target.token_version + 1 };
    const secret = { kind: 'oauth2', access_token: 'late', token_type: 'bearer', refresh_token: 'late-rt' };
    const next = {
      credential_sealed: await broker.seal.seal(place, JSON.stringify(secret)),
      scopes: ['read'],
      missing_scopes: [],
      extras: {},
      refreshable: true,
      times: { ageMs: 0, lifetimeS: 3600, refreshLifetimeS: null, dueInS: 3000 },
    };
    const about = { project_id: 'default', integration_id: 'as', connection_id: id };
    const commit = () =>
      broker.store.refreshes.commit(claim, next, [{ ...about, type: 'connection.refreshed' }], { ...about, type: 'connection.recovered' });
    return { claim, commit };
  }

  test('is saved when the lease has passed and nobody else was first', async () => {
    const { commit } = await claimed();
    await lease(-10);
    expect(await commit()).toMatchObject({ status: 'active', token_version: 2 });
    expect(await token()).toBe('late');
  });

  test('is dropped when somebody else was', async () => {
    const { commit } = await claimed();
    await lease(-10);
    const winner = await token();
    expect(await commit()).toBeUndefined();
    expect(await token()).toBe(winner);
  });

  test('is saved even though another attempt was refused meanwhile, which is what it made of the old token', async () => {
    const { commit } = await claimed();
    await lease(-10);
    as().switches.fault = { kind: 'refuse', error: 'invalid_grant', status: 400 };
    expect(await problemOf(token())).toMatchObject({ code: 'reauthorization_required', problem: { reason: 'crash_during_rotation' } });
    expect(await commit()).toMatchObject({ status: 'active', reason: null });
    expect(await token()).toBe('late');
    expect((await events()).slice(0, 3).map(({ type }) => type)).toEqual([
      'connection.recovered',
      'connection.refreshed',
      'connection.reauthorization_required',
    ]);
  });

  test('a failure does not undo the security stop either', async () => {
    const claim = await broker.store.refreshes.claim(await row(), randomUUID());
    if (claim === undefined) throw new Error('The lease was not to be had.');
    await broker.store.connections.requireReauthorization('default', id, 'code_replayed', []);
    const failure = {
      outcome: 'failed',
      status: 'refresh_failing',
      reason: null,
      error: { code: 'provider_unavailable', retryable: true },
      retryInS: 1,
    } as const;
    expect(await broker.store.refreshes.fail(claim, failure, [])).not.toBe(true);
    expect(await row()).toMatchObject({ status: 'reauthorization_required', reason: 'code_replayed' });
    expect(await problemOf(token())).toMatchObject({ code: 'reauthorization_required', problem: { reason: 'code_replayed' } });
  });

  test('does not undo the security stop', async () => {
    const { commit } = await claimed();
    await broker.store.connections.requireReauthorization('default', id, 'code_replayed', []);
    expect(await commit()).toBeUndefined();
    expect(await problemOf(token())).toMatchObject({ code: 'reauthorization_required', problem: { reason: 'code_replayed' } });
  });
});

test.each(['setStatus', 'resume'])('what was refreshed stays good when Postgres goes away at the step %s of the integration', async (step) => {
  await world.sql(`update integrations set status = 'misconfigured', trial_at = null where id = 'as'`);
  const away = () => Promise.reject(new GrantryError('unavailable'));
  const { get, list, insert, remove, update, takeTrial, isRefusedElsewhere, setStatus, resume } = broker.store.integrations;
  const integrations = { get, list, insert, remove, update, takeTrial, isRefusedElsewhere, setStatus, resume, [step]: away };
  const store = { ...spread(broker.store), integrations };
  const before = await broker.store.connections.get('default', id);
  if (before === undefined) throw new Error('There is no connection.');
  expect(await refreshConnection({ ...broker, store }, before)).toMatchObject({ kind: 'refreshed', connection: { token_version: 2 } });
  await world.sql(`update integrations set status = 'active' where id = 'as'`);
});

describe('after a crash', () => {
  const crashed = async () => {
    await lease(-1);
    await world.sql(
      `insert into refresh_intents (connection_id, token_version, lease, outcome) select id, token_version, refresh_lease, 'sent' from connections where id = $1`,
      [id],
    );
  };

  test('the old token is tried once more, and works if it was never used', async () => {
    await crashed();
    expect(await token()).toEqual(expect.any(String));
    expect(await row()).toMatchObject({ status: 'active', token_version: 2 });
  });

  test('a refusal says that the crash is to blame', async () => {
    as().switches.fault = { kind: 'drop', times: 1 };
    await crashed();
    // The provider rotates, the answer is lost.
    expect(await problemOf(token())).toMatchObject({ status: 503 });
    await world.sql('update connections set retry_at = now() where id = $1', [id]);
    expect(await problemOf(token())).toMatchObject({ status: 409, problem: { reason: 'crash_during_rotation' } });
    expect((await events())[0]).toMatchObject({ type: 'connection.reauthorization_required', data: { reason: 'crash_during_rotation' } });
    const asked = counted().asked;
    expect(await problemOf(token())).toMatchObject({ status: 409 });
    expect(counted().asked).toBe(asked);
  });

  test('a refusal without one does not', async () => {
    as().revokeUser('ada');
    expect(await problemOf(token())).toMatchObject({ problem: { reason: 'invalid_grant' } });
  });
});

describe('Postgres away at the commit', () => {
  test('the new credential is kept and saved when it is back', async () => {
    const before = counted();
    let failures = 0;
    const away = withRefreshes({
      commit: async (...args) => {
        failures += 1;
        if (failures <= 4) throw new Error('connection lost');
        return broker.store.refreshes.commit(...args);
      },
    });
    const outcome = await refreshConnection(away, await row());
    expect(outcome).toMatchObject({ kind: 'refreshed', connection: { token_version: 2, status: 'active' } });
    expect(failures).toBe(5);
    await refreshesSettled(away);
    expect(counted()).toEqual({ ok: before.ok + 1, reuse: before.reuse, asked: before.asked + 1 });
    expect((await events()).filter(({ type }) => type === 'connection.refreshed')).toHaveLength(1);
  });

  test.each(['none', 'down'] as const)('keeps no turn at a provider (fault: %s) that has answered', async (kind) => {
    as().switches.fault = { kind };
    const told: string[] = [];
    const { commit, fail } = broker.store.refreshes;
    const saving = <T>(work: T): T => {
      told.push('saved');
      return work;
    };
    const watched = withRefreshes({ commit: (...args) => saving(commit(...args)), fail: (...args) => saving(fail(...args)) });
    await world.sql(`update connections set refresh_due_at = now() - interval '1 second' where id = $1`, [id]);
    await refreshDue(watched, { connection_id: id, token_version: 1 }, async () => ({ kind: 'go', release: () => void told.push('released') }));
    expect(told.slice(0, 2)).toEqual(['released', 'saved']);
  });

  test('a commit that arrived though its answer was lost is not taken for somebody else’s', async () => {
    let calls = 0;
    const deaf = withRefreshes({
      commit: async (...args) => {
        calls += 1;
        const saved = await broker.store.refreshes.commit(...args);
        if (calls === 1) throw new Error('connection lost');
        return saved;
      },
    });
    expect(await refreshConnection(deaf, await row())).toMatchObject({ kind: 'refreshed', connection: { token_version: 2 } });
    const { access_token } = await world.root.getToken(id);
    expect(access_token).toEqual(expect.any(String));
    expect(await row()).toMatchObject({ token_version: 2, refresh_count: 1 });
  });

  test('every connection of the pool cut while the provider is asked costs nothing', async () => {
    as().switches.fault = { kind: 'slow_answer', ms: 800, times: 1 };
    const before = counted();
    const asked = token();
    await sleep(400);
    await world.sql(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'grantry'`);
    expect(await asked).toEqual(expect.any(String));
    expect(counted()).toEqual({ ok: before.ok + 1, reuse: before.reuse, asked: before.asked + 1 });
  });

  test('lifetimes count from the request, not from when it could be saved', async () => {
    let held = true;
    const slow = withRefreshes({
      commit: async (...args) => {
        if (held) throw new Error('connection lost');
        return broker.store.refreshes.commit(...args);
      },
    });
    const refresh = refreshConnection(slow, await row());
    await sleep(1_500);
    held = false;
    await refresh;
    const { issued_at, expires_at } = await row();
    expect(Number(expires_at) - Number(issued_at)).toBe(3_600_000);
    const [clock] = await world.sql<{ age: number }>('select extract(epoch from now() - issued_at)::float8 as age from connections where id = $1', [
      id,
    ]);
    expect(clock?.age).toBeGreaterThan(1.2);
  });
});

describe('meanwhile', () => {
  const slowly = async (during: () => Promise<unknown>) => {
    as().switches.fault = { kind: 'slow_answer', ms: 700, times: 1 };
    const asked = world.root.getToken(id).then(
      (answer) => answer.access_token,
      (error: unknown) => error,
    );
    await sleep(250);
    await during();
    return asked;
  };

  test('a deletion wins: nothing rises again, and what the provider gave is given back', async () => {
    const before = as().counters.revocations;
    const outcome = await slowly(() => world.root.call('DELETE', `/v1/connections/${id}`));
    expect(outcome).toMatchObject({ status: 404, code: 'not_found' });
    expect((await world.sql('select credential_sealed, status from connections where id = $1', [id]))[0]).toEqual({
      credential_sealed: null,
      status: 'revoked',
    });
    // Both tokens of both.
    await expect.poll(() => as().counters.revocations - before).toBe(4);
  });

  describe('and a provider that is away when it should take back what came late', () => {
    const queued = () => world.sql<{ token_version: number }>('select token_version from revocations where connection_id = $1', [id]);
    /** The attempts that begin at once have come to nothing. */
    const refusals = () => world.logged.filter((line) => line.includes('revocation failed') && line.includes(id)).length;
    const stop = () => broker.store.connections.requireReauthorization('default', id, 'code_replayed', []);
    const remove = () => world.root.call('DELETE', `/v1/connections/${id}`);
    beforeEach(async () => {
      // What the others have left comes to nothing.
      await world.sql('delete from revocations');
      as().switches.revocationFault = { kind: 'down' };
    });
    afterEach(() => {
      as().switches.revocationFault = { kind: 'none' };
    });
    /** The provider is back, and the housekeeper comes round; how often it was told. */
    async function toldLater(): Promise<number> {
      const before = as().counters.revocations;
      as().switches.revocationFault = { kind: 'none' };
      await world.sql(`update revocations set next_attempt_at = now() - interval '1 second'`);
      await keepHouse(broker);
      // The refresh token, and then the access token.
      return (as().counters.revocations - before) / 2;
    }

    test('is told later, of a deleted connection', async () => {
      expect(await slowly(remove)).toMatchObject({ status: 404 });
      await expect.poll(refusals).toBe(2);
      // The later one stands for both: the grant is the same.
      expect(await queued()).toEqual([{ token_version: 2 }]);
      expect(await toldLater()).toBe(1);
      expect(await queued()).toEqual([]);
      const { data } = await world.root.call<{ data: { type: string; connection_id: string }[] }>('GET', '/v1/events', { query: { limit: 5 } });
      expect(data[0]).toMatchObject({ type: 'connection.revoked', connection_id: id });
    });

    test('is told later, of one that was stopped, whose timeline says no more than that', async () => {
      expect(await slowly(stop)).toMatchObject({ code: 'reauthorization_required' });
      await expect.poll(refusals).toBe(1);
      expect(await queued()).toEqual([{ token_version: 2 }]);
      const before = await events();
      expect(await toldLater()).toBe(1);
      expect(await queued()).toEqual([]);
      expect(await events()).toEqual(before);
    });

    test('is told nothing once the end user has connected again: it might end that too', async () => {
      await slowly(stop);
      await expect.poll(refusals).toBe(1);
      expect(await queued()).toEqual([{ token_version: 2 }]);
      const link = await world.root.createConnectLink({ integration: 'as', end_user: { id: 'u1' }, connection_id: id });
      await (await createBrowser().open(link.url)).submit();
      expect(await row()).toMatchObject({ status: 'active', token_version: 2 });
      expect(await toldLater()).toBe(0);
      expect(await queued()).toEqual([]);
    });

    test('is told once when the stopped connection is deleted too', async () => {
      await slowly(stop);
      await expect.poll(refusals).toBe(1);
      expect(await queued()).toEqual([{ token_version: 2 }]);
      expect(await remove()).toBeUndefined();
      await expect.poll(refusals).toBe(2);
      expect(await queued()).toEqual([{ token_version: 2 }]);
      expect(await toldLater()).toBe(1);
      expect(await queued()).toEqual([]);
    });

    test('is told of the grant that was in use last when two have had the same version', async () => {
      await slowly(stop);
      await expect.poll(refusals).toBe(1);
      expect(await queued()).toEqual([{ token_version: 2 }]);
      const link = await world.root.createConnectLink({ integration: 'as', end_user: { id: 'u1' }, connection_id: id });
      await (await createBrowser().open(link.url)).submit();
      const { credential_sealed } = await row();
      await remove();
      await expect.poll(refusals).toBe(2);
      expect(await world.sql('select credential_sealed from revocations where connection_id = $1', [id])).toEqual([{ credential_sealed }]);
      expect(await toldLater()).toBe(1);
    });

    test('is told also when Postgres goes away before that can be queued: until then it is on the disk', async () => {
      const { queue, done } = broker.store.revocations;
      const disk: number[] = [];
      let failures = 0;
      const revocations = {
        ...broker.store.revocations,
        done,
        queue: async (row: Parameters<typeof queue>[0]) => {
          disk.push((await broker.spill.list()).length);
          failures += 1;
          if (failures <= 2) throw new Error('connection lost');
          return queue(row);
        },
      };
      as().switches.fault = { kind: 'slow_answer', ms: 500, times: 1 };
      const refresh = refreshConnection({ ...broker, store: { ...spread(broker.store), revocations } }, await row());
      await sleep(250);
      await stop();
      expect(await refresh).toMatchObject({ kind: 'failed', error: { code: 'invalid_grant' } });
      expect(disk).toEqual([0, 1, 1]);
      expect(await broker.spill.list()).toEqual([]);
      await expect.poll(refusals).toBe(1);
      expect(await toldLater()).toBe(1);
    });

    test('and a word of the earlier one does not remove the later one', async () => {
      await remove();
      await expect.poll(refusals).toBe(1);
      const earlier = await broker.store.revocations.get(id);
      if (earlier === undefined) throw new Error('Nothing was queued.');
      const { attempts: _, next_attempt_at: __, created_at: ___, ...fields } = earlier;
      expect(await broker.store.revocations.queue(fields)).toBeUndefined();
      expect(await broker.store.revocations.queue({ ...fields, token_version: 2, credential_sealed: 'later' })).toMatchObject({ attempts: 0 });
      await broker.store.revocations.done(earlier, []);
      expect(await broker.store.revocations.get(id)).toMatchObject({ token_version: 2, credential_sealed: 'later' });
    });
  });

  test('a reconnect wins: its credential stays', async () => {
    const link = await world.root.createConnectLink({ integration: 'as', end_user: { id: 'u1' }, connection_id: id });
    const page = await createBrowser().open(link.url);
    as().switches.fault = { kind: 'slow_answer', ms: 1_500, times: 1 };
    const asked = world.root.getToken(id);
    await sleep(250);
    await page.submit();
    expect(await world.root.getConnectLink(link.id)).toMatchObject({ status: 'connected', connection_id: id });
    const reconnected = (await row()).credential_sealed;
    await asked;
    expect(await row()).toMatchObject({ status: 'active', token_version: 2, credential_sealed: reconnected });
  });
});
