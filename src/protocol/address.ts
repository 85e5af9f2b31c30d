import ipaddr from 'ipaddr.js';
import { GrantryError } from './errors.ts';

/**
 * True when the address (IPv4 or IPv6 text form) is globally reachable unicast. IPv4 inside IPv6 (mapped,
 * compatible, NAT64, 6to4, Teredo) is never public here: nothing we call needs it.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  return ipaddr.parse(address).range() === 'unicast';
}

/** Host names that never leave the machine or the local network (RFC 6761, 6762, 8375 and common practice). */
const privateSuffixes = ['localhost', 'local', 'internal', 'intranet', 'lan', 'home.arpa', 'onion', 'invalid', 'test', 'example', 'arpa'];

/** True for a full public host name or a public address literal (as `URL.hostname` gives it, brackets and all). */
export function isPublicHost(hostname: string): boolean {
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  if (ipaddr.isValid(bare)) return isPublicAddress(bare);
  if (!/^(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(bare)) return false;
  return !privateSuffixes.some((suffix) => bare === suffix || bare.endsWith(`.${suffix}`));
}

/**
 * The border for every URL that somebody configured: absolute, https, public host, no user info, no fragment.
 * With private hosts allowed, http and any host pass. Throws `address_refused`.
 */
export function parseOutsideUrl(text: string, { allowPrivateHosts }: { allowPrivateHosts: boolean }): URL {
  const refuse = (detail: string) => new GrantryError('address_refused', { detail });
  if (/[\u0000-\u0020\u007f\\]/.test(text)) throw refuse('The address holds characters that do not belong in a URL.');
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw refuse('The address is not an absolute URL.');
  }
  if (url.username !== '' || url.password !== '') throw refuse('The address must not hold a user name or password.');
  if (text.includes('#')) throw refuse('The address must not hold a fragment.');
  if (url.protocol !== 'https:' && !(allowPrivateHosts && url.protocol === 'http:')) throw refuse('The address must begin with https://.');
  if (!allowPrivateHosts && !isPublicHost(url.hostname)) throw refuse('The host is not a public one.');
  return url;
}
