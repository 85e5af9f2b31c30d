import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser as Chromium, type Page as ChromiumPage, chromium } from 'playwright-core';
import { createBrowser } from '../browser.ts';

/** A person at a browser: reads pages, fills in forms, presses buttons. By HTTP with a cookie jar, or in Chromium. */

export type Seen = {
  url: string;
  title: string;
  text: string;
  press(button: string, fields?: Readonly<Record<string, string>>): Promise<Seen>;
  follow(link: string): Promise<Seen>;
};
export type Person = { open(url: string): Promise<Seen>; close(): Promise<void> };
export type People = { person(): Promise<Person>; close(): Promise<void> };

type HttpPage = Awaited<ReturnType<ReturnType<typeof createBrowser>['open']>>;

function seenOverHttp(page: HttpPage): Seen {
  return {
    url: page.url,
    title: page.title,
    text: page.text,
    press: async (button, fields = {}) => seenOverHttp(await page.submit(fields, button)),
    follow: async (link) => seenOverHttp(await page.follow(link)),
  };
}

/** People with a real HTTP client and a cookie jar each. */
export const peopleOverHttp = (): People => ({
  person: async () => {
    const browser = createBrowser();
    return { open: async (url) => seenOverHttp(await browser.open(url)), close: async () => {} };
  },
  close: async () => {},
});

async function seenInChromium(page: ChromiumPage): Promise<Seen> {
  const after = async (act: () => Promise<unknown>): Promise<Seen> => {
    await Promise.all([page.waitForNavigation({ waitUntil: 'load', timeout: 20_000 }), act()]);
    return seenInChromium(page);
  };
  return {
    url: page.url(),
    title: await page.title(),
    text: (await page.locator('body').innerText()).replace(/\s+/g, ' '),
    press: (button, fields = {}) =>
      after(async () => {
        for (const [name, value] of Object.entries(fields)) await page.locator(`[name="${name}"]`).fill(value);
        await page.getByRole('button', { name: button }).first().click();
      }),
    follow: async (link) => {
      const popup = page
        .context()
        .waitForEvent('page', { timeout: 5_000 })
        .catch(() => undefined);
      await page.getByRole('link', { name: link }).first().click();
      const opened = await popup;
      if (opened === undefined) return seenInChromium(page);
      await opened.waitForLoadState('load');
      return seenInChromium(opened);
    },
  };
}

const programs = [
  process.env.CHROMIUM_PATH,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** People in Chromium, each in a profile of her own. Throws when there is no Chromium. */
export async function peopleInChromium(): Promise<People> {
  const executablePath = programs.find((path) => path !== undefined && existsSync(path));
  if (executablePath === undefined) throw new Error('No Chromium was found: install it (apt-get install chromium) or set CHROMIUM_PATH.');
  const open: { browser: Chromium; home: string }[] = [];
  const close = async () => {
    for (const { browser, home } of open.splice(0)) {
      await browser.close();
      await rm(home, { recursive: true, force: true });
    }
  };
  const home = await mkdtemp(join(tmpdir(), 'grantry-demo-browser-'));
  const browser = await chromium.launch({
    executablePath,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  open.push({ browser, home });
  return {
    async person() {
      const context = await browser.newContext({ viewport: { width: 390, height: 844 } });
      return {
        open: async (url) => {
          const page = await context.newPage();
          await page.goto(url, { waitUntil: 'load' });
          return seenInChromium(page);
        },
        close: () => context.close(),
      };
    },
    close,
  };
}
