/**
 * Where a browser may be sent when a flow has ended: only to URLs that the project registered, letter by letter.
 * While our own public address is a loopback one (development), loopback URLs need no registration.
 */

const loopbackHosts = new Set(['localhost', '127.0.0.1', '[::1]']);

function parse(url: string): URL | undefined {
  // Anything that a browser and a URL parser might read differently is not a URL to us.
  if (!/^https?:\/\/[^\s\\#@]+$/.test(url) || /[^\x21-\x7e]/.test(url) || url.length > 2000) return undefined;
  try {
    const parsed = new URL(url);
    // A host is a name: `*` would only look as if it stood for others.
    if (/[^a-z0-9._:[\]-]/.test(parsed.host)) return undefined;
    // The text must be what it parses to: no folded hosts, no dot segments, no default port.
    return parsed.href === url || parsed.href === `${url}/` ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** True for our own development address. */
export const isLoopbackUrl = (url: string): boolean => {
  const parsed = parse(url);
  return parsed !== undefined && loopbackHosts.has(parsed.hostname);
};

/** What is wrong with a URL that somebody wants to register; undefined when nothing is. */
export function returnUrlFault(publicUrl: string, url: string): string | undefined {
  const parsed = parse(url);
  if (parsed === undefined) return 'Must be an absolute http(s) URL in its normal form, without user info, fragment or white space.';
  if (parsed.protocol === 'https:') return undefined;
  if (loopbackHosts.has(parsed.hostname) && isLoopbackUrl(publicUrl)) return undefined;
  return 'Must begin with https://.';
}

/** True when a browser may be sent to this URL at the end of a flow of this project. */
export function mayReturnTo({ publicUrl, registered, url }: { publicUrl: string; registered: readonly string[]; url: string }): boolean {
  if (returnUrlFault(publicUrl, url) !== undefined) return false;
  return registered.includes(url) || (isLoopbackUrl(publicUrl) && isLoopbackUrl(url));
}

/** The return URL with what became of the flow; its own query is kept. */
export function withOutcome(returnUrl: string, outcome: Readonly<Record<string, string>>): string {
  return `${returnUrl}${returnUrl.includes('?') ? '&' : '?'}${new URLSearchParams(outcome).toString()}`;
}
