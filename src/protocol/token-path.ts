import { GrantryError } from './errors.ts';
import { percentEncode } from './template.ts';
import { withoutEnd } from './without-end.ts';

/** Tokens that stand in the path of a call, behind the address of the API: https://api.acme.com/bot<token>/me. */

/** False for what no encoding makes a segment of its own: nothing, and the dots that lead elsewhere (RFC 3986 section 5.2.4). */
export const isPathToken = (token: string): boolean => !/^\.{0,2}$/.test(token);

/**
 * The one segment of a path that holds the token, with its slash. All but the unreserved characters is percent-encoded, so that nothing in a
 * token ends the segment; the colon stays, which a segment may hold (RFC 3986 section 3.3) and bot tokens have. Throws `unsupported`.
 *
 * @param prefix unreserved characters that stand before the token
 */
export function tokenSegment(token: string, prefix = ''): string {
  if (!isPathToken(token))
    throw new GrantryError('unsupported', { detail: 'The provider wants the token in the path, where this one cannot stand.' });
  return `/${prefix}${percentEncode(token).replaceAll('%3A', ':')}`;
}

/** The URL with the segment behind the base; undefined when it does not lie below the base. Dot segments are resolved before. */
export function behindBase(url: string, { base, segment }: { base: string; segment: string }): string | undefined {
  const { origin, pathname, search } = new URL(url);
  const { origin: home, pathname: root } = new URL(base);
  const path = withoutEnd(root, '/');
  if (origin !== home || !(pathname === path || pathname.startsWith(`${path}/`))) return undefined;
  return `${origin}${path}${segment}${pathname.slice(path.length)}${search}`;
}
