import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { startWholeSandbox } from '../harness/broker.ts';

let world: Awaited<ReturnType<typeof startWholeSandbox>>;

beforeAll(async () => {
  world = await startWholeSandbox();
  const as = world.sandbox.providers.authorizationServer;
  await world.root.call('PUT', '/v1/providers/sandbox-as', { body: as.definition });
  const integration = await world.root.call<{ redirect_uri: string }>('POST', '/v1/integrations', {
    body: { id: 'as', provider: 'sandbox-as', ...as.client },
  });
  as.registerRedirectUri(integration.redirect_uri);
});
afterAll(() => world.stop());

test('a user connects, a worker gets the token, and it refreshes', async () => {
  const link = await world.root.createConnectLink({ integration: 'as', end_user: { id: 'u1', display_name: 'Ada' } });
  const browser = createBrowser();
  const page = await browser.open(link.url);
  expect(page.status).toBe(200);
  const consent = await page.submit();
  const done = await consent.submit({ user: 'ada' }, 'Approve');
  expect([done.url, done.status, done.text]).toEqual([expect.stringContaining('/connect/result/'), 200, expect.any(String)]);
  const state = await world.root.getConnectLink(link.id);
  expect(state).toMatchObject({ status: 'connected', error: null });
  const token = await world.root.getToken(state.connection_id ?? '', { minTtlS: 10 });
  expect(token).toMatchObject({ token_type: 'bearer', present: { in: 'header', name: 'Authorization' } });
  const forced = await world.root.getToken(state.connection_id ?? '', { force: true });
  expect(forced.access_token).not.toBe(token.access_token);
  expect(world.sandbox.providers.authorizationServer.counters).toMatchObject({ refresh_ok: 1, refresh_reuse: 0 });
});
