import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createBrowser } from '../../src/sandbox/browser.ts';
import type { Fault } from '../../src/sandbox/fault.ts';
import { exchanges, type Scene, startScene } from './scene.ts';

/** The exchange is sent once, ever; what its failure is called; and what a reconnect may and may not change. */

let scene: Scene;
const server = () => scene.providers.authorizationServer;
beforeAll(async () => {
  scene = await startScene();
  const { authorizationServer: as, hostile } = scene.providers;
  await scene.define(as.definition);
  await scene.define(hostile.definition);
  await scene.integrate(as, { id: 'as', provider: 'sandbox-as' });
  await scene.integrate(hostile, { id: 'hostile', provider: 'sandbox-hostile' });
});
afterAll(() => scene?.stop());
afterEach(() => {
  server().switches.fault = { kind: 'none' };
});

async function exchangeWith(fault: Fault) {
  const flow = await scene.untilCallback('as');
  server().switches.fault = fault;
  const before = exchanges(scene);
  const page = await flow.browser.open(flow.callback.href);
  return { ...flow, page, calls: () => exchanges(scene) - before };
}

describe('the exchange fails', () => {
  const faults: [string, Fault, string][] = [
    ['the answer is lost after the server has processed it', { kind: 'drop' }, 'exchange_unknown'],
    ['503', { kind: 'down' }, 'exchange_failed'],
    ['500 with a page', { kind: 'error_500' }, 'exchange_failed'],
    ['429 with Retry-After', { kind: 'retry_after', seconds: 1, status: 429 }, 'exchange_failed'],
    ['garbage', { kind: 'garbage' }, 'exchange_failed'],
    ['invalid_grant', { kind: 'refuse', error: 'invalid_grant', status: 400 }, 'exchange_failed'],
    ['invalid_request', { kind: 'refuse', error: 'invalid_request', status: 400 }, 'exchange_failed'],
    ['unauthorized_client', { kind: 'refuse', error: 'unauthorized_client', status: 400 }, 'exchange_failed'],
  ];
  test.each(faults)('%s: one token call, and no second one', async (_, fault, code) => {
    const { link, page, calls, callback, browser } = await exchangeWith(fault);
    expect([page.status, page.url]).toEqual([502, `${scene.url}/connect/result/${link.id}`]);
    expect(page.text).toContain(code);
    await scene.expectFailed(link, code);
    server().switches.fault = { kind: 'none' };
    expect((await scene.visit(callback, browser)).status).toBe(400);
    expect((await browser.open(link.url)).status).toBe(410);
    expect(calls()).toBe(1);
    if (fault.kind === 'refuse' && fault.error === 'unauthorized_client')
      await scene.root.call('PATCH', '/v1/integrations/as', { body: { client_secret: server().client.client_secret } });
  });

  test('no server listens there', async () => {
    const port = 1;
    await scene.define(
      JSON.stringify({
        id: 'nowhere',
        name: 'Nowhere',
        methods: {
          web: {
            grant: 'authorization_code',
            authorization_endpoint: `${server().url}/auth`,
            token_endpoint: `http://127.0.0.1:${port}/token`,
            scopes: { default: ['read'] },
          },
        },
      }),
    );
    await scene.integrate(server(), { id: 'nowhere', provider: 'nowhere' });
    const { link, browser, callback } = await scene.untilCallback('nowhere');
    callback.searchParams.delete('iss');
    await scene.visit(callback, browser);
    await scene.expectFailed(link, 'exchange_failed');
  });

  test('invalid_client: the integration is misconfigured, and recovers when the secret is mended', async () => {
    const status = async () => (await scene.root.call<{ status: string }>('GET', '/v1/integrations/as')).status;
    const flow = await scene.untilCallback('as');
    await scene.root.call('PATCH', '/v1/integrations/as', { body: { client_secret: 'wrong' } });
    expect(await status()).toBe('active');
    await scene.visit(flow.callback, flow.browser);
    await scene.expectFailed(flow.link, 'exchange_failed');
    expect(await status()).toBe('misconfigured');

    await scene.root.call('PATCH', '/v1/integrations/as', { body: { client_secret: server().client.client_secret } });
    expect(await status()).toBe('active');
    const next = await scene.untilCallback('as');
    await scene.visit(next.callback, next.browser);
    await scene.connectionOf(next.link);
  });
});

describe('reconnect', () => {
  async function connect(fields = {}, user = 'ada') {
    const link = await scene.linkTo('as', fields);
    const browser = createBrowser();
    const page = await browser.open(link.url);
    const callback = await scene.approve(await scene.begin(link, browser), browser, { user });
    return { link, browser, page, callback };
  }
  async function connected(fields = {}, user = 'ada'): Promise<string> {
    const { link, browser, callback } = await connect(fields, user);
    await scene.visit(callback, browser);
    return scene.connectionOf(link);
  }

  test('keeps the connection, its id and its age; the old token is replaced', async () => {
    const id = await connected({ scopes: ['read'] });
    const [before, token] = [await scene.root.call<{ created_at: string }>('GET', `/v1/connections/${id}`), await scene.root.getToken(id)];
    const count = (await scene.connections()).length;
    const { link, browser, page, callback } = await connect({ connection_id: id, scopes: ['read', 'write'] });
    expect(page.text).toContain('You have connected this before');
    await scene.visit(callback, browser);
    expect(await scene.connectionOf(link)).toBe(id);
    expect(await scene.root.call('GET', `/v1/connections/${id}`)).toMatchObject({
      created_at: before.created_at,
      status: 'active',
      scopes: expect.arrayContaining(['write']),
    });
    expect((await scene.root.getToken(id)).access_token).not.toBe(token.access_token);
    expect(await scene.connections()).toHaveLength(count);
  });

  test('another account: account_mismatch, the connection stays as it was, and the other account keeps what it may have elsewhere', async () => {
    const id = await connected();
    const [before, revocations] = [await scene.root.call('GET', `/v1/connections/${id}`), server().counters.revocations];
    const token = await scene.root.getToken(id);
    const { link, browser, callback } = await connect({ connection_id: id }, 'eve');
    const page = await browser.open(callback.href);
    expect([page.status, page.text]).toEqual([409, expect.stringContaining('That is another account')]);
    await scene.expectFailed(link, 'account_mismatch');
    expect(await scene.root.call('GET', `/v1/connections/${id}`)).toEqual(before);
    expect((await scene.root.getToken(id)).access_token).toBe(token.access_token);
    // Many providers end everything of an account with one revocation.
    expect(server().counters.revocations).toBe(revocations);
  });

  test('what needs a new authorization lives again', async () => {
    const id = await connected();
    server().revokeUser('ada');
    await scene.root.getToken(id, { force: true }).catch(() => {});
    expect(await scene.root.call('GET', `/v1/connections/${id}`)).toMatchObject({ status: 'reauthorization_required' });
    expect(await connected({ connection_id: id })).toBe(id);
    expect(await scene.root.call('GET', `/v1/connections/${id}`)).toMatchObject({ status: 'active', reason: null });
    expect(await scene.root.call('POST', `/v1/connections/${id}/probe`)).toMatchObject({ outcome: 'works' });
  });

  test('wins over a refresh that is under way', async () => {
    const id = await connected();
    const { link, browser, callback } = await connect({ connection_id: id });
    const before = server().counters.refresh_ok;
    // The refresh is processed at once and answered when the reconnect is done.
    server().switches.fault = { kind: 'slow_answer', ms: 2_000, times: 1 };
    const refresh = scene.root.call('POST', `/v1/connections/${id}/refresh`);
    while (server().counters.refresh_ok === before) await new Promise((resolve) => setTimeout(resolve, 20));
    await scene.visit(callback, browser);
    expect(await scene.connectionOf(link)).toBe(id);
    const { access_token } = await scene.root.getToken(id);
    await refresh;
    expect((await scene.root.getToken(id)).access_token).toBe(access_token);
    expect(await scene.root.call('POST', `/v1/connections/${id}/probe`)).toMatchObject({ outcome: 'works' });
    expect(await scene.root.getToken(id, { force: true })).toMatchObject({ connection_id: id });
    expect(await scene.root.call('POST', `/v1/connections/${id}/probe`)).toMatchObject({ outcome: 'works' });
  });

  test('two links for one connection at the same time: one after the other, both are told connected, the id stays', async () => {
    const id = await connected();
    const flows = [await connect({ connection_id: id }), await connect({ connection_id: id })];
    await Promise.all(flows.map(({ browser, callback }) => scene.visit(callback, browser)));
    for (const { link } of flows) expect(await scene.connectionOf(link)).toBe(id);
    expect(await scene.root.call('POST', `/v1/connections/${id}/probe`)).toMatchObject({ outcome: 'works' });
  });

  test('a connection that was deleted meanwhile does not come back', async () => {
    const id = await connected();
    const { link, browser, callback } = await connect({ connection_id: id });
    await scene.root.call('DELETE', `/v1/connections/${id}`);
    await scene.visit(callback, browser);
    await scene.expectFailed(link, 'exchange_failed');
    expect(await scene.connections()).not.toContainEqual(expect.objectContaining({ id }));
  });

  test.each([
    ['of another end user', { end_user: { id: 'somebody-else' } }],
    ['that is unknown', { connection_id: 'con_unknown' }],
    ['of another integration', { integration: 'hostile' }],
  ])('a connection %s is refused when the link is made', async (_, fields) => {
    const id = await connected();
    await expect(scene.linkTo('as', { connection_id: id, ...fields })).rejects.toMatchObject({ status: 400 });
  });
});
