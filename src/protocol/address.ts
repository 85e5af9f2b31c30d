import ipaddr from 'ipaddr.js';
import { GrantryError } from './errors.ts';

/** What IANA gives out as globally reachable IPv6; all the rest is reserved, local, a tunnel or somebody's overlay. */
const globalIpv6 = ipaddr.IPv6.parse('2000::');
/** Looks public, but answers with Azure's own host agent from inside a virtual machine. */
const hostAgents = new Set(['168.63.129.16']);

/**
 * True when the address (IPv4 or IPv6 text form) is globally reachable unicast. IPv4 inside IPv6 (mapped,
 * compatible, NAT64, 6to4, Teredo) is never public here: nothing we call needs it. Nor is an address with a zone.
 */
export function isPublicAddress(address: string): boolean {
  if (address.includes('%') || !ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== 'unicast') return false;
  return parsed instanceof ipaddr.IPv6 ? parsed.match(globalIpv6, 3) : !hostAgents.has(parsed.toString());
}

/** Whom an address belongs to, for counting: an IPv6 address by its /64, of which everybody has one; other text as it is. */
export function addressGroup(address: string): string {
  if (!address.includes(':') || !ipaddr.isValid(address)) return address.slice(0, 64);
  const parsed = ipaddr.process(address);
  return parsed instanceof ipaddr.IPv6
    ? `${parsed.parts
        .slice(0, 4)
        .map((part) => part.toString(16))
        .join(':')}::/64`
    : parsed.toString();
}

/** Four decimal numbers: `010.1` and `0x7f.1` are addresses to some readers and others to others. */
const plainIpv4 = /^(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}$/;

type Range = [ipaddr.IPv4 | ipaddr.IPv6, number];

/** The range in CIDR notation, or of one address; undefined when it is neither. Bits beyond the prefix stay as they are. */
function parseRange(text: string): Range | undefined {
  const [address = '', prefix, ...more] = text.split('/');
  if (more.length > 0 || address.includes('%') || !ipaddr.isValid(address)) return undefined;
  if (!address.includes(':') && !plainIpv4.test(address)) return undefined;
  const parsed = ipaddr.parse(address);
  const longest = parsed instanceof ipaddr.IPv4 ? 32 : 128;
  if (prefix !== undefined && !/^(?:0|[1-9]\d{0,2})$/.test(prefix)) return undefined;
  const bits = prefix === undefined ? longest : Number(prefix);
  return bits > longest ? undefined : [parsed, bits];
}

/** The range as it is kept: `10.1.2.3/32`. Undefined when the text is no address and no range in CIDR notation, or has bits beyond its prefix. */
export function addressRange(text: string): string | undefined {
  const range = parseRange(text);
  if (range === undefined) return undefined;
  const [address, bits] = range;
  const bytes = address.toByteArray();
  const isClean = bytes.every((byte, index) => (byte & (0xff >> Math.min(8, Math.max(0, bits - index * 8)))) === 0);
  return isClean ? `${address.toString()}/${bits}` : undefined;
}

/** True when the address lies in the range; IPv4 inside IPv6 (`::ffff:10.0.0.1`) counts as IPv4. */
export function isInRange(address: string, range: string): boolean {
  const wanted = parseRange(range);
  if (wanted === undefined || !ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  return parsed.kind() === wanted[0].kind() && parsed.match(wanted as [ipaddr.IPv4 & ipaddr.IPv6, number]);
}

/** True when all of `inner` lies in `outer`. */
export function coversRange(outer: string, inner: string): boolean {
  const [wide, narrow] = [parseRange(outer), parseRange(inner)];
  return wide !== undefined && narrow !== undefined && narrow[1] >= wide[1] && isInRange(narrow[0].toString(), outer);
}

/** Host names that never leave the machine or the local network (RFC 6761, 6762, 8375, 9476 and common practice). */
const privateSuffixes = 'localhost localdomain local internal intranet private corp home lan svc arpa onion alt invalid test example'.split(' ');

/** A name of at least two labels whose last begins with a letter; no trailing dot (it would be another name to a certificate). */
const fullHostName = /^(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** True for a full public host name or a public address literal (as `URL.hostname` gives it, brackets and all). */
export function isPublicHost(hostname: string): boolean {
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  // First what nearly all are: no name is an address as well, and the reader of addresses throws for each one that is none.
  if (fullHostName.test(bare)) return !privateSuffixes.some((suffix) => bare.endsWith(`.${suffix}`));
  return isPublicAddress(bare);
}

/**
 * The border for every URL that somebody configured: absolute, https, public host, no user info, no fragment; in the
 * characters of RFC 3986 (an international host name in its xn-- form). With private hosts allowed, http and any host
 * pass. Throws `address_refused`.
 */
export function parseOutsideUrl(text: string, { allowPrivateHosts }: { allowPrivateHosts: boolean }): URL {
  const refuse = (detail: string) => new GrantryError('address_refused', { detail });
  if (/[^\u0021-\u007e]|\\/.test(text)) throw refuse('The address holds characters that do not belong in a URL: encode them, as %20 for a space.');
  // `https:host` and `https:///host` are read as https://host by some and as a path by others.
  if (!/^[a-z]+:\/\/[^/]/i.test(text) || !URL.canParse(text)) throw refuse('The address is not an absolute URL, as in https://login.acme.com.');
  const url = new URL(text);
  const authority = text.split(/[/?#]/, 3)[2] ?? '';
  if (authority.includes('@')) throw refuse('The address must not hold a user name or password: leave out what stands before @.');
  if (text.includes('#')) throw refuse('The address must not hold a fragment: leave out # and what is behind it.');
  if (url.protocol !== 'https:' && !(allowPrivateHosts && url.protocol === 'http:')) throw refuse('The address must begin with https://.');
  if (!allowPrivateHosts && !isPublicHost(url.hostname)) throw refuse('The host is not a public one: give one that everybody can reach.');
  return url;
}
