import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { pageHeaders } from '../../../src/web/pages/headers.ts';
import { launchChromium } from '../../harness/chromium.ts';
import { type Served, serve } from './server.ts';

// A browser on a busy machine.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

describe('the redirect after the form, as form-action governs it', () => {
  let browser: Browser;
  let login: Served;
  let provider: Served;
  beforeAll(async () => {
    browser = await launchChromium();
    login = await serve((_, response) => {
      response.writeHead(200, { 'Content-Type': 'text/html' }).end('<title>login host</title>');
    });
    provider = await serve((request, response) => {
      if (request.url === '/onward') response.writeHead(302, { Location: login.origin }).end();
      else response.writeHead(200, { 'Content-Type': 'text/html' }).end('<title>provider</title>');
    });
  });
  afterAll(async () => {
    await browser?.close();
    await login?.close();
    await provider?.close();
  });

  /** Posts a form that is answered with 303 to the provider; the title of where the browser ends, or `blocked`. */
  async function outcome(formAction: string[], path: string): Promise<string> {
    const broker = await serve((request, response) => {
      if (request.method === 'POST') response.writeHead(303, { Location: provider.origin + path }).end();
      else response.writeHead(200, pageHeaders({ formAction, https: false })).end('<!DOCTYPE html><form method="post"><button>Go</button></form>');
    });
    try {
      const tab = await browser.newPage();
      try {
        await tab.goto(broker.origin);
        const refused = tab
          .waitForEvent('console', (message) => message.text().includes('form-action'))
          .then(
            () => 'blocked',
            () => 'closed',
          );
        const arrived = tab
          .waitForURL((url) => url.origin !== broker.origin)
          .then(
            () => tab.title(),
            () => refused,
          );
        await tab.click('button', { noWaitAfter: true });
        return await Promise.race([refused, arrived]);
      } finally {
        await tab.close();
      }
    } finally {
      await broker.close();
    }
  }

  it('is blocked with our own origin alone', async () => {
    expect(await outcome([], '/')).toBe('blocked');
  });

  it("with the provider's origin gets to the provider, but not to where the provider redirects on", async () => {
    expect(await outcome([provider.origin], '/')).toBe('provider');
    expect(await outcome([provider.origin], '/onward')).toBe('blocked');
  });

  it('with the scheme gets wherever the provider sends the browser', async () => {
    expect(await outcome(['http:'], '/')).toBe('provider');
    expect(await outcome(['http:'], '/onward')).toBe('login host');
  });
});
