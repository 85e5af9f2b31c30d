import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page as Tab } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { launchChromium } from '../harness/chromium.ts';
import { overflow } from '../web/pages/visible.ts';
import { type Scene, startScene } from './scene.ts';

/** The whole way in a real browser, on a phone. With SCREENSHOTS=<directory> each page is kept as a picture. */

// A browser on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

let scene: Scene;
let browser: Browser;
const pictures = process.env.SCREENSHOTS;
beforeAll(async () => {
  [scene, browser] = await Promise.all([startScene(), launchChromium()]);
  const { authorizationServer: as, phonegap, nexmo, keyService } = scene.providers;
  for (const { definition } of [as, phonegap, nexmo, keyService]) await scene.define(definition);
  await scene.define(nexmo.definitionWithPin);
  await scene.integrate(as, { id: 'as', provider: 'sandbox-as' });
  await scene.integrate(phonegap, { id: 'phonegap', provider: 'sandbox-phonegap' });
  await scene.integrate(nexmo, { id: 'nexmo', provider: 'sandbox-nexmo' });
  await scene.integrate(nexmo, { id: 'pin', provider: 'sandbox-oauth1-pin' });
  await scene.integrate(
    { ...keyService, client: { client_id: '', client_secret: 'unused' } },
    { id: 'basic', provider: 'sandbox-keys', method: 'basic' },
  );
  if (pictures !== undefined) await mkdir(pictures, { recursive: true });
});
afterAll(async () => {
  await browser?.close();
  await scene?.stop();
});

type Person = { context: BrowserContext; tab: Tab; complaints: string[]; look(name: string, tab?: Tab): Promise<void> };

/** A phone; what the browser has to complain about is expected to be nothing. */
async function onPhone(use: (person: Person) => Promise<void>): Promise<void> {
  const context = await browser.newContext({ viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true });
  const complaints: string[] = [];
  const listen = (tab: Tab) => {
    // A page of the broker with a 4xx status is reported by Chromium as a failed resource.
    tab.on('console', (message) => {
      if (!message.text().startsWith('Failed to load resource')) complaints.push(`${message.type()}: ${message.text()}`);
    });
    tab.on('pageerror', (error) => complaints.push(error.message));
    tab.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`));
  };
  context.on('page', listen);
  const tab = await context.newPage();
  const look = async (name: string, of = tab) => {
    if (of.url().startsWith(scene.url)) expect({ name, overflow: await of.evaluate(overflow) }).toEqual({ name, overflow: 0 });
    if (pictures !== undefined) await of.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
  };
  try {
    await use({ context, tab, complaints, look });
    expect(complaints).toEqual([]);
  } finally {
    await context.close();
  }
}

const press = (tab: Tab, name: string | RegExp) => tab.getByRole('button', { name }).click();

test('connect page, consent, result; the address bar holds no code', () =>
  onPhone(async ({ tab, look }) => {
    const link = await scene.linkTo('as', { end_user: { id: 'u1', display_name: 'Ada Lovelace' } });
    await tab.goto(link.url);
    await look('1-connect');
    await press(tab, /Continue to/);
    await tab.waitForURL(`${scene.providers.authorizationServer.url}/**`);
    await look('2-consent');
    await press(tab, 'Approve');
    await tab.waitForURL(`${scene.url}/connect/result/${link.id}`);
    await look('3-connected');
    expect(await tab.title()).toBe('Sandbox authorization server is connected to Default project');
    await scene.connectionOf(link);
    // Back and reload do no harm.
    await tab.reload();
    expect(await tab.title()).toContain('is connected');
  }));

test('the consent that is remembered sends the browser straight through to the return URL', () =>
  onPhone(async ({ tab }) => {
    scene.providers.authorizationServer.switches.autoApprove = { user: 'ada' };
    const link = await scene.linkTo('as', { return_url: `${scene.url}/healthz` });
    await tab.goto(link.url);
    await press(tab, /Continue to/);
    await tab.waitForURL(`${scene.url}/healthz?**`);
    expect(new URL(tab.url()).searchParams.get('connection_id')).toBe(await scene.connectionOf(link));
    scene.providers.authorizationServer.switches.autoApprove = null;
  }));

test('denied', () =>
  onPhone(async ({ tab, look }) => {
    const link = await scene.linkTo('as');
    await tab.goto(link.url);
    await press(tab, /Continue to/);
    await press(tab, 'Deny');
    await tab.waitForURL(`${scene.url}/connect/result/${link.id}`);
    await look('4-denied');
    expect(await tab.title()).toBe('Access was not allowed');
    await scene.expectFailed(link, 'access_denied');
  }));

test('whose account is it', () =>
  onPhone(async ({ tab, look }) => {
    const link = await scene.linkTo('phonegap');
    await tab.goto(link.url);
    await press(tab, /Continue to/);
    await press(tab, 'Approve');
    await tab.waitForURL(`${scene.url}/connect/result/${link.id}`);
    await look('5-whose-account');
    await press(tab, 'Yes, connect it');
    await tab.getByRole('heading', { name: 'is connected' }).waitFor();
    await scene.connectionOf(link);
  }));

test('out of band: the provider in another tab, and back', () =>
  onPhone(async ({ tab, look, context }) => {
    const link = await scene.linkTo('pin');
    await tab.goto(link.url);
    await press(tab, /Continue to/);
    await look('6-out-of-band');
    const [other] = await Promise.all([context.waitForEvent('page'), tab.getByRole('link', { name: /Open Sandbox/ }).click()]);
    await press(other, 'Approve');
    const pin = await other.locator('#pin').textContent();
    // The phone has thrown the first tab away meanwhile.
    await tab.reload();
    await tab.getByLabel('Code').fill('12 3');
    await press(tab, /./);
    await look('7-out-of-band-wrong');
    await tab.getByLabel('Code').fill(pin ?? '');
    await press(tab, /./);
    await tab.getByRole('heading', { name: 'is connected' }).waitFor();
    await scene.connectionOf(link);
  }));

test('out of band without a code', () =>
  onPhone(async ({ tab, look, context }) => {
    const link = await scene.linkTo('nexmo');
    await tab.goto(link.url);
    await press(tab, /Continue to/);
    await look('8-out-of-band-no-code');
    const [other] = await Promise.all([context.waitForEvent('page'), tab.getByRole('link', { name: /Open Sandbox/ }).click()]);
    await press(other, 'Approve');
    // The approval has arrived only when the provider says so.
    await other.getByText('You may return').waitFor();
    await other.close();
    await press(tab, /./);
    await tab.getByRole('heading', { name: 'is connected' }).waitFor();
    await scene.connectionOf(link);
  }));

test('the input form: what is missing is said, what is typed is sent', () =>
  onPhone(async ({ tab, look }) => {
    const link = await scene.linkTo('basic');
    await tab.goto(link.url);
    await look('9-form');
    await tab.getByLabel('User name').fill('ada');
    await tab.getByLabel('Password').evaluate((field) => field.removeAttribute('required'));
    await press(tab, /Connect/);
    await look('10-form-fault');
    expect(await tab.title()).toMatch(/^Error: /);
    await tab.getByLabel('User name').fill('ada');
    await tab.getByLabel('Password').fill(scene.providers.keyService.issuePassword('ada'));
    await press(tab, /Connect/);
    await tab.getByRole('heading', { name: 'is connected' }).waitFor();
    await scene.connectionOf(link);
  }));

test('the link opened in another browser', () =>
  onPhone(async ({ tab, look }) => {
    const { link } = await scene.untilCallback('as');
    await tab.goto(link.url);
    await look('11-other-browser');
    expect(await tab.title()).toBe('This link is open in another browser');
  }));

test('an admin tests an integration, and allows less than was asked for elsewhere', () =>
  onPhone(async ({ tab, look }) => {
    const { switches } = scene.providers.authorizationServer;
    switches.withheldScopes = ['write'];
    const approve = async (url: string, name: string) => {
      await tab.goto(url);
      await look(`${name}-page`);
      await tab.locator('button[type=submit]').click();
      await tab.locator('input[name=user]').fill('ada');
      await tab.getByRole('button', { name: 'Approve' }).click();
      await tab.waitForURL(/connect\/result/);
      await look(`${name}-end`);
    };
    const made = await scene.root.call<{ url: string; trace: string }>('POST', '/v1/integrations/as/test', { body: { scopes: ['read', 'write'] } });
    await approve(made.url, 'test');
    expect(await tab.getByRole('heading', { level: 1 }).innerText()).toBe('The test of as passed');
    expect(await scene.root.call('GET', made.trace)).toMatchObject({ outcome: 'passed' });
    const link = await scene.linkTo('as', { scopes: ['read', 'write'] });
    await approve(link.url, 'less');
    expect(await tab.locator('.scopes').innerText()).toContain('write');
    switches.withheldScopes = [];
  }));
