import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { exchanges, type Scene, startScene } from './scene.ts';

let scene: Scene;
beforeAll(async () => {
  scene = await startScene();
  const as = scene.providers.authorizationServer;
  await scene.define(as.definition);
  await scene.integrate(as, { id: 'basic', provider: 'sandbox-as' });
  await scene.integrate(as, { id: 'post', provider: 'sandbox-as', method: 'web-post' });
  await scene.integrate(
    { ...as, client: { client_id: '', client_secret: '' } },
    { id: 'jwt', provider: 'sandbox-as', method: 'web-jwt', ...as.signingClient, client_secret: undefined },
  );
  await scene.integrate(as, { id: 'public', provider: 'sandbox-as', method: 'web-public', ...as.publicClient, client_secret: undefined });
  await scene.integrate(as, { id: 'machine', provider: 'sandbox-as', method: 'machine' });
});
afterAll(() => scene?.stop());

describe.each(['basic', 'post', 'jwt', 'public'])('the code flow with client authentication %s', (id) => {
  test('connects, tells the integrator, hands out a token that the API takes, and refreshes it', async () => {
    const link = await scene.linkTo(id, { metadata: { order: 7 } });
    const browser = createBrowser();
    const page = await browser.open(link.url);
    expect(page.text).toContain('Default project\nasks for access to your Sandbox authorization server');
    expect(page.text).toContain('Ada Lovelace');
    expect(page.text).toContain(new URL(scene.providers.authorizationServer.url).host);
    expect((await scene.stateOf(link)).status).toBe('opened');
    const consent = await page.submit();
    expect((await scene.stateOf(link)).status).toBe('authorizing');
    const before = exchanges(scene);
    const done = await consent.submit({ user: `ada-${id}` });
    expect([done.status, done.url]).toEqual([200, `${scene.url}/connect/result/${link.id}`]);
    expect(done.title).toBe('Sandbox authorization server is connected to Default project');
    expect(exchanges(scene)).toBe(before + 1);

    const connection = await scene.connectionOf(link);
    expect(await scene.root.call('GET', `/v1/connections/${connection}`)).toMatchObject({
      integration: id,
      status: 'active',
      account: `ada-${id}`,
      scopes: expect.arrayContaining(['read']),
      missing_scopes: [],
      metadata: { order: 7 },
    });
    expect(await scene.root.call('POST', `/v1/connections/${connection}/probe`)).toMatchObject({ outcome: 'works' });
    const { access_token } = await scene.root.getToken(connection);
    expect((await scene.root.getToken(connection, { force: true })).access_token).not.toBe(access_token);
    expect(await scene.root.call('POST', `/v1/connections/${connection}/probe`)).toMatchObject({ outcome: 'works' });
  });
});

test('the callback carries code, state and iss, and nothing of them is in the address of the page it ends at', async () => {
  const { callback, browser, authorizeUrl } = await scene.untilCallback('basic');
  const asked = new URL(authorizeUrl).searchParams;
  expect(Object.fromEntries(asked)).toMatchObject({
    response_type: 'code',
    code_challenge_method: 'S256',
    state: expect.stringMatching(/^[\w-]{43}$/),
  });
  expect(callback.searchParams.get('state')).toBe(asked.get('state'));
  expect(`${callback.origin}${callback.pathname}`).toBe(asked.get('redirect_uri'));
  const answer = await scene.visit(callback, browser);
  expect([answer.status, answer.location]).toEqual([303, expect.stringMatching(/\/connect\/result\/lnk_\w+$/)]);
});

test('the link goes to the return URL with what became of it, whose own query is kept', async () => {
  const { callback, browser, link } = await scene.untilCallback('basic', { return_url: 'http://localhost:1/done?a=1' });
  const { status, location } = await scene.visit(callback, browser);
  expect(status).toBe(303);
  expect(location).toBe(`http://localhost:1/done?a=1&connect_link=${link.id}&status=connected&connection_id=${await scene.connectionOf(link)}`);
});

test('scopes that the user withholds are shown as missing', async () => {
  scene.providers.authorizationServer.switches.withheldScopes = ['write'];
  try {
    const { callback, browser, link } = await scene.untilCallback('basic', { scopes: ['read', 'write'] });
    await scene.visit(callback, browser);
    expect(await scene.root.call('GET', `/v1/connections/${await scene.connectionOf(link)}`)).toMatchObject({
      scopes: ['read'],
      missing_scopes: ['write'],
    });
  } finally {
    scene.providers.authorizationServer.switches.withheldScopes = [];
  }
});

test('client credentials need no browser', async () => {
  const made = await scene.root.call<{ id: string }>('POST', '/v1/connections', {
    body: { integration: 'machine', end_user: { id: 'u1' }, grant: 'client_credentials' },
  });
  expect(await scene.root.call('POST', `/v1/connections/${made.id}/probe`)).toMatchObject({ outcome: 'works' });
});

test('tokens that were obtained elsewhere are imported, and refreshed by us from then on', async () => {
  const { callback, browser, link } = await scene.untilCallback('basic');
  await scene.visit(callback, browser);
  const { access_token } = await scene.root.getToken(await scene.connectionOf(link));
  const made = await scene.root.call<{ id: string }>('POST', '/v1/connections', {
    body: {
      integration: 'basic',
      end_user: { id: 'u2' },
      import: { access_token, scopes: ['read'], expires_at: new Date(Date.now() + 60_000).toISOString() },
    },
  });
  expect(await scene.root.getToken(made.id, { minTtlS: 0 })).toMatchObject({ access_token });
  expect(await scene.root.call('POST', `/v1/connections/${made.id}/probe`)).toMatchObject({ outcome: 'works' });
});

test('a link for a method without a browser connects from its page', async () => {
  const link = await scene.linkTo('machine');
  const browser = createBrowser();
  const done = await (await browser.open(link.url)).submit();
  expect(done.title).toContain('is connected');
  await scene.connectionOf(link);
});
