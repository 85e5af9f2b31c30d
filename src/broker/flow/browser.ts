import { createHmac } from 'node:crypto';
import type { LinkRecord } from '../records.ts';
import { isSecretText, sameBytes, sha256 } from '../secrets.ts';

/**
 * The flow cookie: 256 random bits that one browser holds. A link keeps its SHA-256 from the moment that browser goes on,
 * and nothing that arrives from another browser finishes it.
 */

/** The cookie's value, when it is one of ours. */
export const readBrowser = (cookie: string | undefined): string | undefined => (isSecretText(cookie) ? cookie : undefined);

/** True when this browser is the one that the link belongs to. */
export function isBrowserOf(link: Pick<LinkRecord, 'browser_hash'>, browser: string | undefined): boolean {
  return browser !== undefined && link.browser_hash !== null && sameBytes(link.browser_hash, sha256(browser));
}

/** The token of a form: only a page of ours in this browser can know it. */
export const csrfToken = (browser: string, linkId: string): string => createHmac('sha256', browser).update(`csrf ${linkId}`).digest('base64url');

export function isCsrfToken(browser: string, linkId: string, token: unknown): boolean {
  return typeof token === 'string' && sameBytes(Buffer.from(csrfToken(browser, linkId)), Buffer.from(token));
}
