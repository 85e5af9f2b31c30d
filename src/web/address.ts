import type { IncomingMessage } from 'node:http';
import { addressGroup } from '../protocol/address.ts';

/** The address that a request came from: what the last trusted proxy saw. With proxies in front it may be any text. */
export function clientAddress(req: IncomingMessage, trustProxy: number): string {
  const socket = req.socket.remoteAddress ?? '';
  const forwarded = trustProxy === 0 ? undefined : req.headers['x-forwarded-for'];
  if (forwarded === undefined) return socket;
  // Each proxy appends whom it saw; what stands further left than we have proxies was written by anybody.
  const hops = String(forwarded)
    .split(',')
    .map((hop) => hop.trim())
    .reverse();
  return hops[Math.min(trustProxy, hops.length) - 1] || socket;
}

/** The address that a request counts for: an IPv6 address by its /64. */
export const addressOf = (req: IncomingMessage, trustProxy: number): string => addressGroup(clientAddress(req, trustProxy));
