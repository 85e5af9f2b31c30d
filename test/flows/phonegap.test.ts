import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Browser, createBrowser } from '../../src/sandbox/browser.ts';
import { changed, type Link, type Scene, startScene } from './scene.ts';

/** A provider that echoes no state: the flow is found by the cookie alone, and the end user says whose account it is. */

let scene: Scene;
let redirectUri: string;
beforeAll(async () => {
  scene = await startScene();
  const { phonegap } = scene.providers;
  await scene.define(phonegap.definition);
  redirectUri = (await scene.integrate(phonegap, { id: 'web', provider: 'sandbox-phonegap' })).redirect_uri;
  await scene.integrate({ ...phonegap, registerRedirectUri: () => {} }, { id: 'auth-token', provider: 'sandbox-phonegap', method: 'auth_token' });
});
afterAll(() => scene?.stop());

const tokenCalls = () => scene.providers.phonegap.counters.token_requests;

describe('web', () => {
  test('comes back without a state, on a callback of its own, and asks whose account it is', async () => {
    const { callback, browser, link, authorizeUrl } = await scene.untilCallback('web');
    expect([...new URL(authorizeUrl).searchParams.keys()]).toEqual(['client_id']);
    expect([...callback.searchParams.keys()]).toEqual(['code']);
    expect(`${callback.origin}${callback.pathname}`).toBe(redirectUri);
    expect(redirectUri).toMatch(/\/oauth\/callback\/[\w-]{22}$/);

    const asked = await browser.open(callback.href);
    expect(asked.title).toContain('Connect this account?');
    expect(asked.text).toContain('ada');
    expect(asked.url).toBe(`${scene.url}/connect/result/${link.id}`);
    expect([(await scene.stateOf(link)).status, await scene.connections()]).toEqual(['confirming', []]);

    const done = await asked.submit({}, 'confirm');
    expect([done.status, done.title]).toEqual([200, 'Sandbox PhoneGap Build is connected to Default project']);
    const connection = await scene.connectionOf(link);
    expect(await scene.root.getToken(connection)).toMatchObject({ expires_at: null, present: { in: 'query', name: 'access_token' } });
    expect(await scene.root.call('POST', `/v1/connections/${connection}/probe`)).toMatchObject({ outcome: 'works' });
  });

  test('the end user says that it is not her account: nothing is connected', async () => {
    const { callback, browser, link } = await scene.untilCallback('web');
    const before = (await scene.connections()).length;
    const asked = await browser.open(callback.href);
    const done = await asked.submit({}, 'decline');
    expect(done.status).toBe(400);
    await scene.expectFailed(link, 'access_denied');
    expect(await scene.connections()).toHaveLength(before);
  });

  test('neither another browser nor a form without its token answers for her', async () => {
    const { callback, browser, link } = await scene.untilCallback('web');
    const asked = await browser.open(callback.href);
    const before = await scene.database();
    expect((await scene.visit(asked.url, createBrowser())).status).toBe(404);
    const form = { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' } };
    expect((await scene.visit(asked.url, browser, { ...form, body: 'decision=confirm' })).status).toBe(403);
    expect((await scene.visit(asked.url, browser, { ...form, body: `decision=confirm&csrf-token=${'A'.repeat(43)}` })).status).toBe(403);
    expect((await scene.visit(asked.url, undefined, { ...form, body: 'decision=confirm' })).status).toBe(404);
    expect(await scene.database()).toEqual(before);
    await asked.submit({}, 'confirm');
    await scene.connectionOf(link);
  });

  test('two answers to the question make one connection', async () => {
    const { callback, browser, link } = await scene.untilCallback('web');
    const asked = await browser.open(callback.href);
    const before = (await scene.connections()).length;
    await Promise.all(Array.from({ length: 10 }, () => asked.submit({}, 'confirm')));
    await scene.connectionOf(link);
    expect(await scene.connections()).toHaveLength(before + 1);
  });

  test('denied: authorization_refused without a state', async () => {
    const link = await scene.linkTo('web');
    const browser = createBrowser();
    const callback = await scene.approve(await scene.begin(link, browser), browser, { button: 'Deny' });
    expect(callback.search).toBe('?error=authorization_refused');
    const done = await browser.open(callback.href);
    expect(done.text).toContain('Access was not allowed');
    await scene.expectFailed(link, 'access_denied');
  });
});

test('a vetted definition that echoes no state has a callback of its own as well', async () => {
  const provider = scene.ship(scene.providers.phonegap.definition, 'shipped-phonegap');
  const { redirect_uri } = await scene.integrate(
    { ...scene.providers.phonegap, registerRedirectUri: () => {} },
    { id: 'shipped', provider, callback: 'shared' },
  );
  expect(redirect_uri).toMatch(/\/oauth\/callback\/[\w-]{22}$/);
});

describe('what finds no flow changes nothing', () => {
  async function expectNothing(target: URL, browser: Browser | undefined, init?: RequestInit) {
    const [database, calls] = [await scene.database(), tokenCalls()];
    const answer = await scene.visit(target, browser, init);
    expect(answer.status).toBe(400);
    expect(await scene.database()).toEqual(database);
    expect(tokenCalls()).toBe(calls);
  }

  test('no cookie, and a cookie of another browser', async () => {
    const { callback } = await scene.untilCallback('web');
    await expectNothing(callback, undefined);
    const other = createBrowser();
    await other.open((await scene.linkTo('web')).url);
    await expectNothing(callback, other);
  });

  test('two flows that wait in one browser', async () => {
    const browser = createBrowser();
    const [first, second] = [await scene.linkTo('web'), await scene.linkTo('web')];
    await scene.begin(first, browser);
    const callback = await scene.approve(await scene.begin(second, browser), browser);
    await expectNothing(callback, browser);
  });

  test('the shared callback, and the callback of another integration', async () => {
    const { callback, browser } = await scene.untilCallback('web');
    await expectNothing(new URL(`${scene.url}/oauth/callback${callback.search}`), browser);
    const other = await scene.integrate(
      { ...scene.providers.phonegap, registerRedirectUri: () => {} },
      { id: 'web-2', provider: 'sandbox-phonegap' },
    );
    await expectNothing(new URL(other.redirect_uri + callback.search), browser);
  });

  test('a POST, with the code in its body or in its address', async () => {
    const { callback, browser } = await scene.untilCallback('web');
    const form = { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' } };
    await expectNothing(callback, browser, { ...form, body: callback.search.slice(1) });
    await expectNothing(callback, browser, form);
  });

  test('an unknown state beside the code, and more parameters than anybody sends', async () => {
    const { callback, browser } = await scene.untilCallback('web');
    await expectNothing(
      changed(callback, (p) => p.set('state', 'A'.repeat(43))),
      browser,
    );
    await expectNothing(
      changed(callback, (p) => Array.from({ length: 200 }, (_, i) => p.append(`p${i}`, ''))),
      browser,
    );
  });

  test('a flow that has waited too long', async () => {
    const { callback, browser, link } = await scene.untilCallback('web');
    await scene.sql(`update connect_links set state_expires_at = now() - interval '1 second' where id = $1`, [link.id]);
    await expectNothing(callback, browser);
  });
});

test('50 callbacks at once: one exchange', async () => {
  const { callback, browser } = await scene.untilCallback('web');
  const before = tokenCalls();
  const answers = await Promise.all(Array.from({ length: 50 }, () => scene.visit(callback, browser)));
  expect(tokenCalls()).toBe(before + 1);
  expect(answers.filter(({ status }) => status === 303)).toHaveLength(1);
});

test("an attacker's code in the window of a pending flow connects nothing without the end user's word", async () => {
  const attacker = await scene.untilCallback('web');
  const { browser, link } = await scene.untilCallback('web');
  const before = (await scene.connections()).length;
  const asked = await browser.open(attacker.callback.href);
  expect(asked.title).toContain('Connect this account?');
  expect((await scene.stateOf(link)).status).toBe('confirming');
  expect(await scene.connections()).toHaveLength(before);
});

describe('with verification "user"', () => {
  const returnUrl = 'http://localhost:1/done';
  /** What the broker sends to the integrator's own page, and nothing in between: no page of ours asks whose account it is. */
  async function nonceOf({ status, location }: { status: number; location: string }) {
    const at = new URL(location);
    expect([status, at.origin + at.pathname, [...at.searchParams.keys()]]).toEqual([303, returnUrl, ['connect_link', 'nonce']]);
    return at.searchParams.get('nonce') ?? '';
  }
  const confirm = async (link: Link, nonce: string) =>
    scene.root.call('POST', `/v1/connect-links/${link.id}/confirm`, { body: { nonce, end_user_id: 'u1' } });
  const accountOf = async (link: Link) =>
    (await scene.root.call<{ account: string }>('GET', `/v1/connections/${await scene.connectionOf(link)}`)).account;

  test("the end user is not asked: the integrator's word is the answer, and the connection names the account", async () => {
    const { callback, browser, link } = await scene.untilCallback('web', { verification: 'user', return_url: returnUrl });
    const before = tokenCalls();
    const nonce = await nonceOf(await scene.visit(callback, browser));
    expect(tokenCalls()).toBe(before);
    await confirm(link, nonce);
    expect(await accountOf(link)).toBe('ada');
  });

  test('a code of somebody else that was led into her flow connects that account, as docs/connect-flow.md says: its name is all that tells', async () => {
    const mallory = createBrowser();
    const code = await scene.approve(await scene.begin(await scene.linkTo('web'), mallory), mallory, { user: 'mallory' });
    const { browser, link } = await scene.untilCallback('web', { verification: 'user', return_url: returnUrl });
    await confirm(link, await nonceOf(await scene.visit(code, browser)));
    expect(await accountOf(link)).toBe('mallory');
  });
});

describe('auth token', () => {
  test('is asked for on the page, exchanged, and never sent back to the browser', async () => {
    const link = await scene.linkTo('auth-token');
    const browser = createBrowser();
    const page = await browser.open(link.url);
    expect(page.text).toContain('Auth token');
    const empty = await page.submit();
    expect([empty.status, empty.text]).toEqual([400, expect.stringContaining('A value is needed.')]);
    const secret = scene.providers.phonegap.authTokenOf('ada');
    const done = await empty.submit({ auth_token: secret });
    expect([done.status, done.title]).toEqual([200, 'Sandbox PhoneGap Build is connected to Default project']);
    const connection = await scene.connectionOf(link);
    expect(await scene.root.call('GET', `/v1/connections/${connection}`)).toMatchObject({ account: 'ada' });
    expect(JSON.stringify(await scene.root.call('GET', `/v1/connections/${connection}`))).not.toContain(secret);
  });

  test('a wrong one is refused, and may be corrected', async () => {
    const link = await scene.linkTo('auth-token');
    const again = await (await createBrowser().open(link.url)).submit({ auth_token: 'nonsense' });
    expect(again.status).toBe(400);
    expect(again.text).toContain('does not accept this');
    expect(again.html).not.toContain('nonsense');
    expect(await scene.stateOf(link)).toMatchObject({ status: 'opened', connection_id: null });
    const done = await again.submit({ auth_token: scene.providers.phonegap.authTokenOf('ada') });
    expect(done.title).toContain('is connected');
    await scene.connectionOf(link);
  });

  test('one that the integrator knows is exchanged without a browser', async () => {
    const inputs = { auth_token: scene.providers.phonegap.authTokenOf('ada') };
    expect(
      await scene.root.call('POST', '/v1/connections', {
        body: { integration: 'auth-token', end_user: { id: 'u1' }, grant: 'credential_exchange', inputs },
      }),
    ).toMatchObject({ account: 'ada', status: 'active' });
  });
});

// The last one: that provider knows one redirect URI at a time.
test('a definition that is moved while the end user is asked: what was obtained is not lost', async () => {
  const { phonegap } = scene.providers;
  const define = (definition: string) => scene.define(JSON.stringify({ ...JSON.parse(definition), id: 'moving' }));
  await define(phonegap.definition);
  await scene.integrate(phonegap, { id: 'moving', provider: 'moving' });
  const { callback, browser, link } = await scene.untilCallback('moving');
  const asked = await browser.open(callback.href);
  await define(phonegap.definition.replaceAll(phonegap.url, 'http://127.0.0.1:9'));
  const done = await asked.submit({}, 'confirm');
  expect(done.status).toBe(200);
  await scene.connectionOf(link);
});
