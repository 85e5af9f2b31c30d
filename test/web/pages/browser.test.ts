import type { Browser, Page as Tab } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { pageHeaders } from '../../../src/web/pages/headers.ts';
import type { Page } from '../../../src/web/pages/page.ts';
import { launchChromium } from '../../harness/chromium.ts';
import { payloads } from './payloads.ts';
import { addressFields, leaves, samples, shapes } from './samples.ts';
import { type PageServer, serve, servePages } from './server.ts';
import { contrasts, controls, focused, overflow } from './visible.ts';

// A browser on a busy machine.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

/** The same page with every text field holding every payload, one after the other. */
function poisoned(page: Page): Page {
  const everything = payloads.join(' ');
  return leaves(page)
    .filter(({ path }) => !addressFields.has(path))
    .reduce(
      (current, { path }) =>
        leaves(current)
          .find((leaf) => leaf.path === path)
          ?.replace(everything) ?? current,
      page,
    );
}

const connect = samples.connect;
if (connect?.kind !== 'connect') throw new Error('no connect sample');
const hostile: Record<string, Page> = {
  // Each payload on its own, in a scope and in every part of an input.
  'each, connect': {
    ...connect,
    scopes: payloads,
    inputs: payloads.map((text) => ({
      name: text,
      label: text,
      description: text,
      example: text,
      value: text,
      error: text,
      choices: [{ value: text, label: text }],
      secret: false,
      optional: true,
    })),
  },
  'each, text inputs': { ...connect, inputs: payloads.map((text) => ({ name: text, label: text, value: text, secret: false, optional: true })) },
  ...Object.fromEntries(shapes.map(([name, page]) => [`all, ${name}`, poisoned(page)])),
};

let browser: Browser;
let server: PageServer;
beforeAll(async () => {
  [browser, server] = await Promise.all([launchChromium(), servePages({ ...samples, ...hostile })]);
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
});

const address = (name: string) => `${server.origin}/${encodeURIComponent(name)}`;

/** Everything that the browser complains about, or that a script could bring about. */
function complaints(tab: Tab): string[] {
  const heard: string[] = [];
  tab.on('console', (message) => heard.push(`${message.type()}: ${message.text()}`));
  tab.on('pageerror', (error) => heard.push(`error: ${error.message}`));
  tab.on('dialog', (dialog) => {
    heard.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  tab.on('popup', (popup) => heard.push(`popup: ${popup.url()}`));
  tab.on('requestfailed', (request) => heard.push(`failed: ${request.url()}`));
  return heard;
}

async function inTab<T>(options: Parameters<Browser['newContext']>[0], use: (tab: Tab) => Promise<T>): Promise<T> {
  const context = await browser.newContext(options);
  try {
    return await use(await context.newPage());
  } finally {
    await context.close();
  }
}

it('every page fits from 320 px on, is readable in light and dark, and the browser has nothing to complain about', async () => {
  await inTab({}, async (tab) => {
    const heard = complaints(tab);
    for (const name of Object.keys(samples)) {
      await tab.setViewportSize({ width: 320, height: 640 });
      await tab.goto(address(name));
      expect(await tab.evaluate(overflow), `${name}: overflow at 320 px`).toBeLessThanOrEqual(0);
      const acted = await tab.evaluate<{ name: string; width: number; height: number }[]>(controls);
      expect(
        acted.filter((control) => control.height < 44 || control.width < 44),
        `${name}: target size`,
      ).toEqual([]);
      for (const colorScheme of ['light', 'dark'] as const) {
        await tab.emulateMedia({ colorScheme });
        expect(await tab.evaluate('getComputedStyle(document.body).backgroundColor'), colorScheme).toBe(
          colorScheme === 'light' ? 'rgb(255, 255, 255)' : 'rgb(26, 29, 36)',
        );
        const seen = await tab.evaluate<{ words: string; ratio: number }[]>(contrasts);
        expect(seen.length, name).toBeGreaterThan(3);
        expect(
          seen.filter(({ ratio }) => ratio < 4.5),
          `${name}: contrast, ${colorScheme}`,
        ).toEqual([]);
      }
      await tab.setViewportSize({ width: 1280, height: 800 });
      expect(await tab.evaluate(overflow), `${name}: overflow at 1280 px`).toBeLessThanOrEqual(0);
    }
    expect(heard).toEqual([]);
  });
});

describe.each(['light', 'dark'] as const)('in %s colours', (colorScheme) => {
  it('the tab key goes through the controls in reading order, each with a visible ring', async () => {
    await inTab({ colorScheme }, async (tab) => {
      for (const name of [
        'connect, inputs asked',
        'connect, directly',
        'out of band, code',
        'confirmation',
        'connected, with a way back',
        'failed, provider_error',
      ]) {
        await tab.goto(address(name));
        const expected = await tab.evaluate<{ name: string }[]>(controls);
        const visited: { name: string; outlineStyle: string; outlineWidth: number }[] = [];
        for (const _ of expected) {
          await tab.keyboard.press('Tab');
          visited.push(await tab.evaluate(focused));
        }
        expect(
          visited.map((control) => control.name),
          name,
        ).toEqual(expected.map((control) => control.name));
        expect(
          visited.filter(({ outlineStyle, outlineWidth }) => outlineStyle !== 'solid' || outlineWidth < 2),
          name,
        ).toEqual([]);
      }
    });
  });
});

describe('hostile text in a real browser', () => {
  it.each(['', 'bare/'])('runs nothing and loads nothing (%j: bare means without our headers)', async (prefix) => {
    await inTab({}, async (tab) => {
      const heard = complaints(tab);
      for (const name of Object.keys(hostile)) {
        const before = server.asked.length;
        await tab.goto(`${server.origin}/${prefix}${encodeURIComponent(name)}`);
        expect(await tab.evaluate('[window.pwned, document.scripts.length, location.pathname]'), name).toEqual([
          undefined,
          0,
          `/${prefix}${encodeURIComponent(name)}`,
        ]);
        expect(
          server.asked.slice(before).filter((path) => !path.endsWith(name) && !path.startsWith('/assets/')),
          name,
        ).toEqual([]);
      }
      expect(heard).toEqual([]);
    });
  });

  it('is refused by the policy even if it got through', async () => {
    const origin = await serve((_, response) => {
      response
        .writeHead(200, pageHeaders({ formAction: [], https: false }))
        .end('<!DOCTYPE html><script>window.pwned=1</script><img src=x onerror="window.pwned=1">');
    });
    try {
      await inTab({}, async (tab) => {
        const heard = complaints(tab);
        await tab.goto(origin.origin);
        expect(await tab.evaluate('window.pwned')).toBeUndefined();
        expect(heard.filter((line) => line.includes('Content Security Policy')).length).toBeGreaterThan(0);
      });
    } finally {
      await origin.close();
    }
  });
});

describe('framing', () => {
  it('is refused, and works for a page without our headers', async () => {
    const outer = await serve((request, response) => {
      const frame = `${server.origin}${request.url}`;
      response.writeHead(200, { 'Content-Type': 'text/html' }).end(`<!DOCTYPE html><iframe src="${frame}"></iframe>`);
    });
    try {
      await inTab({}, async (tab) => {
        const heading = async (path: string) => {
          await tab.goto(`${outer.origin}${path}`);
          const frame = tab.frames()[1];
          return frame === undefined ? undefined : await frame.evaluate('document.querySelector("h1 bdi")?.textContent ?? null');
        };
        expect(await heading('/bare/connect')).toBe('Northwind Analytics');
        expect(await heading('/connect')).toBe(null);
      });
    } finally {
      await outer.close();
    }
  });
});
