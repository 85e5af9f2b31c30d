import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { probeConnection } from '../../src/broker/probes.ts';
import type { Door } from '../../src/protocol/door.ts';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { changed, type Scene, startScene } from './scene.ts';

let scene: Scene;
beforeAll(async () => {
  scene = await startScene();
  const { nexmo } = scene.providers;
  for (const definition of [nexmo.definition, nexmo.definitionWithCallback, nexmo.definitionWithPin]) await scene.define(definition);
  await scene.integrate(nexmo, { id: 'nexmo', provider: 'sandbox-nexmo' });
  await scene.integrate(nexmo, { id: 'callback', provider: 'sandbox-oauth1' });
  await scene.integrate(nexmo, { id: 'pin', provider: 'sandbox-oauth1-pin' });
});
afterAll(() => scene?.stop());
afterEach(() => {
  Object.assign(scene.providers.nexmo.switches, { confirmed: 'true', callbackToken: 'own', fault: { kind: 'none' }, deniedParameter: 'denied' });
});

const accessCalls = () => scene.providers.nexmo.counters.access_token;

describe('out of band without a verifier', () => {
  async function connect(fields = {}) {
    const link = await scene.linkTo('nexmo', fields);
    const browser = createBrowser();
    const first = await browser.open(link.url);
    const steps = await first.submit();
    return { link, browser, first, steps };
  }

  test('connects when the end user comes back by herself', async () => {
    const { link, steps, browser } = await connect();
    expect([steps.status, steps.url]).toEqual([200, `${link.url}/return`]);
    expect(steps.text).toContain('Default project');
    const approved = await (await steps.follow('Open Sandbox Nexmo')).submit({ user: 'ada' });
    expect(approved.text).toContain('You may return');
    // A phone reloads the tab that it comes back to.
    const again = await browser.open(steps.url);
    expect(again.html).toBe(steps.html);
    const done = await again.submit();
    expect(done.title).toContain('is connected');
    const connection = await scene.connectionOf(link);
    expect(await scene.root.getToken(connection)).toMatchObject({ token_type: 'oauth1', present: null, oauth_consumer_key: 'sandbox-nexmo-app' });
    expect(await scene.root.call('POST', `/v1/connections/${connection}/probe`)).toMatchObject({ outcome: 'works' });
    expect(JSON.stringify(await scene.root.getToken(connection))).not.toContain(scene.providers.nexmo.client.client_secret);
  });

  test('back before she has allowed it: told so, and she can still allow it', async () => {
    const { link, steps } = await connect();
    const before = accessCalls();
    const again = await steps.submit();
    expect([again.status, accessCalls()]).toEqual([400, before + 1]);
    expect(again.text).toContain('has not been allowed yet');
    expect(await scene.stateOf(link)).toMatchObject({ status: 'authorizing', connection_id: null });
    await (await again.follow('Open Sandbox Nexmo')).submit({ user: 'ada' });
    expect((await again.submit()).title).toContain('is connected');
    await scene.connectionOf(link);
  });

  test('another browser neither sees nor ends it; ten answers make one exchange', async () => {
    const { link, steps } = await connect();
    await (await steps.follow('Open Sandbox Nexmo')).submit({ user: 'ada' });
    expect((await createBrowser().open(steps.url)).text).toContain('This link is open in another browser');
    const before = [accessCalls(), (await scene.connections()).length] as const;
    await Promise.all(Array.from({ length: 10 }, () => steps.submit()));
    expect([accessCalls(), (await scene.connections()).length]).toEqual([before[0] + 1, before[1] + 1]);
    await scene.connectionOf(link);
  });

  test('before it has begun the page leads to the beginning', async () => {
    const link = await scene.linkTo('nexmo');
    const browser = createBrowser();
    await browser.open(link.url);
    expect((await browser.open(`${link.url}/return`)).url).toBe(link.url);
  });

  test('a reconnect warns, kills the old token when it begins, and keeps the connection', async () => {
    const { link, steps } = await connect();
    await (await steps.follow('Open Sandbox Nexmo')).submit({ user: 'ada' });
    await steps.submit();
    const connection = await scene.connectionOf(link);
    const probe = () => scene.root.call('POST', `/v1/connections/${connection}/probe`);
    expect(await probe()).toMatchObject({ outcome: 'works' });

    const second = await connect({ connection_id: connection });
    expect(second.first.text).toContain('Going on ends the present access at once');
    expect(await probe()).toMatchObject({ outcome: 'refused' });
    await (await second.steps.follow('Open Sandbox Nexmo')).submit({ user: 'ada' });
    await second.steps.submit();
    expect(await scene.connectionOf(second.link)).toBe(connection);
    expect(await probe()).toMatchObject({ outcome: 'works' });
  });
});

describe('out of band with a PIN', () => {
  test('an empty or impossible PIN is asked for again, the right one connects', async () => {
    const link = await scene.linkTo('pin');
    const steps = await (await createBrowser().open(link.url)).submit();
    const shown = await (await steps.follow('Open Sandbox OAuth 1.0a with a PIN')).submit({ user: 'ada' });
    const pin = /PIN: (\d+)/.exec(shown.text)?.[1] ?? '';
    const before = accessCalls();
    for (const bad of ['', '   ', '12 34', '\u00b9', '1'.repeat(201)]) {
      const again = await steps.submit({ verifier: bad });
      expect([again.status, again.text]).toEqual([400, expect.stringContaining('Enter the code that you were shown.')]);
    }
    expect(accessCalls()).toBe(before);
    const done = await steps.submit({ verifier: ` ${pin} ` });
    expect(done.title).toContain('is connected');
    await scene.connectionOf(link);
  });

  test('a wrong PIN ends the flow after one try', async () => {
    const link = await scene.linkTo('pin');
    const steps = await (await createBrowser().open(link.url)).submit();
    await (await steps.follow('Open')).submit({ user: 'ada' });
    const before = accessCalls();
    expect((await steps.submit({ verifier: '0000000' })).status).toBe(502);
    expect((await steps.submit({ verifier: '0000001' })).status).toBe(410);
    expect(accessCalls()).toBe(before + 1);
    await scene.expectFailed(link, 'exchange_failed');
  });
});

describe('with a callback', () => {
  test('connects', async () => {
    const { link, browser, callback } = await scene.untilCallback('callback');
    expect([...callback.searchParams.keys()].sort()).toEqual(['oauth_token', 'oauth_verifier', 'state']);
    expect((await scene.visit(callback, browser)).status).toBe(303);
    await scene.connectionOf(link);
  });

  test('without oauth_callback_confirmed the flow does not begin (session fixation, advisory 2009-1)', async () => {
    scene.providers.nexmo.switches.confirmed = 'missing';
    const link = await scene.linkTo('callback');
    const page = await (await createBrowser().open(link.url)).submit();
    expect([page.status, page.url.startsWith(scene.url)]).toEqual([502, true]);
    scene.providers.nexmo.switches.confirmed = 'true';
    expect((await page.follow('Try again')).status).toBe(200);
  });

  const refusals: [string, (parameters: URLSearchParams) => void][] = [
    ['no verifier', (p) => p.delete('oauth_verifier')],
    ['an empty verifier', (p) => p.set('oauth_verifier', '')],
    ['two verifiers', (p) => p.append('oauth_verifier', '1')],
    ['no oauth_token', (p) => p.delete('oauth_token')],
    ['two oauth_tokens', (p) => p.append('oauth_token', 'x')],
    ['an oauth_token that nobody gave', (p) => p.set('oauth_token', randomUUID())],
  ];
  test.each(refusals)('%s: the flow ends, nothing is asked of the provider', async (_, change) => {
    const { link, browser, callback } = await scene.untilCallback('callback');
    const before = accessCalls();
    expect((await scene.visit(changed(callback, change), browser)).status).toBe(303);
    await scene.expectFailed(link, 'invalid_callback');
    expect((await scene.visit(callback, browser)).status).toBe(400);
    expect(accessCalls()).toBe(before);
  });

  test.each(refusals)('%s, with verification "user": refused before the integrator is asked', async (_, change) => {
    const { link, browser, callback } = await scene.untilCallback('callback', { verification: 'user', return_url: 'http://localhost:1/done' });
    const { location } = await scene.visit(changed(callback, change), browser);
    expect(location).toBe(`http://localhost:1/done?connect_link=${link.id}&status=failed&error=invalid_callback`);
    await scene.expectFailed(link, 'invalid_callback');
  });

  test('the oauth_tokens of two flows exchanged: both are rejected', async () => {
    const [first, second] = [await scene.untilCallback('callback'), await scene.untilCallback('callback')];
    const before = accessCalls();
    const swap = (own: URL, other: URL) =>
      changed(own, (p) => {
        for (const name of ['oauth_token', 'oauth_verifier']) p.set(name, other.searchParams.get(name) ?? '');
      });
    await scene.visit(swap(first.callback, second.callback), first.browser);
    await scene.visit(swap(second.callback, first.callback), second.browser);
    await scene.expectFailed(first.link, 'invalid_callback');
    await scene.expectFailed(second.link, 'invalid_callback');
    expect(accessCalls()).toBe(before);
  });

  test('a provider that answers with another oauth_token than it gave', async () => {
    scene.providers.nexmo.switches.callbackToken = 'wrong';
    const { link, browser, callback } = await scene.untilCallback('callback');
    const before = accessCalls();
    await scene.visit(callback, browser);
    await scene.expectFailed(link, 'invalid_callback');
    expect(accessCalls()).toBe(before);
  });

  test('denied: the end user declined, nothing is kept', async () => {
    const link = await scene.linkTo('callback');
    const browser = createBrowser();
    const callback = await scene.approve(await scene.begin(link, browser), browser, { button: 'Deny' });
    expect([...callback.searchParams.keys()].sort()).toEqual(['denied', 'state']);
    const page = await browser.open(callback.href);
    expect(page.text).toContain('Access was not allowed');
    await scene.expectFailed(link, 'access_denied');
  });

  test.each([
    ['denied', 'access_denied'],
    ['other', 'exchange_failed'],
  ] as const)('a verifier that the definition lists as a denial, and one that it does not: %s', async (verifier, error) => {
    const { link, browser, callback } = await scene.untilCallback('callback');
    const before = accessCalls();
    await scene.visit(
      changed(callback, (p) => p.set('oauth_verifier', verifier)),
      browser,
    );
    await scene.expectFailed(link, error);
    expect(accessCalls() - before).toBe(error === 'access_denied' ? 0 : 1);
  });

  test('in another browser: refused', async () => {
    const { link, callback } = await scene.untilCallback('callback');
    const before = accessCalls();
    expect((await scene.visit(callback, createBrowser())).status).toBe(400);
    await scene.expectFailed(link, 'wrong_browser');
    expect(accessCalls()).toBe(before);
  });

  test('the client secret is refused when the flow begins: the integration is misconfigured, and recovers', async () => {
    const status = async () => (await scene.root.call<{ status: string }>('GET', '/v1/integrations/callback')).status;
    await scene.root.call('PATCH', '/v1/integrations/callback', { body: { client_secret: 'wrong' } });
    const link = await scene.linkTo('callback');
    const page = await (await createBrowser().open(link.url)).submit();
    expect([page.status, page.url.startsWith(scene.url)]).toEqual([502, true]);
    expect(await status()).toBe('misconfigured');
    await scene.root.call('PATCH', '/v1/integrations/callback', { body: { client_secret: scene.providers.nexmo.client.client_secret } });
    expect(await status()).toBe('active');
    const { link: next, browser, callback } = await scene.untilCallback('callback');
    await scene.visit(callback, browser);
    await scene.connectionOf(next);
  });

  describe('a 401 that says nothing', () => {
    const bare = { kind: 'refuse', error: '', status: 401, times: 1 } as const;
    const status = async () => (await scene.root.call<{ status: string }>('GET', '/v1/integrations/callback')).status;
    async function connected(fields = {}) {
      const { link, browser, callback } = await scene.untilCallback('callback', fields);
      await scene.visit(callback, browser);
      return scene.connectionOf(link);
    }

    test('to the exchange: the flow ends after one request, the integration and what is connected stay', async () => {
      const id = await connected();
      const [before, token] = [await scene.root.call('GET', `/v1/connections/${id}`), await scene.root.getToken(id)];
      const { link, browser, callback } = await scene.untilCallback('callback', { connection_id: id });
      const calls = accessCalls();
      scene.providers.nexmo.switches.fault = { ...bare };
      await scene.visit(callback, browser);
      await scene.expectFailed(link, 'exchange_failed');
      expect([accessCalls() - calls, await status()]).toEqual([1, 'active']);
      expect(await scene.root.call('GET', `/v1/connections/${id}`)).toEqual(before);
      expect(await scene.root.getToken(id)).toEqual(token);
      // And a new link is all that it takes.
      expect(await connected({ connection_id: id })).toBe(id);
    });

    test('to a probe: it is refused, and changes nothing, for it may be said of our key', async () => {
      const id = await connected();
      const token = await scene.root.getToken(id);
      const { world } = scene.broker;
      const door: Door = async () => ({ status: 401, headers: {}, body: '' });
      const row = await world.store.tokens.byProject('default', id);
      if (row === undefined) throw new Error('gone');
      expect(await probeConnection({ ...world, door }, row)).toEqual({ outcome: 'refused', status: 401 });
      expect(await scene.root.call('GET', `/v1/connections/${id}`)).toMatchObject({ status: 'active', reason: null, last_error: null });
      expect(await scene.root.getToken(id)).toEqual(token);
      expect(await status()).toBe('active');
    });

    test('to a refresh cannot come: there is none', async () => {
      const id = await connected();
      const calls = accessCalls();
      await expect(scene.root.call('POST', `/v1/connections/${id}/refresh`)).rejects.toMatchObject({ status: 422, code: 'unsupported' });
      expect(accessCalls()).toBe(calls);
      expect(await scene.root.call('GET', `/v1/connections/${id}`)).toMatchObject({ status: 'active' });
    });
  });

  test('the link may ask for the authentication page instead', async () => {
    const before = scene.providers.nexmo.counters.authenticate;
    const { link, browser, callback } = await scene.untilCallback('callback', { endpoint: 'authentication' });
    await scene.visit(callback, browser);
    await scene.connectionOf(link);
    expect(scene.providers.nexmo.counters.authenticate).toBe(before + 1);
  });
});
