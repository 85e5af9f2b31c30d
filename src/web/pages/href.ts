import { GrantryError } from '../../protocol/errors.ts';

/** Browsers drop tab and newline inside a URL and read a backslash as a slash, so neither may occur. */
const unsafe = /[^!-[\]-~\u00a1-\uffff]/;

function isOwnPath(value: string): boolean {
  return /^\/(?!\/)/.test(value) && !unsafe.test(value);
}

function isWebUrl(value: string): boolean {
  if (unsafe.test(value) || !/^https?:\/\//i.test(value)) return false;
  try {
    const url = new URL(value);
    return url.username === '' && url.password === '';
  } catch {
    // Not URL.canParse: on Node 20 it begins to refuse good URLs with other letters after some thousand calls.
    return false;
  }
}

/**
 * A URL that may stand in a link: an absolute http(s) URL without user info, or a path of our own.
 * Anything else (`javascript:`, `data:`, `//host`, control characters) gives undefined: the page then shows no link.
 */
export function linkTarget(value: string | undefined): string | undefined {
  return value !== undefined && (isOwnPath(value) || isWebUrl(value)) ? value : undefined;
}

/** The same for an absolute URL without which the page is of no use. Throws `address_refused`. */
export function requiredLinkTarget(value: string): string {
  if (!isWebUrl(value)) throw new GrantryError('address_refused', { detail: 'The page cannot link to that address.' });
  return value;
}

/** Where a form is posted: a path of our own, or `internal_error` is thrown. */
export function formTarget(value: string): string {
  if (!isOwnPath(value)) throw new GrantryError('internal_error', { detail: 'A form may only be posted to a path of our own.' });
  return value;
}
