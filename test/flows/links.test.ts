import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { exchanges, type Scene, startScene } from './scene.ts';

let scene: Scene;
const authorizationServer = () => scene.providers.authorizationServer;
const calls = () => scene.providers.nexmo.counters.request_token + authorizationServer().counters.authorize;
beforeAll(async () => {
  scene = await startScene();
  const { authorizationServer: as, nexmo } = scene.providers;
  await scene.define(as.definition);
  await scene.define(nexmo.definitionWithCallback);
  await scene.integrate(as, { id: 'as', provider: 'sandbox-as' });
  await scene.integrate(nexmo, { id: 'oauth1', provider: 'sandbox-oauth1' });
});
afterAll(() => scene?.stop());
afterEach(() => {
  scene.providers.nexmo.switches.fault = { kind: 'none' };
});

const form = (body: string): RequestInit => ({ method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body });
const csrfOf = (html: string) => /name="csrf-token" value="([^"]+)"/.exec(html)?.[1] ?? '';

test('opening a link begins nothing, however often and wherever', async () => {
  const link = await scene.linkTo('oauth1');
  const browser = createBrowser();
  const before = calls();
  await browser.open(link.url);
  const opened = await scene.database();
  for (const visitor of [browser, createBrowser(), createBrowser()]) {
    const page = await visitor.open(link.url);
    expect([page.status, page.url]).toEqual([200, link.url]);
  }
  expect(await scene.database()).toEqual(opened);
  expect([calls(), (await scene.stateOf(link)).status]).toEqual([before, 'opened']);
});

test("whoever goes on first has the link; a second browser starts nothing, with its own page or with the first one's form", async () => {
  const link = await scene.linkTo('oauth1');
  const [first, second] = [createBrowser(), createBrowser()];
  const page = await first.open(link.url);
  const other = await second.open(link.url);
  await scene.begin(link, first);
  const [before, database] = [calls(), await scene.database()];
  const answers = [await other.submit(), await second.open(link.url), await createBrowser().open(link.url)];
  for (const { status, text } of answers) expect([status, text]).toEqual([400, expect.stringContaining('This link is open in another browser')]);
  expect((await scene.visit(link.url, second, form(`csrf-token=${csrfOf(page.html)}`))).status).toBe(400);
  expect((await scene.visit(link.url, undefined, form(`csrf-token=${csrfOf(page.html)}`))).status).toBe(400);
  expect([calls(), await scene.database()]).toEqual([before, database]);
});

test('a browser that looked before the other one began, and begins after it, does not get the link', async () => {
  const link = await scene.linkTo('as');
  const { links } = scene.broker.world.store;
  const hash = () => randomBytes(32);
  const first = hash();
  expect(await links.begin(link.id, first, hash(), 600)).toMatchObject({ attempt: 1 });
  expect(await links.begin(link.id, hash(), hash(), 600)).toBeUndefined();
  expect(await links.begin(link.id, first, hash(), 600)).toMatchObject({ attempt: 2 });
});

test('a link whose time is over while its state lives has expired, for the browser that began too', async () => {
  const link = await scene.linkTo('as');
  const browser = createBrowser();
  const page = await browser.open(link.url);
  await scene.begin(link, browser);
  await scene.sql(`update connect_links set expires_at = now() - interval '1 second' where id = $1`, [link.id]);
  const answer = await page.submit();
  expect(answer.text).toContain('link_expired');
  expect(answer.text).not.toContain('another browser');
});

test('two browsers press at the same moment: one of them goes on', async () => {
  const link = await scene.linkTo('as');
  const pages = await Promise.all(Array.from({ length: 8 }, () => createBrowser().open(link.url)));
  const answers = await Promise.all(pages.map((page) => page.submit({}, undefined, { stopBefore: 'http://127.0.0.1' })));
  expect(answers.filter(({ location }) => location !== undefined)).toHaveLength(1);
  expect(answers.filter(({ status }) => status === 400)).toHaveLength(7);
});

describe('the form', () => {
  const bodies: [string, (own: string) => string][] = [
    ['no token', () => ''],
    ['an empty token', () => 'csrf-token='],
    ['a made-up token', () => `csrf-token=${'A'.repeat(43)}`],
    ['a shorter token', (own) => `csrf-token=${own.slice(0, -1)}`],
    ['a longer token', (own) => `csrf-token=${own}A`],
    ['the token and then another', (own) => `csrf-token=${own}&csrf-token=x`],
    ['the token under another name', (own) => `csrf=${own}`],
  ];
  test.each(bodies)('%s: 403, nothing begins', async (_, body) => {
    const link = await scene.linkTo('oauth1');
    const browser = createBrowser();
    const page = await browser.open(link.url);
    const [before, database] = [calls(), await scene.database()];
    const answer = await scene.visit(link.url, browser, form(body(csrfOf(page.html))));
    expect([answer.status, answer.location]).toEqual([403, '']);
    expect([calls(), await scene.database()]).toEqual([before, database]);
  });

  test('the token of another link in the same browser, and of the same link in another browser', async () => {
    const [link, other] = [await scene.linkTo('oauth1'), await scene.linkTo('oauth1')];
    const browser = createBrowser();
    await browser.open(link.url);
    const tokens = [csrfOf((await browser.open(other.url)).html), csrfOf((await createBrowser().open(link.url)).html)];
    for (const token of tokens) expect((await scene.visit(link.url, browser, form(`csrf-token=${token}`))).status).toBe(403);
  });

  test('as JSON, as plain text, or too large: nothing begins', async () => {
    const link = await scene.linkTo('oauth1');
    const browser = createBrowser();
    const token = csrfOf((await browser.open(link.url)).html);
    const before = await scene.database();
    for (const [type, body] of [
      ['application/json', JSON.stringify({ 'csrf-token': token })],
      ['text/plain', `csrf-token=${token}`],
      ['multipart/form-data; boundary=x', `--x\r\ncontent-disposition: form-data; name="csrf-token"\r\n\r\n${token}\r\n--x--`],
      ['application/x-www-form-urlencoded', `csrf-token=${token}&x=${'A'.repeat(70_000)}`],
      ['application/x-www-form-urlencoded', `csrf-token=${token}${'&x=1'.repeat(200)}`],
    ] as const) {
      const { status } = await scene.visit(link.url, browser, { method: 'POST', headers: { 'content-type': type }, body });
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
    }
    expect(await scene.database()).toEqual(before);
  });
});

describe('a link that is over', () => {
  test('expired before it was opened', async () => {
    const link = await scene.linkTo('as');
    await scene.sql(`update connect_links set expires_at = now() - interval '1 second' where id = $1`, [link.id]);
    expect(await scene.stateOf(link)).toMatchObject({ status: 'expired', error: { code: 'link_expired' } });
    const page = await createBrowser().open(link.url);
    expect([page.status, page.text]).toEqual([410, expect.stringContaining('This link has expired')]);
    expect(await scene.row(link)).toMatchObject({ status: 'expired', error_code: 'link_expired' });
  });

  test('expired with its page open', async () => {
    const link = await scene.linkTo('as');
    const page = await createBrowser().open(link.url);
    await scene.sql(`update connect_links set expires_at = now() - interval '1 second' where id = $1`, [link.id]);
    const before = calls();
    expect((await page.submit()).status).toBe(410);
    expect(calls()).toBe(before);
  });

  test('expired while the end user was at the provider: her answer still counts', async () => {
    const { link, browser, callback } = await scene.untilCallback('as');
    await scene.sql(`update connect_links set expires_at = now() - interval '1 second' where id = $1`, [link.id]);
    await scene.visit(callback, browser);
    await scene.connectionOf(link);
  });

  test('used: neither its own browser nor another begins again', async () => {
    const { link, browser, callback } = await scene.untilCallback('as');
    const page = await scene.visit(link.url, browser);
    await scene.visit(callback, browser);
    const [before, database] = [calls(), await scene.database()];
    const again = await browser.open(link.url);
    expect([again.status, again.text]).toEqual([410, expect.stringContaining('This link was used before')]);
    expect((await scene.visit(link.url, browser, form(`csrf-token=${csrfOf(page.body)}`))).status).toBe(410);
    expect((await createBrowser().open(link.url)).status).toBe(400);
    expect([calls(), await scene.database()]).toEqual([before, database]);
  });

  test.each([
    '/connect/',
    `/connect/${'A'.repeat(43)}`,
    '/connect/x',
    '/connect/%00',
    '/connect/%ff',
    `/connect/${'A'.repeat(5_000)}`,
    '/connect/result/x',
    '/connect/result/__proto__',
  ])('%s is no page', async (path) => {
    const before = await scene.database();
    const answer = await scene.visit(`${scene.url}${path}`);
    expect([400, 404]).toContain(answer.status);
    expect(answer.headers.get('content-type')).toContain('text/html');
    expect(await scene.database()).toEqual(before);
  });
});

test('begun again in the same browser: the state before is void', async () => {
  const link = await scene.linkTo('as');
  const browser = createBrowser();
  const first = await scene.approve(await scene.begin(link, browser), browser);
  const second = await scene.approve(await scene.begin(link, browser), browser);
  const [before, database] = [exchanges(scene), await scene.database()];
  expect((await scene.visit(first, browser)).status).toBe(400);
  expect([exchanges(scene), await scene.database()]).toEqual([before, database]);
  await scene.visit(second, browser);
  await scene.connectionOf(link);
  expect(exchanges(scene)).toBe(before + 1);
});

test.each([{ kind: 'down' } as const, { kind: 'error_500' } as const, { kind: 'garbage' } as const, { kind: 'drop' } as const])(
  'the provider fails when the flow begins (%o): try again works',
  async (fault) => {
    const link = await scene.linkTo('oauth1');
    const browser = createBrowser();
    const page = await browser.open(link.url);
    scene.providers.nexmo.switches.fault = fault;
    const failed = await page.submit();
    expect([failed.status, failed.title]).toEqual([502, 'Sandbox OAuth 1.0a has a problem']);
    expect((await scene.stateOf(link)).status).toBe('opened');
    expect((await createBrowser().open(link.url)).status).toBe(400);
    scene.providers.nexmo.switches.fault = { kind: 'none' };
    const again = await failed.follow('Try again');
    expect([again.status, again.url]).toEqual([200, link.url]);
    await scene.visit(await scene.approve(await scene.begin(link, browser), browser), browser);
    await scene.connectionOf(link);
  },
);
