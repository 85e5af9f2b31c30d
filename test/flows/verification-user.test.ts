import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { GrantryClient } from '../../src/client/client.ts';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { problemOf } from '../harness/broker.ts';
import { exchanges, type Link, type Scene, startScene } from './scene.ts';

/** verification "user": nothing is exchanged before the integrator's server has said who is signed in. */

let scene: Scene;
let integrator: GrantryClient;
const returnUrl = 'https://app.example/connected?tenant=7';
beforeAll(async () => {
  scene = await startScene();
  const as = scene.providers.authorizationServer;
  await scene.define(as.definition);
  await scene.root.call('PATCH', '/v1/projects/default', { body: { return_urls: [returnUrl] } });
  await scene.root.call('POST', '/v1/projects', { body: { id: 'other', name: 'Other' } });
  await scene.integrate(as, { id: 'as', provider: 'sandbox-as', verification: 'user' });
  await scene.integrate(as, { id: 'lax', provider: 'sandbox-as' });
  integrator = await scene.clientWith(['connect']);
});
afterAll(() => scene?.stop());
beforeEach(() => {
  scene.providers.authorizationServer.switches.autoApprove = { user: 'ada' };
});

const confirm = (link: Link, nonce: string, end_user_id = 'u1', client = integrator) =>
  client.call('POST', `/v1/connect-links/${link.id}/confirm`, { body: { nonce, end_user_id } });

/** A flow up to the integrator's return URL. */
async function untilNonce() {
  const { callback, browser, link } = await scene.untilCallback('as', { return_url: returnUrl });
  const before = exchanges(scene);
  const { status, location } = await scene.visit(callback, browser);
  expect(status).toBe(303);
  const at = new URL(location);
  return { link, browser, callback, at, nonce: at.searchParams.get('nonce') ?? '', calls: () => exchanges(scene) - before };
}

test('the nonce goes to the registered URL and nowhere else; confirm exchanges', async () => {
  const { link, at, nonce, calls, browser, callback } = await untilNonce();
  expect(at.href.startsWith(`${returnUrl}&`)).toBe(true);
  expect([...at.searchParams.keys()]).toEqual(['tenant', 'connect_link', 'nonce']);
  expect(nonce).toMatch(/^[\w-]{43}$/);
  expect([(await scene.stateOf(link)).status, calls()]).toEqual(['confirming', 0]);
  for (const page of [link.url, `${scene.url}/connect/result/${link.id}`, callback.href]) {
    const { body, location } = await scene.visit(page, browser);
    expect(body + location).not.toContain(nonce);
  }
  const [row] = await scene.sql<{ text: string }>('select t::text as text from connect_links t where id = $1', [link.id]);
  expect(row?.text).not.toContain(nonce);

  expect(await confirm(link, nonce)).toMatchObject({ id: link.id, status: 'connected' });
  expect(calls()).toBe(1);
  await scene.connectionOf(link);
});

test('another end user: 403, nothing is exchanged, and the nonce is spent', async () => {
  const { link, nonce, calls } = await untilNonce();
  const problem = await problemOf(confirm(link, nonce, 'u2'));
  expect([problem.status, problem.code]).toEqual([403, 'wrong_user']);
  await scene.expectFailed(link, 'wrong_user');
  expect((await problemOf(confirm(link, nonce))).status).toBe(409);
  expect(calls()).toBe(0);
});

test.each(['U1', 'u1 ', ' u1', 'u1\u200b', 'u'])('the end user id is compared letter by letter: "%s"', async (id) => {
  const { link, nonce, calls } = await untilNonce();
  expect((await problemOf(confirm(link, nonce, id))).code).toBe('wrong_user');
  expect(calls()).toBe(0);
});

test('a nonce serves once: 20 confirms at the same time make one exchange', async () => {
  const { link, nonce, calls } = await untilNonce();
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => confirm(link, nonce)));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(calls()).toBe(1);
  expect((await problemOf(confirm(link, nonce))).status).toBe(409);
  await scene.connectionOf(link);
});

test('an expired nonce', async () => {
  const { link, nonce, calls } = await untilNonce();
  await scene.sql(`update connect_links set nonce_expires_at = now() - interval '1 second' where id = $1`, [link.id]);
  const problem = await problemOf(confirm(link, nonce));
  expect([problem.status, problem.code]).toEqual([410, 'link_expired']);
  expect(await scene.stateOf(link)).toMatchObject({ status: 'expired', error: { code: 'link_expired' } });
  expect(calls()).toBe(0);
});

test('a nonce lives a minute', async () => {
  const { link } = await untilNonce();
  const [row] = await scene.sql<{ seconds: string }>(
    'select extract(epoch from nonce_expires_at - now()) as seconds from connect_links where id = $1',
    [link.id],
  );
  expect(Number(row?.seconds)).toBeGreaterThan(0);
  expect(Number(row?.seconds)).toBeLessThanOrEqual(60);
});

test('the nonce of another link, one made up, an empty one, and a key of another project', async () => {
  const [first, second] = [await untilNonce(), await untilNonce()];
  for (const nonce of [second.nonce, 'A'.repeat(43), 'x', first.nonce.toLowerCase()])
    expect((await problemOf(confirm(first.link, nonce))).status).toBe(409);
  expect((await problemOf(confirm(first.link, ''))).status).toBe(400);
  const foreign = await problemOf(confirm(first.link, first.nonce, 'u1', await scene.clientWith(['connect'], 'other')));
  const missing = await problemOf(confirm({ id: 'lnk_00000000000000000000000000', url: '' }, first.nonce));
  expect([foreign.status, missing.status]).toEqual([404, 404]);
  expect({ ...foreign.problem, request_id: '' }).toEqual({ ...missing.problem, request_id: '' });
  expect((await problemOf(confirm(first.link, first.nonce, 'u1', await scene.clientWith(['tokens'])))).status).toBe(403);
  expect([first.calls(), second.calls()]).toEqual([0, 0]);
  await confirm(first.link, first.nonce);
  await scene.connectionOf(first.link);
});

test('a link that nobody has authorized cannot be confirmed', async () => {
  const link = await scene.linkTo('as', { return_url: returnUrl });
  expect((await problemOf(confirm(link, 'A'.repeat(43)))).status).toBe(409);
});

test("session fixation: the victim authorizes the attacker's link in her own browser, and is told apart", async () => {
  // The attacker has the link made for himself and sends it to the victim, who approves all of it.
  const link = await scene.linkTo('as', { end_user: { id: 'attacker' }, return_url: returnUrl });
  const victim = createBrowser();
  const callback = await scene.approve(await scene.begin(link, victim), victim, { user: 'victim' });
  const nonce = new URL((await scene.visit(callback, victim)).location).searchParams.get('nonce') ?? '';
  const before = exchanges(scene);
  expect((await problemOf(confirm(link, nonce, 'victim'))).code).toBe('wrong_user');
  expect(exchanges(scene)).toBe(before);
  expect(await scene.connections()).not.toContainEqual(expect.objectContaining({ account: 'victim' }));
});

test('denied: the integrator is told without a nonce', async () => {
  const link = await scene.linkTo('as', { return_url: returnUrl });
  const browser = createBrowser();
  scene.providers.authorizationServer.switches.autoApprove = null;
  const callback = await scene.approve(await scene.begin(link, browser), browser, { button: 'Deny' });
  expect((await scene.visit(callback, browser)).location).toBe(`${returnUrl}&connect_link=${link.id}&status=failed&error=access_denied`);
});

test('the exchange fails at confirm: the caller is told why, once', async () => {
  const { link, nonce, calls } = await untilNonce();
  scene.providers.authorizationServer.switches.fault = { kind: 'refuse', error: 'invalid_grant', status: 400, times: 1 };
  expect((await problemOf(confirm(link, nonce))).code).toBe('exchange_failed');
  expect(calls()).toBe(1);
  await scene.expectFailed(link, 'exchange_failed');
});

describe('the page left out', () => {
  test('goes to the provider at once, in the browser that opened it', async () => {
    const link = await scene.linkTo('as', { return_url: returnUrl, skip_page: true });
    const browser = createBrowser();
    const { status, location, cookies } = await scene.visit(link.url);
    expect([status, new URL(location).origin]).toEqual([303, scene.providers.authorizationServer.url]);
    await browser.cookies.keep(link.url, cookies);
    const nonce = new URL((await scene.visit(await scene.approve(location, browser), browser)).location).searchParams.get('nonce') ?? '';
    await confirm(link, nonce);
    await scene.connectionOf(link);
  });

  test.each<[string, HeadersInit | undefined, string]>([
    ['a HEAD', undefined, 'HEAD'],
    ['a prefetch', { 'sec-purpose': 'prefetch' }, 'GET'],
  ])('%s begins nothing', async (_, headers, method) => {
    const link = await scene.linkTo('as', { return_url: returnUrl, skip_page: true });
    const before = await scene.database();
    const { status, location, cookies } = await scene.visit(link.url, undefined, { method, ...(headers && { headers }) });
    expect([status, location, cookies]).toEqual([204, '', []]);
    expect(await scene.database()).toEqual(before);
  });

  test.each([
    ['without verification "user"', 'lax', { return_url: returnUrl, skip_page: true }, '/skip_page'],
    ['verification "user" without a return URL', 'as', {}, '/return_url'],
    ['verification "browser" where the integration wants "user"', 'as', { return_url: returnUrl, verification: 'browser' }, '/verification'],
  ])('%s is refused', async (_, integration, fields, pointer) => {
    const problem = await problemOf(scene.linkTo(integration, fields));
    expect([problem.status, problem.problem.errors]).toEqual([400, [expect.objectContaining({ pointer })]]);
  });
});
