import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { changed, exchanges, type Scene, startScene } from './scene.ts';

/** Which flow an answer is for: the state, the browser, and the callback that it arrives at. */

let scene: Scene;
beforeAll(async () => {
  scene = await startScene();
  const as = scene.providers.authorizationServer;
  as.switches.autoApprove = { user: 'ada' };
  await scene.define(as.definition);
  await scene.integrate(as, { id: 'own', provider: 'sandbox-as' });
  await scene.integrate(as, { id: 'shared', provider: scene.ship(as.definition, 'shipped-as') });
});
afterAll(() => scene?.stop());

/** `what` happens; nothing is changed in the database and nothing sent to the provider. */
async function expectNoEffect(what: () => Promise<void>): Promise<void> {
  const [database, calls] = [await scene.database(), exchanges(scene)];
  await what();
  expect(await scene.database()).toEqual(database);
  expect(exchanges(scene)).toBe(calls);
}

const other = (letter: string) => (letter === 'A' ? 'B' : 'A');
const flip = (text: string) => [...text].map((c) => (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase())).join('');

/** A query that is no longer the one that the provider sent. */
const strange: [string, (callback: URL, state: string) => string][] = [
  ['an unknown state', ({ search }, state) => search.replace(state, 'A'.repeat(43))],
  ['a state with another first letter', ({ search }, state) => search.replace(state, other(state.charAt(0)) + state.slice(1))],
  ['a truncated state', ({ search }, state) => search.replace(state, state.slice(0, -1))],
  ['a longer state', ({ search }, state) => search.replace(state, `${state}A`)],
  ['a state in the other case', ({ search }, state) => search.replace(state, flip(state))],
  ['a state encoded twice', ({ search }, state) => search.replace(state, [...state].map((c) => `%25${c.charCodeAt(0).toString(16)}`).join(''))],
  ['a state with white space', ({ search }, state) => search.replace(state, `${state}%20`)],
  ['a state with a line end', ({ search }, state) => search.replace(state, `${state}%0a`)],
  ['a state with NUL', ({ search }, state) => search.replace(state, `${state}%00`)],
  [
    'a state in full-width letters',
    ({ search }, state) => search.replace(state, [...state].map((c) => encodeURIComponent(String.fromCharCode(c.charCodeAt(0) + 0xfee0))).join('')),
  ],
  ['a state of 8.3 kB', ({ search }, state) => search.replace(state, 'A'.repeat(8_300))],
  ['an empty state', ({ search }, state) => search.replace(state, '')],
  ['no state', ({ searchParams }) => `?code=${searchParams.get('code')}&iss=${searchParams.get('iss')}`],
  ['two states, the right one first', ({ search }) => `${search}&state=${'A'.repeat(43)}`],
  ['two states, the right one last', ({ search }) => `?state=${'A'.repeat(43)}&${search.slice(1)}`],
  ['the right state twice', ({ search }, state) => `${search}&state=${state}`],
  ['state[x]', ({ search }, state) => search.replace(`state=${state}`, `state[x]=${state}`)],
  ['state[]', ({ search }, state) => search.replace(`state=${state}`, `state[]=${state}`)],
  ['State', ({ search }, state) => search.replace(`state=${state}`, `State=${state}`)],
  ['broken percent encoding', ({ search }, state) => search.replace(state, `%${state}`)],
  ['an error with an unknown state', () => `?error=access_denied&state=${'A'.repeat(43)}`],
  ['an error without a state', () => '?error=access_denied'],
  ['nothing', () => ''],
  ['1,000 parameters', ({ search }) => `${search}${'&a=1'.repeat(1_000)}`],
];

describe.each(['shared', 'own'])('on the %s callback', (integration) => {
  test.each(strange)('%s: 400, no effect; the true answer still connects', async (_, query) => {
    const { callback, browser, link } = await scene.untilCallback(integration);
    const state = callback.searchParams.get('state') ?? '';
    const target = `${callback.origin}${callback.pathname}${query(callback, state)}`;
    await expectNoEffect(async () => {
      const answer = await scene.visit(target, browser);
      expect([answer.status, answer.location, answer.cookies]).toEqual([400, '', []]);
      expect(answer.body).toContain('We were not waiting for this');
      expect(answer.body).not.toContain(state);
    });
    await scene.visit(callback, browser);
    await scene.connectionOf(link);
  });
});

test('16 kB of query: refused before we read it', async () => {
  const { callback, browser } = await scene.untilCallback('own');
  await expectNoEffect(async () => expect((await scene.visit(`${callback.href}&x=${'A'.repeat(17_000)}`, browser)).status).toBe(431));
});

test.each(['HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('%s has no effect', async (method) => {
  const { callback, browser, link } = await scene.untilCallback('own');
  await expectNoEffect(async () => expect((await scene.visit(callback, browser, { method })).status).not.toBe(303));
  await scene.visit(callback, browser);
  await scene.connectionOf(link);
});

test.each([{ 'sec-purpose': 'prefetch;prerender' }, { purpose: 'prefetch' }])('a prefetch has no effect: %o', async (headers) => {
  const { callback, browser } = await scene.untilCallback('own');
  await expectNoEffect(async () => expect((await scene.visit(callback, browser, { headers })).status).toBe(204));
});

test('form_post: the parameters go through a GET of ours, where the cookie comes along', async () => {
  const { callback, browser, link } = await scene.untilCallback('own');
  const post = (body: string) =>
    scene.visit(callback.origin + callback.pathname, undefined, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body,
    });
  await expectNoEffect(async () => {
    const answer = await post(callback.search.slice(1));
    expect([answer.status, answer.location]).toEqual([303, callback.href]);
    for (const body of ['', 'code=1', `state=${'A'.repeat(9_000)}`]) expect((await post(body)).status).toBe(400);
    expect(
      (await scene.visit(callback, undefined, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"state":"x"}' })).status,
    ).toBe(400);
  });
  await scene.visit(callback, browser);
  await scene.connectionOf(link);
});

describe('form_post beside a query', () => {
  const stranger = 'A'.repeat(43);
  test.each<[string, (honest: URLSearchParams) => { query: string; body: string }]>([
    ['another state in the query', (honest) => ({ query: `state=${stranger}`, body: honest.toString() })],
    ['another state in the body', (honest) => ({ query: `state=${honest.get('state')}`, body: `code=${honest.get('code')}&state=${stranger}` })],
    ['another code in the query', (honest) => ({ query: 'code=stolen', body: honest.toString() })],
    ['another code in the body', (honest) => ({ query: honest.toString(), body: `code=stolen&state=${honest.get('state')}` })],
    ['the code in the query, the state in the body', (honest) => ({ query: `code=${honest.get('code')}`, body: `state=${honest.get('state')}` })],
  ])('%s: 400, no effect; the true answer still connects', async (_, split) => {
    const { callback, browser, link } = await scene.untilCallback('own');
    const { query, body } = split(callback.searchParams);
    await expectNoEffect(async () => {
      const form = { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body };
      // With and without the cookie: a browser sends it to a page of the same site.
      for (const sender of [undefined, browser]) {
        const answer = await scene.visit(`${callback.origin}${callback.pathname}?${query}`, sender, form);
        expect([answer.status, answer.location]).toEqual([400, '']);
      }
    });
    await scene.visit(callback, browser);
    await scene.connectionOf(link);
  });
});

test('the same callback again: 400, no effect', async () => {
  const { callback, browser } = await scene.untilCallback('own');
  expect((await scene.visit(callback, browser)).status).toBe(303);
  await expectNoEffect(async () => expect((await scene.visit(callback, browser)).status).toBe(400));
});

test('50 times at once: one exchange, one connection', async () => {
  const { callback, browser, link } = await scene.untilCallback('own');
  const before = [exchanges(scene), (await scene.connections()).length] as const;
  const answers = await Promise.all(Array.from({ length: 50 }, () => scene.visit(callback, browser)));
  expect(answers.map(({ status }) => status).sort()).toEqual([303, ...Array.from({ length: 49 }, () => 400)]);
  expect([exchanges(scene), (await scene.connections()).length]).toEqual([before[0] + 1, before[1] + 1]);
  await scene.connectionOf(link);
});

test('a state that has waited too long', async () => {
  const { callback, browser, link } = await scene.untilCallback('own');
  await scene.sql(`update connect_links set state_expires_at = now() - interval '1 second' where id = $1`, [link.id]);
  await expectNoEffect(async () => expect((await scene.visit(callback, browser)).status).toBe(400));
});

describe('in another browser', () => {
  test.each([
    ['without a cookie', async () => undefined],
    [
      'with a cookie of its own',
      async () => {
        const browser = createBrowser();
        await browser.open((await scene.linkTo('own')).url);
        return browser;
      },
    ],
  ])('%s: the flow ends as wrong_browser, nothing is exchanged', async (_, make) => {
    const { callback, browser, link } = await scene.untilCallback('own', { return_url: 'http://localhost:1/done' });
    const stranger = await make();
    const before = exchanges(scene);
    const answer = await scene.visit(callback, stranger);
    expect([answer.status, answer.location]).toEqual([400, '']);
    await scene.expectFailed(link, 'wrong_browser');
    expect((await scene.visit(callback, browser)).status).toBe(400);
    expect(exchanges(scene)).toBe(before);
    expect((await scene.visit(`${scene.url}/connect/result/${link.id}`, stranger)).status).toBe(404);
  });

  test('two flow cookies are none', async () => {
    const { callback, browser, link } = await scene.untilCallback('own');
    const cookie = await browser.cookies.headerFor(callback.href, 'lax');
    expect((await scene.visit(callback, undefined, { headers: { cookie: `${cookie}; grantry=${'A'.repeat(43)}` } })).status).toBe(400);
    await scene.expectFailed(link, 'wrong_browser');
  });

  test('the authorize URL copied there: her answer connects nobody', async () => {
    const link = await scene.linkTo('own');
    const authorizeUrl = await scene.begin(link, createBrowser());
    const victim = createBrowser();
    const before = exchanges(scene);
    expect((await scene.visit(await scene.approve(authorizeUrl, victim, { user: 'victim' }), victim)).status).toBe(400);
    await scene.expectFailed(link, 'wrong_browser');
    expect(exchanges(scene)).toBe(before);
  });
});

describe('at another callback', () => {
  test.each([
    ['own', () => '/oauth/callback'],
    ['shared', (context: string) => context],
    ['own', (context: string) => context.replace(/.$/, (letter) => other(letter))],
    ['own', (context: string) => context.replace(/.$/, (letter) => `%${letter.charCodeAt(0).toString(16)}`)],
  ])('a flow of the %s one (%s): redirect_mismatch, nothing is exchanged', async (integration, path) => {
    const { callback, browser, link } = await scene.untilCallback(integration, { return_url: 'http://localhost:1/done' });
    const { redirect_uri } = await scene.root.call<{ redirect_uri: string }>('GET', '/v1/integrations/own');
    const before = exchanges(scene);
    const answer = await scene.visit(`${scene.url}${path(new URL(redirect_uri).pathname)}${callback.search}`, browser);
    expect([answer.status, answer.location]).toEqual([400, '']);
    await scene.expectFailed(link, 'redirect_mismatch');
    expect((await scene.visit(callback, browser)).status).toBe(400);
    expect(exchanges(scene)).toBe(before);
  });

  test.each(['/oauth/callback/', '/OAuth/callback', '/oauth/callback/a/b', '/oauth//callback'])('%s is no callback', async (path) => {
    const { callback, browser, link } = await scene.untilCallback('shared');
    await expectNoEffect(async () => expect((await scene.visit(`${scene.url}${path}${callback.search}`, browser)).status).toBe(404));
    await scene.visit(
      changed(callback, () => {}),
      browser,
    );
    await scene.connectionOf(link);
  });

  test('the Host header does not decide where an answer arrived', async () => {
    const { callback, browser, link } = await scene.untilCallback('own');
    await scene.visit(callback, browser, { headers: { 'x-forwarded-host': 'evil.example' } });
    await scene.connectionOf(link);
  });
});

test('only hashes of states are stored, and verifiers sealed', async () => {
  const { callback, link } = await scene.untilCallback('own');
  const state = callback.searchParams.get('state') ?? '';
  const [row] = await scene.sql<{ text: string }>('select t::text as text from connect_links t where id = $1', [link.id]);
  const token = link.url.split('/').at(-1) ?? '';
  for (const secret of [state, token]) {
    expect(row?.text).not.toContain(secret);
    expect(row?.text).not.toContain(Buffer.from(secret).toString('hex'));
    expect(row?.text).not.toContain(Buffer.from(secret, 'base64url').toString('hex'));
  }
  expect(row?.text).not.toContain('codeVerifier');
});
