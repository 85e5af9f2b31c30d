import { GrantryError } from '../errors.ts';

export type RequestUrl = {
  /** What must be sent, byte for byte: normalised, without fragment. */
  href: string;
  /** RFC 5849 section 3.4.1.2: scheme and host in lower case, a port only when it is not the default one, the path as sent. */
  baseUri: string;
  /** The query's parameters, form-decoded, in their order (section 3.4.1.3.1). */
  query: readonly (readonly [string, string])[];
  secure: boolean;
};

/**
 * Normalises the URL of a request to be signed, so that what is signed and what is sent cannot differ.
 * Throws `invalid_request` when it is not an absolute http(s) URL, holds controls or a backslash, or names a user.
 */
export function parseRequestUrl(text: string): RequestUrl {
  const refuse = (detail: string) => new GrantryError('invalid_request', { detail });
  if (/[\p{Cc}\\]/u.test(text)) throw refuse('The URL holds characters that do not belong in one.');
  const url = urlOf(text);
  if (url === undefined) throw refuse('The URL is not an absolute one.');
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refuse('The URL must begin with https:// or http://.');
  if (url.username !== '' || url.password !== '') throw refuse('The URL must not hold a user name or password.');
  url.hash = '';
  return {
    href: url.href,
    baseUri: `${url.protocol}//${url.host}${url.pathname}`,
    query: [...new URLSearchParams(url.search)],
    secure: url.protocol === 'https:',
  };
}

/** Not URL.canParse: in Node 20, once optimised, it says no to a URL with characters beyond ASCII. */
function urlOf(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
