import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Connections } from '../../src/broker/store.ts';
import { GrantryError } from '../../src/protocol/errors.ts';
import { type Scene, startScene } from './scene.ts';

/** Postgres is away when an exchange wants to save what it got. */

let scene: Scene;
let real: Connections;

beforeAll(async () => {
  scene = await startScene();
  const as = scene.providers.authorizationServer;
  await scene.define(as.definition);
  await scene.integrate(as, { id: 'as', provider: 'sandbox-as' });
  real = scene.broker.world.store.connections;
});
afterEach(() => {
  scene.broker.world.store.connections = real;
});
afterAll(() => scene?.stop());

/** The next `times` calls of these methods fail, before or after what they do. */
function away(when: 'before' | 'after', times: number): { failed: () => number } {
  let left = times;
  const failing =
    <Args extends unknown[], T>(method: (...args: Args) => Promise<T>) =>
    async (...args: Args): Promise<T> => {
      if (left === 0) return method(...args);
      left -= 1;
      if (when === 'after') await method(...args);
      throw new GrantryError('unavailable');
    };
  const { insert, renew, get, list, setMetadata, requireReauthorization, endExpired, remove } = real;
  const others = { get, list, setMetadata, requireReauthorization, endExpired, remove };
  scene.broker.world.store.connections = { ...others, insert: failing(insert), renew: failing(renew) };
  return { failed: () => times - left };
}

describe.each(['before', 'after'] as const)('the answer of Postgres is lost %s the saving', (when) => {
  test('a new connection is saved, once, and nothing is given back', async () => {
    const { revocations } = scene.providers.authorizationServer.counters;
    const flow = await scene.untilCallback('as');
    const { failed } = away(when, 3);
    await flow.browser.open(flow.callback.href);
    const { status, connection_id } = await scene.root.getConnectLink(flow.link.id);
    expect(status).toBe('connected');
    expect(failed()).toBe(when === 'before' ? 3 : 1);
    expect(await scene.sql('select id from connections where id = $1', [connection_id])).toHaveLength(1);
    expect(await scene.root.getToken(connection_id ?? '')).toMatchObject({ access_token: expect.any(String) });
    expect(scene.providers.authorizationServer.counters.revocations).toBe(revocations);
  });

  test('a reconnect is saved, once', async () => {
    const first = await scene.untilCallback('as');
    await first.browser.open(first.callback.href);
    const { connection_id } = await scene.root.getConnectLink(first.link.id);
    const again = await scene.untilCallback('as', { connection_id: connection_id ?? '' });
    away(when, 2);
    await again.browser.open(again.callback.href);
    expect(await scene.root.getConnectLink(again.link.id)).toMatchObject({ status: 'connected', connection_id });
    expect(
      (await scene.sql<{ token_version: number }>('select token_version from connections where id = $1', [connection_id]))[0]?.token_version,
    ).toBe(2);
  });
});
