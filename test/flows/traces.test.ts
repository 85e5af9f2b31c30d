import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import express from 'express';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBrowser } from '../../src/sandbox/browser.ts';
import { flowCookieName, readFlowCookie, setFlowCookie } from '../../src/web/cookies.ts';
import { type Answer, type Scene, startScene } from './scene.ts';

/** What a flow leaves behind: headers and cookies in the browser, lines in the log, rows in the database. */

let scene: Scene;
const returnUrl = 'http://localhost:1/done';
beforeAll(async () => {
  scene = await startScene();
  const { authorizationServer: as, phonegap, nexmo } = scene.providers;
  await scene.define(as.definition);
  await scene.define(phonegap.definition);
  await scene.define(nexmo.definition);
  await scene.define(nexmo.definitionWithCallback);
  await scene.integrate(as, { id: 'as', provider: 'sandbox-as' });
  await scene.integrate(phonegap, { id: 'phonegap', provider: 'sandbox-phonegap' });
  await scene.integrate({ ...phonegap, registerRedirectUri: () => {} }, { id: 'auth-token', provider: 'sandbox-phonegap', method: 'auth_token' });
  await scene.integrate(nexmo, { id: 'nexmo', provider: 'sandbox-nexmo' });
  await scene.integrate(nexmo, { id: 'oauth1', provider: 'sandbox-oauth1' });
});
afterAll(() => scene?.stop());

const form = (body: string): RequestInit => ({ method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body });
const csrfOf = (html: string) => /name="csrf-token" value="([^"]+)"/.exec(html)?.[1] ?? '';

/** Every answer of the broker that a browser can see, by what it is. */
async function everyAnswer(): Promise<Record<string, Answer>> {
  const link = await scene.linkTo('as', { return_url: returnUrl });
  const browser = createBrowser();
  const page = await scene.visit(link.url);
  await browser.cookies.keep(link.url, page.cookies);
  const started = await scene.visit(link.url, browser, form(`csrf-token=${csrfOf(page.body)}`));
  const callback = await scene.approve(started.location, browser);
  const oob = await scene.linkTo('nexmo');
  const oobPage = await scene.visit(oob.url, browser);
  const oobStarted = await scene.visit(oob.url, browser, form(`csrf-token=${csrfOf(oobPage.body)}`));
  const asking = await scene.untilCallback('phonegap');
  const asked = await scene.visit(asking.callback, asking.browser);
  return {
    'connect page': page,
    'stale form': await scene.visit(link.url, browser, form('csrf-token=x')),
    'to the provider': started,
    'in another browser': await scene.visit(link.url, createBrowser()),
    'posted callback': await scene.visit(callback.origin + callback.pathname, undefined, form(callback.search.slice(1))),
    'to the return URL': await scene.visit(callback, browser),
    'callback again': await scene.visit(callback, browser),
    'used link': await scene.visit(link.url, browser),
    result: await scene.visit(`${scene.url}/connect/result/${link.id}`, browser),
    'out of band, begun': oobStarted,
    'out of band': await scene.visit(oobStarted.location, browser),
    'to the question': asked,
    question: await scene.visit(asked.location, asking.browser),
    'no such link': await scene.visit(`${scene.url}/connect/x`),
    'no such page': await scene.visit(`${scene.url}/oauth/x`),
    'bad address': await scene.visit(`${scene.url}/connect/%ff`),
    'too large': await scene.visit(link.url, browser, form('x'.repeat(70_000))),
  };
}

test('every page and redirect: never stored, no referrer, never framed; redirects are 303; cookies are HttpOnly and Lax', async () => {
  const answers = await everyAnswer();
  const redirects = Object.entries(answers).filter(([, { location }]) => location !== '');
  expect(redirects.map(([name]) => name)).toEqual([
    'to the provider',
    'posted callback',
    'to the return URL',
    'out of band, begun',
    'to the question',
  ]);
  for (const [name, { status, location, headers, cookies, body }] of Object.entries(answers)) {
    const seen = Object.fromEntries(
      ['cache-control', 'referrer-policy', 'x-content-type-options', 'x-frame-options'].map((header) => [header, headers.get(header)]),
    );
    expect({ name, ...seen }).toMatchObject({
      name,
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    });
    expect(headers.get('x-powered-by')).toBeNull();
    if (location !== '') expect([name, status, body]).toEqual([name, 303, '']);
    else {
      expect([name, headers.get('x-frame-options')]).toEqual([name, 'DENY']);
      expect(headers.get('content-security-policy')).toMatch(
        /^default-src 'none'; style-src 'self'; form-action 'self'( https: http:)?; frame-ancestors 'none'; base-uri 'none'$/,
      );
      expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
    }
    for (const cookie of cookies) expect(cookie).toMatch(/^grantry=[\w-]{43}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax$/);
  }
  expect(
    Object.entries(answers)
      .filter(([, { cookies }]) => cookies.length > 0)
      .map(([name]) => name),
  ).toEqual(['connect page', 'to the provider', 'out of band, begun']);
});

describe('the flow cookie', () => {
  const over = async (publicUrl: string): Promise<string> => {
    const app = express();
    app.get('/', (_req, res) => {
      setFlowCookie(res, publicUrl, 'v'.repeat(43));
      res.end();
    });
    const server = app.listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    const response = await fetch(`http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/`);
    server.close();
    return response.headers.getSetCookie().join('\n');
  };
  const sent = (cookie: string): IncomingMessage => Object.assign(new IncomingMessage(new Socket()), { headers: { cookie } });

  test('over https it is a __Host- cookie: Secure, the whole site, no domain', async () => {
    expect(await over('https://connect.example')).toBe(`__Host-grantry=${'v'.repeat(43)}; Path=/; Max-Age=605400; HttpOnly; SameSite=Lax; Secure`);
  });
  test('over plain http it has no prefix', async () => {
    expect(await over('http://localhost:3000')).toBe(`grantry=${'v'.repeat(43)}; Path=/; Max-Age=605400; HttpOnly; SameSite=Lax`);
    expect(flowCookieName('http://localhost:3000')).toBe('grantry');
  });
  test('one that a sibling domain could have set is not read over https', () => {
    expect(readFlowCookie(sent('grantry=a'), 'https://connect.example')).toBeUndefined();
    expect(readFlowCookie(sent('x=1; __Host-grantry=a; y=2'), 'https://connect.example')).toBe('a');
    expect(readFlowCookie(sent('__Host-grantry=a; __Host-grantry=b'), 'https://connect.example')).toBeUndefined();
    expect(readFlowCookie(sent('x__Host-grantry=a'), 'https://connect.example')).toBeUndefined();
  });
  test.each(['', 'x', 'v'.repeat(42), 'v'.repeat(44), `${'v'.repeat(42)}"`, '../'.repeat(14)])(
    'a value that is not ours (%j) is replaced',
    async (value) => {
      const link = await scene.linkTo('as');
      const { cookies } = await scene.visit(link.url, undefined, { headers: { cookie: `grantry=${value}` } });
      expect(cookies).toHaveLength(1);
      expect(cookies[0]).not.toContain(`grantry=${value};`);
    },
  );
  test('a value of ours is kept, so that several links live in one browser', async () => {
    const value = 'v'.repeat(43);
    const { cookies } = await scene.visit((await scene.linkTo('as')).url, undefined, { headers: { cookie: `grantry=${value}` } });
    expect(cookies[0]).toContain(`grantry=${value};`);
  });
});

test('no code, state, verifier, token, cookie or secret of any flow is in the log, or in plain text in the database', async () => {
  const secrets = new Map<string, string>();
  const note = (name: string, value: string | null | undefined) => {
    expect(value, name).toBeTruthy();
    secrets.set(name, value ?? '');
  };
  const { authorizationServer: as, phonegap, nexmo } = scene.providers;

  for (const integration of ['as', 'oauth1', 'phonegap']) {
    const { link, browser, callback, authorizeUrl } = await scene.untilCallback(integration);
    note(`${integration} link`, link.url.split('/').at(-1));
    note(`${integration} cookie`, (await browser.cookies.cookiesFor(scene.url)).grantry);
    for (const name of ['state', 'code', 'oauth_token', 'oauth_verifier'])
      if (callback.searchParams.has(name)) note(`${integration} ${name}`, callback.searchParams.get(name));
    for (const name of ['state', 'code_challenge', 'oauth_token'])
      if (new URL(authorizeUrl).searchParams.has(name)) note(`${integration} ${name} sent`, new URL(authorizeUrl).searchParams.get(name));
    const asked = await browser.open(callback.href);
    if (integration === 'phonegap') await asked.submit({}, 'confirm');
    const id = await scene.connectionOf(link);
    const token = await scene.root.call<Record<string, unknown>>('GET', `/v1/connections/${id}/token`);
    for (const name of ['access_token', 'oauth_token_secret']) if (typeof token[name] === 'string') note(`${integration} ${name}`, token[name]);
  }
  const authToken = phonegap.authTokenOf('ada');
  note('auth token', authToken);
  await (await createBrowser().open((await scene.linkTo('auth-token')).url)).submit({ auth_token: authToken });

  const failing = await scene.untilCallback('phonegap');
  phonegap.switches.fault = { kind: 'garbage', times: 1 };
  note('failing code', failing.callback.searchParams.get('code'));
  await failing.browser.open(failing.callback.href);

  const user = await scene.untilCallback('as', { return_url: returnUrl, verification: 'user' });
  const nonce = new URL((await scene.visit(user.callback, user.browser)).location).searchParams.get('nonce') ?? '';
  note('nonce', nonce);
  await scene.root.call('POST', `/v1/connect-links/${user.link.id}/confirm`, { body: { nonce, end_user_id: 'u1' } });

  note('client secret', as.client.client_secret);
  note('phonegap secret', phonegap.client.client_secret);
  note('nexmo secret', nexmo.client.client_secret);
  note('root key', scene.broker.rootKey);

  const log = scene.logged.join('\n');
  expect(log).toContain('outbound request');
  expect(log).toContain('connect link failed');
  const tables = await scene.sql<{ name: string }>(`select table_name as name from information_schema.tables where table_schema = 'public'`);
  const dumps = await Promise.all(
    tables.map(({ name }) => scene.sql<{ text: string | null }>(`select string_agg(t::text, E'\\n') as text from "${name}" t`)),
  );
  const database = dumps.map(([row]) => row?.text ?? '').join('\n');
  expect(database).toContain('con_');

  expect(secrets.size).toBeGreaterThan(20);
  for (const [name, secret] of secrets) {
    const shapes = [
      secret,
      encodeURIComponent(secret),
      JSON.stringify(secret).slice(1, -1),
      Buffer.from(secret).toString('base64'),
      Buffer.from(secret).toString('base64url'),
      Buffer.from(secret).toString('hex'),
    ];
    for (const shape of shapes) {
      expect(log.includes(shape), `${name} in the log`).toBe(false);
      expect(database.includes(shape), `${name} in the database`).toBe(false);
    }
  }
});
