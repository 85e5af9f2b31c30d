import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openClient, openSecrets, withClientSecrets } from '../../src/broker/client-secrets.ts';
import type { ConnectionRecord, IntegrationRecord } from '../../src/broker/records.ts';
import { refreshConnection } from '../../src/broker/refresh.ts';
import type { World } from '../../src/broker/world.ts';
import { type ErrorCode, GrantryError } from '../../src/protocol/errors.ts';
import { startWholeSandbox } from '../harness/broker.ts';
import { connect, type Whole, withAuthorizationServer } from './connected.ts';

let world: Whole;
let broker: World;
const as = () => world.sandbox.providers.authorizationServer;
const [old, next] = ['the-old-secret', 'the-new-secret'];

beforeAll(async () => {
  world = await startWholeSandbox();
  broker = world.broker.world;
  await withAuthorizationServer(world);
});
afterAll(() => world?.stop());
beforeEach(() => {
  as().switches.clientSecret = null;
});

const patch = (body: object) => world.root.call<Record<string, unknown>>('PATCH', '/v1/integrations/as', { body });
const asked = () => Object.values(as().counters.token).reduce((sum, count) => sum + count, 0);
const events = (type: string) => world.sql(`select id from events where type = $1`, [type]);

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

/** What the provider is asked, and how often, while the work is done. */
async function requestsOf(work: () => Promise<unknown>): Promise<number> {
  const before = asked();
  await work();
  return asked() - before;
}

const machine = () =>
  world.root.call('POST', '/v1/connections', { body: { integration: 'as', end_user: { id: 'machine' }, grant: 'client_credentials' } });
const refresh = async (id: string) => expect(await refreshConnection(broker, await row(id))).toMatchObject({ kind: 'refreshed' });

describe('a secret is replaced at the provider without a gap', () => {
  test('while it knows the old one, while it knows both, and when it knows the new one alone', async () => {
    as().switches.clientSecret = old;
    await patch({ client_secret: old });
    const ids = await Promise.all(['u1', 'u2', 'u3'].map((user) => connect(world, 'as', user)));
    const everything = async () => {
      for (const id of ids) await refresh(id);
      await connect(world);
      await machine();
    };
    const refusals = await events('integration.misconfigured');

    expect(await patch({ client_secrets: [next, old] })).toMatchObject({ has_client_secret: true, client_secret_count: 2 });
    // Five requests, and one that found out which secret is known.
    expect(await requestsOf(everything)).toBe(6);
    expect(await requestsOf(everything)).toBe(5);

    as().switches.clientSecret = next;
    expect(await requestsOf(everything)).toBe(6);
    expect(await requestsOf(everything)).toBe(5);

    expect(await patch({ client_secret: next })).toMatchObject({ client_secret_count: 1 });
    expect(await requestsOf(everything)).toBe(5);
    expect(await events('integration.misconfigured')).toEqual(refusals);
    for (const id of ids) expect(await row(id)).toMatchObject({ status: 'active', failure_count: 0 });
  });

  test('a code is not lost by the refusal of the first secret', async () => {
    as().switches.clientSecret = old;
    await patch({ client_secrets: [next, 'another', old] });
    const before = asked();
    await connect(world);
    expect(asked() - before).toBe(3);
  });

  describe('what may have been looked at is not sent again', () => {
    beforeEach(async () => {
      as().switches.clientSecret = old;
      await patch({ client_secrets: [next, old] });
    });
    afterEach(() => {
      as().switches.fault = { kind: 'none' };
    });
    const refusals = [
      ['a 401 that gives no reason', { error: '', status: 401 }],
      ['a 401 with a reason of its own', { error: 'wrong', status: 401 }],
      ['unauthorized_client with 400', { error: 'unauthorized_client', status: 400 }],
      ['invalid_grant', { error: 'invalid_grant', status: 401 }],
    ] as const;
    const onceRefused = async (refusal: { error: string; status: number }) => {
      as().switches.fault = { kind: 'refuse', ...refusal, times: 1 };
      return asked();
    };

    test.each(refusals)('a code: %s', async (_, refusal) => {
      const before = await onceRefused(refusal);
      await expect(connect(world)).rejects.toThrow('exchange_failed');
      expect(asked() - before).toBe(1);
    });

    test.each(refusals)('a refresh token: %s', async (_, refusal) => {
      const id = await connect(world);
      const before = await onceRefused(refusal);
      expect(await refreshConnection(broker, await row(id))).toMatchObject({ kind: 'failed' });
      expect(asked() - before).toBe(1);
    });

    test.each([
      ['invalid_client', { error: 'invalid_client', status: 400 }],
      ['unauthorized_client with 401', { error: 'unauthorized_client', status: 401 }],
    ])('what the provider says of the client is another matter: %s', async (_, refusal) => {
      const id = await connect(world);
      for (const again of [() => refresh(id), () => connect(world)]) {
        // Begins with the first one, which is refused here, and goes on with the one that the provider knows.
        await patch({ client_secrets: [next, old] });
        const before = await onceRefused(refusal);
        await again();
        expect(asked() - before).toBe(2);
      }
    });

    test('and where the request holds nothing but the client, a 401 is said of it', async () => {
      as().switches.fault = { kind: 'refuse', error: '', status: 401, times: 1 };
      await machine();
    });
  });

  test('a deletion reaches the provider', async () => {
    as().switches.clientSecret = old;
    await patch({ client_secret: old });
    const id = await connect(world);
    await patch({ client_secrets: [next, old] });
    await world.root.call('DELETE', `/v1/connections/${id}`);
    const timeline = await world.sql<{ type: string }>('select type from events where connection_id = $1', [id]);
    expect(timeline.map(({ type }) => type)).toContain('connection.revoked');
  });
});

describe('secrets are opened and tried', () => {
  const tried: (string | undefined)[] = [];
  /** A provider that has one answer for each secret; for the others, none is foreseen. */
  const provider =
    (answers: Record<string, ErrorCode | 'accepted'>, later: () => void = () => {}) =>
    async ({ client_secret }: { client_secret?: string }) => {
      tried.push(client_secret);
      later();
      const answer = answers[client_secret ?? ''];
      if (answer === undefined) throw new Error('not foreseen');
      if (answer !== 'accepted') throw new GrantryError(answer, { detail: client_secret ?? '' });
      return client_secret;
    };
  beforeEach(async () => {
    tried.length = 0;
    await patch({ client_secrets: ['a', 'b', 'c'] });
  });

  test('in their order, each once; the last refusal is what is told', async () => {
    const work = provider({ a: 'invalid_client', b: 'invalid_client', c: 'invalid_client' });
    await expect(withClientSecrets(broker, await integration(), work)).rejects.toMatchObject({ code: 'invalid_client', message: 'c' });
    expect(tried).toEqual(['a', 'b', 'c']);
  });

  test('first the one that was accepted last, until the integration is changed', async () => {
    const work = provider({ a: 'invalid_client', b: 'accepted', c: 'invalid_client' });
    expect(await withClientSecrets(broker, await integration(), work)).toBe('b');
    expect(await withClientSecrets(broker, await integration(), work)).toBe('b');
    expect(tried).toEqual(['a', 'b', 'b']);
    expect(await openClient(broker, await integration())).toMatchObject({ client_secret: 'b' });
    // Then the others, from the first on.
    const moved = provider({ a: 'invalid_client', b: 'invalid_client', c: 'accepted' });
    expect(await withClientSecrets(broker, await integration(), moved)).toBe('c');
    expect(tried.slice(3)).toEqual(['b', 'a', 'c']);
    await patch({ scopes: ['read'] });
    expect(await openClient(broker, await integration())).toMatchObject({ client_secret: 'a' });
    expect(await openSecrets(broker, await integration())).toEqual(['a', 'b', 'c']);
  });

  test.each(['invalid_grant', 'no_answer', 'provider_unavailable', 'provider_error', 'bad_provider_answer', 'exchange_unknown'] as const)(
    'after a refusal of the client and after nothing else: %s',
    async (code) => {
      await expect(withClientSecrets(broker, await integration(), provider({ a: code }))).rejects.toMatchObject({ code });
      expect(tried).toEqual(['a']);
      await expect(withClientSecrets(broker, await integration(), provider({ a: 'invalid_client', b: code }))).rejects.toMatchObject({ code });
      expect(tried).toEqual(['a', 'a', 'b']);
    },
  );

  test('only as long as another request ends well inside the lease of a refresh', async () => {
    let ms = 0;
    const slow = { ...broker, elapsedMs: () => ms };
    const work = provider({ a: 'invalid_client', b: 'invalid_client', c: 'accepted' }, () => {
      ms += 6_000;
    });
    await expect(withClientSecrets(slow, await integration(), work)).rejects.toMatchObject({ code: 'invalid_client' });
    expect(tried).toEqual(['a', 'b']);
  });

  test('as they were sealed for this version of the integration, and no other', async () => {
    const [stored] = await world.sql<{ further_secrets_sealed: string }>(`select further_secrets_sealed from integrations where id = 'as'`);
    expect(stored?.further_secrets_sealed).toMatch(/^eyJ/);
    await world.sql(`update integrations set secret_version = secret_version + 1 where id = 'as'`);
    await expect(integration().then((found) => openSecrets(broker, found))).rejects.toMatchObject({ code: 'integrity_error' });
    await world.sql(`update integrations set secret_version = secret_version - 1 where id = 'as'`);
  });
});
