import { type Browser, chromium } from 'playwright-core';
import { inject } from 'vitest';

const args = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * A browser with an empty profile of its own in a temporary directory, which goes away at `close()`; the caller closes it.
 * Throws with the reason when this machine has no browser.
 */
export async function launchChromium(more: readonly string[] = []): Promise<Browser> {
  const found = inject('chromium');
  if ('missing' in found) throw new Error(found.missing);
  return await chromium.launch({ executablePath: found.value, args: [...args, ...more] });
}
