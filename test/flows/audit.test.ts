import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { keepHouse } from '../../src/broker/housekeeping.ts';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { firstBroken, wholeLog } from '../harness/audit-log.ts';
import { type Link, type Scene, startScene } from './scene.ts';

/** What browsers do with links, and what the broker does by itself, is in the audit log. */

let scene: Scene;
beforeAll(async () => {
  scene = await startScene({ env: { TRUST_PROXY: '1' } });
  await scene.define(scene.providers.authorizationServer.definition);
  await scene.integrate(scene.providers.authorizationServer, { id: 'as', provider: 'sandbox-as' });
});
afterAll(async () => {
  expect(firstBroken(await wholeLog(scene.root))).toBeUndefined();
  await scene?.stop();
});
beforeEach(() => {
  scene.providers.authorizationServer.switches.autoApprove = null;
});

const steps = async (link: Link) =>
  (await wholeLog(scene.root, { target: link.id })).map(({ action, actor, details: { integration: _, ...details } }) => [action, actor, details]);

test('a link that is opened, gone through and connected', async () => {
  const { link, browser, callback } = await scene.untilCallback('as');
  await scene.visit(callback, browser, { headers: { 'x-forwarded-for': '198.51.100.7' } });
  const connection = await scene.connectionOf(link);
  expect(await steps(link)).toEqual([
    ['connect_link.created', 'root', { reconnects: null }],
    ['connect_link.opened', 'browser', {}],
    ['connect_link.authorizing', 'browser', {}],
    ['connect_link.connected', 'browser', { connection }],
  ]);
  const [row] = await wholeLog(scene.root, { action: 'connect_link.connected', target: link.id });
  expect(row).toMatchObject({ project: 'default', address: '198.51.100.7', request_id: expect.stringMatching(/^req_/) });
});

test('a link that the end user declines', async () => {
  const link = await scene.linkTo('as');
  const browser = createBrowser();
  const denied = await scene.approve(await scene.begin(link, browser), browser, { button: 'Deny' });
  await scene.visit(denied, browser);
  await scene.expectFailed(link, 'access_denied');
  expect((await steps(link)).at(-1)).toEqual(['connect_link.failed', 'browser', { error: 'access_denied' }]);
});

test('an answer that arrives in another browser, and looks from there, which are counted', async () => {
  const { link, callback } = await scene.untilCallback('as');
  for (let n = 0; n < 5; n += 1) await scene.visit(link.url, createBrowser(), { headers: { 'x-forwarded-for': '198.51.100.8' } });
  await scene.visit(callback, createBrowser());
  expect((await steps(link)).at(-1)).toEqual(['connect_link.failed', 'browser', { error: 'wrong_browser' }]);
  const counted = () =>
    scene.sql<{ count: string }>(`select count from audit_pending where entry ->> 'action' = 'connect_link.refused' and entry ->> 'target_id' = $1`, [
      link.id,
    ]);
  // What is counted in memory is written every few seconds.
  await expect.poll(counted, { timeout: 20_000, interval: 250 }).toEqual([{ count: '5' }]);
});

test('a callback that nobody waits for leaves nothing', async () => {
  const before = (await wholeLog(scene.root)).length;
  await scene.visit(`${scene.url}/oauth/callback?state=${'x'.repeat(43)}&code=1`, createBrowser());
  expect((await wholeLog(scene.root)).length).toBe(before);
});

test('what the broker finds out by itself: a connection that has ended, and that a provider was told', async () => {
  const { link, browser, callback } = await scene.untilCallback('as');
  await scene.visit(callback, browser);
  const id = await scene.connectionOf(link);
  await scene.sql(
    `update connections set refreshable = false, issued_at = now() - interval '2 hours', expires_at = now() - interval '1 hour' where id = $1`,
    [id],
  );
  await keepHouse(scene.broker.world);
  await scene.root.call('DELETE', `/v1/connections/${id}`);
  const rows = (await wholeLog(scene.root, { target: id })).map(({ action, actor, address, details }) => [action, actor, address, details]);
  // The provider is told while the call is under way.
  expect(rows.sort()).toEqual([
    ['connection.deleted', 'root', '127.0.0.1', {}],
    ['connection.reauthorization_required', 'broker', null, { reason: 'expired' }],
    ['connection.revoked', 'broker', null, {}],
  ]);
});

test('links whose time is over, by the sweep and by the look of a browser: one row each, by the broker', async () => {
  const links = [await scene.linkTo('as'), await scene.linkTo('as')];
  const test = await scene.root.call<Link>('POST', '/v1/integrations/as/test', { body: {} });
  await scene.sql(`update connect_links set expires_at = now() - interval '1 second' where id = any($1)`, [[...links, test].map(({ id }) => id)]);
  const [looked, swept] = links;
  if (looked === undefined || swept === undefined) throw new Error('There are no links.');
  await scene.visit(looked.url, createBrowser());
  expect((await keepHouse(scene.broker.world)).expiredLinks).toBe(2);
  await scene.visit(swept.url, createBrowser());
  await keepHouse(scene.broker.world);
  for (const link of links) expect((await steps(link)).slice(1)).toEqual([['connect_link.failed', 'broker', { error: 'link_expired' }]]);
  expect(await steps(test)).toEqual([['connect_link.failed', 'broker', { purpose: 'test', error: 'link_expired' }]]);
});
