import type { Request } from 'express';
import type { AuditDetails } from '../../broker/audit.ts';
import type { Failed } from '../../broker/flow/context.ts';
import type { Finished } from '../../broker/flow/finish.ts';
import type { Closed, OpenLink, StartOutcome } from '../../broker/flow/start.ts';
import type { LinkRecord } from '../../broker/records.ts';
import type { World } from '../../broker/world.ts';
import type { AuditAction } from '../../protocol/audit-actions.ts';
import type { Witness } from '../witness.ts';

/** What the audit log is told of a browser's way through a link. The end user is not named: what is in the log cannot be erased. */

/** What the hosted pages work with. */
export type Site = World & { witness: Witness };

function tell({ audit, witness }: Site, req: Request, link: LinkRecord, { action, details }: { action: AuditAction; details?: AuditDetails }) {
  const about = { integration: link.integration_id, ...(link.purpose === 'test' && { purpose: 'test' }), ...details };
  return audit.write(witness.entry(req, 'browser', { project: link.project_id, action, target: link.id, details: about }));
}

/** The first look at a link. */
export async function tellOpened(site: Site, req: Request, { link }: OpenLink): Promise<void> {
  if (link.status === 'pending') await tell(site, req, link, { action: 'connect_link.opened' });
}

export async function tellStarted(site: Site, req: Request, outcome: StartOutcome): Promise<void> {
  if (outcome.kind === 'redirect' || outcome.kind === 'out_of_band') await tell(site, req, outcome.link, { action: 'connect_link.authorizing' });
}

/** A link that came into another browser than its own: counted, for that one may come as often as it likes. */
export function tellClosed({ audit, witness }: Site, req: Request, closed: Closed): void {
  if (closed.kind !== 'other_browser') return;
  const { project_id, id } = closed.link;
  const { actor, address, target_id } = witness.entry(req, 'browser', { project: project_id, action: 'connect_link.refused', target: id });
  audit.count({ project_id, actor, action: 'connect_link.refused', target_id, address });
}

/** How a flow ended, or that it waits for somebody's word. */
export async function tellEnd(site: Site, req: Request, outcome: Finished | Failed): Promise<void> {
  const { link } = outcome;
  switch (outcome.kind) {
    case 'connected':
      return tell(site, req, link, { action: 'connect_link.connected', details: { connection: outcome.connection.id } });
    case 'failed':
      return tell(site, req, link, { action: 'connect_link.failed', details: { error: outcome.code } });
    case 'confirm':
    case 'ask':
    case 'tested':
      return tell(site, req, link, { action: 'connect_link.answered' });
  }
}
