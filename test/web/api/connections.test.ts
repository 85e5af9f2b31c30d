import { afterAll, beforeAll, expect, test } from 'vitest';
import type { GrantryClient } from '../../../src/client/client.ts';
import { connect, type Whole, withAuthorizationServer } from '../../broker/connected.ts';
import { problemOf, startWholeSandbox } from '../../harness/broker.ts';

import { type Listed, walk } from './walk.ts';

let world: Whole;
let root: GrantryClient;

beforeAll(async () => {
  world = await startWholeSandbox();
  root = world.root;
  await withAuthorizationServer(world);
});
afterAll(() => world.stop());

test('connections are found by integration, end user, organization and status, and page', async () => {
  const made: string[] = [];
  for (let n = 0; n < 5; n += 1) {
    const end_user = { id: `user-${n % 2}`, ...(n > 2 && { organization_id: 'acme' }) };
    const { id } = await root.call<{ id: string }>('POST', '/v1/connections', {
      body: { integration: 'as', end_user, metadata: { n }, import: { access_token: `at-${n}` } },
    });
    made.push(id);
  }
  const found = async (query: Record<string, string>) =>
    (await root.call<Listed<{ id: string }>>('GET', '/v1/connections', { query })).data.map(({ id }) => id).filter((id) => made.includes(id));
  const newest = [...made].reverse();
  expect(await found({ integration: 'as' })).toEqual(newest);
  expect(await found({ end_user: 'user-0' })).toEqual([made[4], made[2], made[0]]);
  expect(await found({ organization: 'acme' })).toEqual([made[4], made[3]]);
  expect(await found({ status: 'active', end_user: 'user-1' })).toEqual([made[3], made[1]]);
  expect(await found({ status: 'revoked' })).toEqual([]);
  expect(await found({ integration: 'nowhere' })).toEqual([]);
  expect((await walk(root, '/v1/connections', 2)).filter((id) => made.includes(id))).toEqual(newest);
  expect(await problemOf(root.call('GET', '/v1/connections', { query: { status: 'odd' } }))).toMatchObject({
    status: 400,
    problem: { errors: [{ pointer: '/status' }] },
  });
  expect(await root.call('PATCH', `/v1/connections/${made[0]}`, { body: { metadata: { plan: 'gold' } } })).toMatchObject({
    metadata: { plan: 'gold' },
  });
  const id = await connect(world);
  const events = await walk(root, '/v1/events', 2);
  expect(events).toEqual(await walk(root, '/v1/events', 200));
  const { data } = await root.call<Listed<{ type: string; connection_id: string }>>('GET', `/v1/connections/${id}/events`);
  expect(data.map(({ type }) => type)).toEqual(['connection.created', 'connect_link.connected']);
});
