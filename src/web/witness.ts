import type { IncomingMessage } from 'node:http';
import type { AuditDetails, AuditEntry } from '../broker/audit.ts';
import { type Caller, callerName } from '../broker/caller.ts';
import type { World } from '../broker/world.ts';
import type { AuditAction } from '../protocol/audit-actions.ts';
import { addressOf, clientAddress } from './address.ts';
import { requestIdOf } from './request-id.ts';

/** What the audit log is told of requests: who, from where, under which request id. */

/** What was done, without who did it. */
export type Deed = { project: string | null; action: AuditAction; target: string | null; details?: AuditDetails };

export type Witness = {
  /** An entry for what this request does. */
  entry(req: IncomingMessage, actor: string, deed: Deed): AuditEntry;
  /** A token, or a signature with one, goes to the caller: counted, nothing waits. */
  released(req: IncomingMessage, caller: Caller, connection: string): void;
  /** A wrong key: counted, an IPv6 address by its /64. */
  refused(req: IncomingMessage): void;
  /** A right key that may not do that, or not from there: counted. */
  forbidden(req: IncomingMessage, key: { name: string; project: string }): void;
};

/** What a proxy hands on may be any text, an address from an IPv4 client on an IPv6 socket is written as IPv4. */
function address(req: IncomingMessage, trustProxy: number): string | null {
  const text = clientAddress(req, trustProxy);
  if (text.startsWith('::ffff:') && text.includes('.')) return text.slice(7, 22);
  return /^[0-9a-fA-F.:]{2,45}$/.test(text) ? text : null;
}

export function createWitness({ audit, now }: Pick<World, 'audit' | 'now'>, trustProxy: number): Witness {
  return {
    entry: (req, actor, { project, action, target, details = {} }) => ({
      at: now(),
      project_id: project,
      actor,
      action,
      target_id: target?.slice(0, 200) ?? null,
      address: address(req, trustProxy),
      request_id: requestIdOf(req),
      details,
    }),
    released(req, caller, connection) {
      const from = address(req, trustProxy);
      audit.count({ project_id: caller.project, actor: callerName(caller), action: 'token.released', target_id: connection, address: from });
    },
    refused(req) {
      audit.count({ project_id: null, actor: 'unknown', action: 'auth.refused', target_id: null, address: addressOf(req, trustProxy) });
    },
    forbidden(req, { name, project }) {
      audit.count({ project_id: project, actor: name, action: 'auth.forbidden', target_id: null, address: address(req, trustProxy) });
    },
  };
}
