import type { IncomingMessage } from 'node:http';
import type { Response } from 'express';

/**
 * The flow cookie. Over https it is `__Host-` prefixed: no sibling domain and no plain-http page can set it. Over plain
 * http (localhost in development) that prefix would be refused by the browser.
 */

/** As long as a link may live and a state wait: whoever comes back to a link that she began is still known. */
const lifetimeS = 604_800 + 600;

export const flowCookieName = (publicUrl: string): string => (publicUrl.startsWith('https:') ? '__Host-grantry' : 'grantry');

/** The cookie's value; undefined when it is absent, or there are several of the name. */
export function readFlowCookie(req: IncomingMessage, publicUrl: string): string | undefined {
  const prefix = `${flowCookieName(publicUrl)}=`;
  const values = (req.headers.cookie ?? '')
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part.startsWith(prefix));
  return values.length === 1 ? values[0]?.slice(prefix.length) : undefined;
}

export function setFlowCookie(res: Response, publicUrl: string, value: string): void {
  const secure = publicUrl.startsWith('https:') ? '; Secure' : '';
  res.append('Set-Cookie', `${flowCookieName(publicUrl)}=${value}; Path=/; Max-Age=${lifetimeS}; HttpOnly; SameSite=Lax${secure}`);
}
