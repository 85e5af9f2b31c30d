import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { type Scene, startScene } from './scene.ts';

/** What the end user types into our own page: API keys, user names and passwords, values that complete a definition. */

let scene: Scene;
beforeAll(async () => {
  scene = await startScene();
  const { keyService, authorizationServer: as } = scene.providers;
  await scene.define(keyService.definition);
  await scene.integrate(keyService, { id: 'key', provider: 'sandbox-keys', client_id: undefined, client_secret: undefined });
  await scene.integrate(keyService, { id: 'basic', provider: 'sandbox-keys', method: 'basic', client_id: undefined, client_secret: undefined });
  const definition = JSON.parse(as.definition);
  const { web } = definition.methods;
  const [, , port] = as.url.split(':');
  const inputs = { port: { label: 'Port', pattern: '^[0-9]{1,5}$', example: '443' } };
  const asked = { ...web, authorization_endpoint: `${as.url}/auth?tenant={port}` };
  await scene.define(JSON.stringify({ ...definition, id: 'asking', inputs, methods: { web: asked } }));
  await scene.integrate(as, { id: 'asking', provider: 'asking' });
  expect(port).toMatch(/^\d+$/);
});
afterAll(() => scene?.stop());

test('an API key: asked for, checked, kept, presented, never shown again', async () => {
  const link = await scene.linkTo('key');
  const key = scene.providers.keyService.issueKey('ada');
  const page = await createBrowser().open(link.url);
  const refused = await page.submit({ api_key: 'short' });
  expect([refused.status, refused.title]).toEqual([400, expect.stringMatching(/^Error: /)]);
  expect(refused.html).not.toContain('short');
  expect((await scene.stateOf(link)).status).toBe('opened');
  const done = await refused.submit({ api_key: key });
  expect(done.title).toContain('is connected');
  const connection = await scene.connectionOf(link);
  expect(await scene.root.call('GET', `/v1/connections/${connection}`)).toMatchObject({ account: 'ada' });
  expect(await scene.root.getToken(connection)).toMatchObject({ present: { in: 'header', name: 'X-Api-Key', value: key }, expires_at: null });
});

test('user name and password, with a colon and a letter beyond ASCII in it', async () => {
  const link = await scene.linkTo('basic');
  const password = scene.providers.keyService.issuePassword('ada');
  const done = await (await createBrowser().open(link.url)).submit({ username: 'ada', password });
  expect(done.title).toContain('is connected');
  const connection = await scene.connectionOf(link);
  expect(await scene.root.call('POST', `/v1/connections/${connection}/probe`)).toMatchObject({ outcome: 'works' });
});

test('a key that the provider does not know is not connected, and may be corrected', async () => {
  const link = await scene.linkTo('key');
  const before = (await scene.connections()).length;
  const again = await (await createBrowser().open(link.url)).submit({ api_key: 'unknown-key-0123456789' });
  expect(again.status).toBe(400);
  expect(again.text).toContain('does not accept this');
  expect((await scene.connections()).length).toBe(before);
  const done = await again.submit({ api_key: scene.providers.keyService.issueKey('ada') });
  expect(done.title).toContain('is connected');
});

test('a link is not for trying out keys: after ten it ends', async () => {
  const link = await scene.linkTo('key');
  let page = await createBrowser().open(link.url);
  for (let tries = 0; tries < 10; tries += 1) {
    expect((await scene.stateOf(link)).status).toBe('opened');
    page = await page.submit({ api_key: `unknown-key-0123456789-${tries}` });
  }
  expect(page.status).toBe(502);
  await scene.expectFailed(link, 'exchange_failed');
});

test('a key that the provider does not know is refused without a browser too', async () => {
  const body = { integration: 'key', end_user: { id: 'u2' }, grant: 'api_key', inputs: { api_key: 'unknown-key-0123456789' } };
  await expect(scene.root.call('POST', '/v1/connections', { body })).rejects.toMatchObject({ code: 'exchange_failed' });
});

test('a provider that is down does not keep a key from being connected', async () => {
  const { keyService } = scene.providers;
  const inputs = { api_key: keyService.issueKey('ada') };
  keyService.switches.fault = { kind: 'down' };
  const made = scene.root.call('POST', '/v1/connections', { body: { integration: 'key', end_user: { id: 'u3' }, grant: 'api_key', inputs } });
  await expect(made).resolves.toMatchObject({ account: null, status: 'active' });
  keyService.switches.fault = { kind: 'none' };
});

test('without a browser', async () => {
  const inputs = { api_key: scene.providers.keyService.issueKey('bob') };
  const body = { integration: 'key', end_user: { id: 'u2' }, grant: 'api_key', inputs };
  expect(await scene.root.call('POST', '/v1/connections', { body })).toMatchObject({ account: 'bob' });
});

test('ten times pressed: one connection', async () => {
  const link = await scene.linkTo('key');
  const page = await createBrowser().open(link.url);
  const before = (await scene.connections()).length;
  const api_key = scene.providers.keyService.issueKey('ada');
  await Promise.all(Array.from({ length: 10 }, () => page.submit({ api_key })));
  await scene.connectionOf(link);
  expect(await scene.connections()).toHaveLength(before + 1);
});

describe('values that complete a definition', () => {
  test('one that was mistyped can be corrected by going back', async () => {
    const link = await scene.linkTo('asking');
    const browser = createBrowser();
    const first = await scene.begin(link, browser, { port: '1111' });
    expect(new URL(first).searchParams.get('tenant')).toBe('1111');
    const second = await scene.begin(link, browser, { port: '2222' });
    expect(new URL(second).searchParams.get('tenant')).toBe('2222');
    await scene.visit(await scene.approve(second, browser), browser);
    const connection = await scene.connectionOf(link);
    expect(await scene.root.getToken(connection, { force: true })).toMatchObject({ connection_id: connection });
  });

  test('one that the link brings is not asked for, and cannot be typed over', async () => {
    const link = await scene.linkTo('asking', { inputs: { port: '3333' } });
    const browser = createBrowser();
    const page = await browser.open(link.url);
    expect(page.text).not.toContain('Port');
    const csrf = /name="csrf-token" value="([^"]+)"/.exec(page.html)?.[1] ?? '';
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ 'csrf-token': csrf, port: '4444', client_id: 'x', ['__proto__']: 'y' }).toString(),
    };
    const { location } = await scene.visit(link.url, browser, init);
    expect(new URL(location).searchParams.get('tenant')).toBe('3333');
  });
});
