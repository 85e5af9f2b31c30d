import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Caller, createHostHealth, type Ticket } from '../../src/broker/host-health.ts';
import type { BreakerState } from '../../src/broker/meter.ts';
import type { ConnectionRecord } from '../../src/broker/records.ts';
import { refreshConnection, refreshDue } from '../../src/broker/refresh.ts';
import type { World } from '../../src/broker/world.ts';
import { parseDefinitionValue } from '../../src/protocol/definition/parse.ts';
import type { Definition } from '../../src/protocol/definition/schema.ts';
import { GrantryError } from '../../src/protocol/errors.ts';
import { startWholeSandbox } from '../harness/broker.ts';
import { connect, expire, type Whole, withAuthorizationServer } from './connected.ts';

/** A host alone: an integration with a definition of its project's own asks it. */
type Asking = string | Caller;
const callerOf = (asking: Asking): Caller =>
  typeof asking === 'string' ? { host: asking, project: 'default', integration: 'as', address: 'own' } : asking;
const shipped = (project: string, integration = 'as'): Caller => ({ host: 'h', project, integration, address: 'shipped' });
const own = (project: string): Caller => ({ host: 'h', project, integration: 'as', address: 'own' });

/** Breakers whose clock the test sets; the random part of a pause is at its longest. */
function breakers({ random = 1 }: { random?: number } = {}) {
  let nowMs = 50_000;
  const states: [string, BreakerState][] = [];
  const health = createHostHealth({ elapsedMs: () => nowMs, random: () => random, meter: { breaker: (host, state) => states.push([host, state]) } });
  const ask = (asking: Asking) => {
    const waitMs = health.waitMs(callerOf(asking));
    const asked = health.ask(callerOf(asking));
    // Who only looks is told the same.
    expect(waitMs).toBe(asked.kind === 'go' ? 0 : asked.ms);
    return asked;
  };
  const ticket = (asking: Asking): Ticket => {
    const asked = ask(asking);
    if (asked.kind === 'wait') throw new Error(`${JSON.stringify(asking)} waits ${asked.ms} ms`);
    return asked.ticket;
  };
  return {
    ask,
    states,
    ticket,
    fail(asking: Asking, times: number, retryAfterS?: number) {
      const tickets = Array.from({ length: times }, () => ticket(asking));
      for (const each of tickets) each.end('failed', retryAfterS);
    },
    /** How long the host is left alone; 0: not at all. Takes no ticket for good. */
    waitMs(asking: Asking): number {
      const asked = ask(asking);
      if (asked.kind === 'go') asked.ticket.end('unused');
      return asked.kind === 'go' ? 0 : asked.ms;
    },
    pass(ms: number) {
      nowMs += ms;
    },
  };
}

describe('a breaker', () => {
  test('opens at the fifth failure in a row, and leaves other hosts alone', () => {
    const all = breakers();
    all.fail('a', 4);
    expect(all.waitMs('a')).toBe(0);
    all.fail('a', 1);
    expect(all.waitMs('a')).toBe(5_000);
    expect(all.waitMs('b')).toBe(0);
    expect(all.states).toEqual([['a', 'open']]);
  });

  test('counts from the beginning after an answer', () => {
    const all = breakers();
    all.fail('a', 4);
    all.ticket('a').end('answered');
    all.fail('a', 4);
    expect(all.waitMs('a')).toBe(0);
  });

  test('counts a request once, however often its end is told', () => {
    const all = breakers();
    const one = all.ticket('a');
    for (let n = 0; n < 10; n += 1) one.end('failed');
    expect(all.waitMs('a')).toBe(0);
  });

  test('lets one request try the host when the pause is over', () => {
    const all = breakers();
    all.fail('a', 5);
    all.pass(4_999);
    expect(all.ask('a')).toEqual({ kind: 'wait', ms: 1 });
    all.pass(1);
    const trial = all.ticket('a');
    expect(all.waitMs('a')).toBeGreaterThan(0);
    trial.end('failed');
    expect(all.waitMs('a')).toBe(10_000);
    all.pass(10_000);
    all.ticket('a').end('answered');
    for (let n = 0; n < 20; n += 1) all.ticket('a');
    expect(all.states.map(([, state]) => state)).toEqual(['open', 'half_open', 'open', 'half_open', 'closed']);
  });

  test('closes at any answer, also one to a request that was under way when it opened', () => {
    const all = breakers();
    const slow = all.ticket('a');
    all.fail('a', 5);
    slow.end('answered');
    expect(all.waitMs('a')).toBe(0);
  });

  test('does not stay open for longer because of those that were under way', () => {
    const all = breakers();
    all.fail('a', 50);
    expect(all.waitMs('a')).toBe(5_000);
  });

  test('gives the trial to the next one when nothing was sent', () => {
    const all = breakers();
    all.fail('a', 5);
    all.pass(5_000);
    all.ticket('a').end('unused');
    all.ticket('a');
    expect(all.waitMs('a')).toBeGreaterThan(0);
  });

  test('ends a trial of which nobody ever hears', () => {
    const all = breakers();
    all.fail('a', 5);
    all.pass(5_000);
    const lost = all.ticket('a');
    all.pass(14_999);
    expect(all.waitMs('a')).toBe(1);
    all.pass(1);
    all.ticket('a');
    // The one that was thought lost says that it sent nothing: the trial that is under way now is not its own.
    lost.end('unused');
    expect(all.waitMs('a')).toBeGreaterThan(0);
  });

  test('waits as long as it is told to, and for two minutes at most', () => {
    const all = breakers();
    all.fail('a', 5, 30);
    expect(all.waitMs('a')).toBe(30_000);
    all.fail('b', 5, 86_400);
    expect(all.waitMs('b')).toBe(120_000);
  });

  test('pauses longer and longer, differently in each process, for two minutes at most', () => {
    for (const [random, factor] of [[0, 0.5] as const, [1, 1] as const]) {
      const all = breakers({ random });
      all.fail('a', 5);
      const pauses: number[] = [];
      for (let n = 0; n < 7; n += 1) {
        pauses.push(all.waitMs('a'));
        all.pass(all.waitMs('a'));
        all.fail('a', 1);
      }
      expect(pauses).toEqual([5_000, 10_000, 20_000, 40_000, 80_000, 120_000, 120_000].map((ms) => ms * factor));
    }
  });

  test('is forgotten after ten minutes', () => {
    const all = breakers();
    all.fail('a', 4);
    all.pass(600_000);
    all.fail('a', 4);
    expect(all.waitMs('a')).toBe(0);
  });

  test('remembers ten thousand hosts, the last that failed', () => {
    const all = breakers();
    all.fail('first', 5);
    for (let n = 0; n < 9_999; n += 1) all.fail(`host-${n}`, 1);
    expect(all.waitMs('first')).toBeGreaterThan(0);
    all.fail('one-more', 1);
    expect(all.waitMs('first')).toBe(0);
    // Hosts that answer are not remembered.
    all.fail('known', 5);
    for (let n = 0; n < 20_000; n += 1) all.ticket(`well-${n}`).end('answered');
    expect(all.waitMs('known')).toBeGreaterThan(0);
  });
});

describe('what one project sees at a host', () => {
  test('of its own definition is its own: nobody else waits, and others do not keep it from trying', () => {
    const all = breakers();
    all.fail(own('one'), 5);
    expect(all.waitMs(own('one'))).toBe(5_000);
    for (const other of [own('two'), shipped('two'), shipped('one', 'other')]) expect(all.waitMs(other)).toBe(0);
    all.fail(shipped('two'), 3);
    all.fail(shipped('three'), 2);
    expect(all.waitMs(shipped('four'))).toBe(5_000);
    expect(all.waitMs(own('five'))).toBe(0);
  });

  test('is not enough to close the host to others, however often it fails; two projects are', () => {
    const all = breakers();
    for (let n = 0; n < 20; n += 1) all.fail(shipped('one', `i${n}`), 4);
    expect(all.waitMs(shipped('two'))).toBe(0);
    all.fail(shipped('two'), 1);
    expect(all.waitMs(shipped('three'))).toBe(0);
    all.fail(shipped('two'), 1);
    expect(all.waitMs(shipped('three'))).toBe(5_000);
  });

  test('opens the host once for all when several see it, with one trial for all', () => {
    const all = breakers();
    for (const project of ['one', 'two', 'three', 'four', 'five']) all.fail(shipped(project), 1);
    expect(all.states).toEqual([['h', 'open']]);
    for (const project of ['one', 'five', 'six']) expect(all.waitMs(shipped(project))).toBe(5_000);
    all.pass(5_000);
    const trial = all.ticket(shipped('six'));
    expect(all.waitMs(shipped('seven'))).toBe(15_000);
    trial.end('answered');
    for (const project of ['one', 'seven']) expect(all.waitMs(shipped(project))).toBe(0);
    expect(all.states.map(([, state]) => state)).toEqual(['open', 'half_open', 'closed']);
  });

  test('is a rate limit of its registration: not counted for the host, and waited out by itself', () => {
    const all = breakers();
    for (const project of ['one', 'two', 'three'])
      for (let n = 0; n < 5; n += 1) all.ticket(shipped(project)).end('limited', n === 4 ? 60 : undefined);
    expect(all.waitMs(shipped('one'))).toBe(60_000);
    expect(all.waitMs(shipped('one', 'other'))).toBe(0);
    expect(all.waitMs(shipped('four'))).toBe(0);
  });

  test('does not prolong the pause of the others: whose trial has failed lets them go first', () => {
    const all = breakers();
    all.fail(shipped('one', 'a'), 3);
    all.fail(shipped('two'), 2);
    all.pass(5_000);
    all.fail(shipped('one', 'b'), 1);
    all.pass(10_000);
    expect(all.waitMs(shipped('one', 'c'))).toBe(15_000);
    all.ticket(shipped('two')).end('answered');
    expect(all.waitMs(shipped('one', 'c'))).toBe(0);
  });

  test('gives the trial of the host back when it was only told to slow down', () => {
    const all = breakers();
    all.fail(shipped('one'), 3);
    all.fail(shipped('two'), 2);
    all.pass(5_000);
    all.ticket(shipped('three')).end('limited');
    expect(all.waitMs(shipped('four'))).toBe(0);
  });

  test('is told of the host until nobody is kept from it', () => {
    const all = breakers();
    all.fail(own('one'), 5);
    all.fail(own('two'), 5);
    all.pass(5_000);
    all.ticket(own('one')).end('answered');
    expect(all.states.at(-1)).toEqual(['h', 'open']);
    all.ticket(own('two')).end('answered');
    expect(all.states.at(-1)).toEqual(['h', 'closed']);
  });
});

describe('the engine, at a provider that is down', () => {
  let world: Whole;
  let broker: World;
  let nowMs = 0;
  const ids: string[] = [];
  const as = () => world.sandbox.providers.authorizationServer;
  const asked = () => as().counters.token.refresh_token ?? 0;
  const go = async () => ({ kind: 'go', release() {} }) as const;

  beforeAll(async () => {
    world = await startWholeSandbox();
    await withAuthorizationServer(world);
    as().switches.accessTokenTtlS = 3600;
    for (let n = 0; n < 9; n += 1) ids.push(await connect(world, 'as', `user-${n}`));
  });
  afterAll(() => world.stop());
  beforeEach(async () => {
    const { world: real } = world.broker;
    broker = { ...real, store: { ...real.store }, hosts: createHostHealth({ elapsedMs: () => nowMs, random: () => 1, meter: real.meter }) };
    as().switches.fault = { kind: 'none' };
    for (const id of ids) await refreshConnection(broker, await row(id));
    as().switches.fault = { kind: 'down' };
  });

  async function row(id: string | undefined, project = 'default'): Promise<ConnectionRecord> {
    const found = id === undefined ? undefined : await broker.store.connections.get(project, id);
    if (found === undefined) throw new Error('gone');
    return found;
  }
  async function due(id: string | undefined): Promise<void> {
    await world.sql(`update connections set refresh_due_at = now() - interval '1 second', queued_until = null where id = $1`, [id]);
    const { token_version } = await row(id);
    await refreshDue(broker, { connection_id: id ?? '', token_version }, go);
  }
  const open = async () => {
    for (const id of ids.slice(0, 5)) await due(id);
  };

  test('asks five times, then sends nothing: what lives stays active, what has ended says so, nobody dies of it', async () => {
    await open();
    const [living, ended] = [ids[5], ids[6]];
    const [before, version] = [asked(), (await row(living)).token_version];
    await due(living);
    await expire(world, ended ?? '');
    await due(ended);
    expect(await refreshConnection(broker, await row(ids[7]))).toMatchObject({ kind: 'failed', error: { code: 'provider_unavailable' } });
    expect(asked()).toBe(before);
    expect(await row(living)).toMatchObject({ status: 'active', failure_count: 0, last_error: null, lease_until: null, token_version: version });
    expect((await row(living)).refresh_due_at?.getTime()).toBeGreaterThan(Date.now());
    // What has been waiting for an hour is looked at less often.
    await world.sql(`update connections set put_off_since = now() - interval '1 hour' where id = $1`, [living]);
    await due(living);
    expect((await row(living)).refresh_due_at?.getTime()).toBeGreaterThan(Date.now() + 240_000);
    expect(await row(ended)).toMatchObject({
      status: 'refresh_failing',
      last_error: { code: 'provider_unavailable', retryable: true },
      failure_count: 1,
    });

    as().switches.fault = { kind: 'none' };
    nowMs += 5_000;
    await due(living);
    await due(ended);
    for (const id of ids.slice(0, 5)) await due(id);
    for (const id of ids) expect(await row(id)).toMatchObject({ status: 'active', failure_count: 0 });
    expect((await row(living)).token_version).toBe(version + 1);
  });

  test('sends one trial when the pause is over', async () => {
    await open();
    nowMs += 5_000;
    const before = asked();
    await Promise.all(ids.slice(5).map(due));
    expect(asked()).toBe(before + 1);
    await Promise.all(ids.slice(5).map(due));
    expect(asked()).toBe(before + 1);
  });

  test('takes a refusal for an answer, also one that ends a connection', async () => {
    as().switches.fault = { kind: 'none' };
    const refused = await connect(world, 'as', 'refused');
    as().switches.fault = { kind: 'down' };
    await open();
    nowMs += 5_000;
    as().switches.fault = { kind: 'refuse', error: 'invalid_grant', status: 400, times: 1 };
    await due(refused);
    expect(await row(refused)).toMatchObject({ status: 'reauthorization_required', reason: 'invalid_grant' });
    as().switches.fault = { kind: 'none' };
    const before = asked();
    await due(ids[6]);
    expect(asked()).toBe(before + 1);
  });

  test('opens nothing of what is put off, and asks for no turn', async () => {
    await open();
    const { credential_sealed } = await row(ids[5]);
    await world.sql(`update connections set credential_sealed = 'damaged' where id = $1`, [ids[5]]);
    await world.sql(`update connections set refresh_due_at = now() - interval '1 second', queued_until = null where id = $1`, [ids[5]]);
    const { token_version } = await row(ids[5]);
    let turns = 0;
    await refreshDue(broker, { connection_id: ids[5] ?? '', token_version }, () => {
      turns += 1;
      return go();
    });
    expect(turns).toBe(0);
    expect(await row(ids[5])).toMatchObject({ status: 'active', last_error: null, put_off_since: expect.any(Date) });
    // What cannot be opened says nothing of the host: it is still down for the others.
    nowMs += 5_000;
    await due(ids[5]);
    expect(await row(ids[5])).toMatchObject({ status: 'refresh_failing', last_error: { code: 'integrity_error' } });
    const before = asked();
    await due(ids[6]);
    await due(ids[7]);
    expect(asked()).toBe(before + 1);
    await world.sql(`update connections set credential_sealed = $2, failure_count = 0, retry_at = null, status = 'active' where id = $1`, [
      ids[5],
      credential_sealed,
    ]);
  });

  test('leaves the trial to others when the lease is not to be had', async () => {
    await open();
    nowMs += 5_000;
    as().switches.fault = { kind: 'none' };
    // Somebody takes the lease between the look and the claim.
    const { read, claim, due: handOut, postpone, handOutAgain, counts, commit, fail } = broker.store.refreshes;
    const late = async (...[connection]: Parameters<typeof claim>) => {
      await claim(connection, randomUUID());
      return undefined;
    };
    const overtaken = {
      ...broker,
      store: { ...broker.store, refreshes: { read, due: handOut, postpone, handOutAgain, counts, commit, fail, claim: late } },
    };
    const { token_version } = await row(ids[5]);
    await world.sql(`update connections set refresh_due_at = now() - interval '1 second', queued_until = null where id = $1`, [ids[5]]);
    await refreshDue(overtaken, { connection_id: ids[5] ?? '', token_version }, go);
    const before = asked();
    await due(ids[6]);
    expect(asked()).toBe(before + 1);
    await world.sql('update connections set lease_until = null, refresh_lease = null where id = $1', [ids[5]]);
  });

  /** A connection of another project at the same server: with a definition of its own, with a shipped one, or with one whose host an input names. */
  async function elsewhere(project: string, provider: 'sandbox-as' | 'shipped-as' | 'open-as'): Promise<ConnectionRecord> {
    as().switches.fault = { kind: 'none' };
    if ((await world.sql('select 1 from projects where id = $1', [project])).length === 0)
      await world.root.call('POST', '/v1/projects', { body: { id: project, name: project } });
    const there = await world.clientWith(['admin', 'connect', 'tokens'], project);
    const definition = JSON.parse(as().definition);
    if (provider === 'sandbox-as') await there.call('PUT', '/v1/providers/sandbox-as', { body: definition });
    const shipped = world.broker.world.shipped as Map<string, Definition>; // what is shipped is read once, from files
    const rules = { allowPrivateHosts: true };
    shipped.set('shipped-as', parseDefinitionValue({ ...definition, id: 'shipped-as' }, rules));
    const { machine } = definition.methods;
    const { origin } = new URL(machine.token_endpoint);
    const methods = { machine: { ...machine, token_endpoint: machine.token_endpoint.replace(origin, '{server}') } };
    shipped.set(
      'open-as',
      parseDefinitionValue({ ...definition, id: 'open-as', inputs: { server: { label: 'Server', url: true } }, methods }, rules),
    );
    const inputs = provider === 'open-as' && { inputs: { server: origin } };
    await there.call('POST', '/v1/integrations', { body: { id: provider, provider, ...as().client, ...inputs } });
    const body = { integration: provider, end_user: { id: 'machine' }, grant: 'client_credentials' };
    const { id } = await there.call<{ id: string }>('POST', '/v1/connections', { body });
    return row(id, project);
  }
  const refreshIn = async ({ id, project_id }: ConnectionRecord) => refreshConnection(broker, await row(id, project_id));

  test('a definition of a project that gets nonsense delays nobody else at that host', async () => {
    const others = [await elsewhere('alone', 'sandbox-as'), await elsewhere('alone-too', 'shipped-as')];
    as().switches.fault = { kind: 'garbage' };
    await open();
    // Two failures of their own are not enough either: the nonsense of the other project is none of theirs.
    for (const other of [...others, ...others]) expect(await refreshIn(other)).toMatchObject({ kind: 'failed' });
    as().switches.fault = { kind: 'none' };
    const before = asked();
    await due(ids[5]);
    expect(asked()).toBe(before);
    for (const other of others) expect(await refreshIn(other)).toMatchObject({ kind: 'refreshed' });
  });

  test('a server that an input names is its project’s own: what it answers delays nobody else at that host, and the other way round', async () => {
    const [one, two, three] = [await elsewhere('o1', 'open-as'), await elsewhere('o2', 'open-as'), await elsewhere('o3', 'open-as')];
    const others = [await elsewhere('o4', 'shipped-as'), await elsewhere('o5', 'shipped-as')];
    as().switches.fault = { kind: 'down' };
    for (const each of [one, one, one, two, two]) expect(await refreshIn(each)).toMatchObject({ kind: 'failed' });
    as().switches.fault = { kind: 'none' };
    for (const each of [...others, three]) expect(await refreshIn(each)).toMatchObject({ kind: 'refreshed' });

    as().switches.fault = { kind: 'down' };
    const [four, five] = others;
    for (const each of [four, four, four, five, five]) if (each !== undefined) expect(await refreshIn(each)).toMatchObject({ kind: 'failed' });
    as().switches.fault = { kind: 'none' };
    expect(await refreshIn(three)).toMatchObject({ kind: 'refreshed' });
  });

  test('an outage that several projects see with a shipped definition closes the host to all of them at once', async () => {
    const [one, two, three] = [await elsewhere('p1', 'shipped-as'), await elsewhere('p2', 'shipped-as'), await elsewhere('p3', 'shipped-as')];
    as().switches.fault = { kind: 'down' };
    for (const each of [one, one, one, two, two]) expect(await refreshIn(each)).toMatchObject({ kind: 'failed' });
    const sent = () => as().counters.token.client_credentials ?? 0;
    const before = sent();
    expect(await refreshIn(three)).toMatchObject({ kind: 'failed', error: { code: 'provider_unavailable' } });
    expect(sent()).toBe(before);
    as().switches.fault = { kind: 'none' };
    nowMs += 5_000;
    for (const each of [three, two, one]) expect(await refreshIn(each)).toMatchObject({ kind: 'refreshed' });
  });

  test('a crowd of our own requests says nothing of the host', async () => {
    as().switches.fault = { kind: 'none' };
    const crowded = async () => Promise.reject(new GrantryError('provider_unreachable', { nature: 'crowded' }));
    for (const id of ids.slice(0, 6)) expect(await refreshConnection({ ...broker, door: crowded }, await row(id))).toMatchObject({ kind: 'failed' });
    const before = asked();
    await due(ids[6]);
    expect(asked()).toBe(before + 1);
  });

  test('a registration that is asked to slow down waits by itself', async () => {
    const [one, two] = [await elsewhere('q1', 'shipped-as'), await elsewhere('q2', 'shipped-as')];
    const three = await elsewhere('q3', 'shipped-as');
    as().switches.fault = { kind: 'retry_after', seconds: 60, status: 429 };
    for (const each of [one, one, one, one, one, two, two]) await refreshIn(each);
    as().switches.fault = { kind: 'none' };
    expect(await refreshIn(three)).toMatchObject({ kind: 'refreshed' });
    expect(await refreshIn(one)).toMatchObject({ kind: 'failed', error: { code: 'provider_unavailable' } });
  });
});
