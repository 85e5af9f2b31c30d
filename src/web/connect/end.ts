import type { Request, Response } from 'express';
import type { Failed } from '../../broker/flow/context.ts';
import type { Finished } from '../../broker/flow/finish.ts';
import type { Closed } from '../../broker/flow/start.ts';
import { withOutcome } from '../../broker/return-urls.ts';
import { requestIdOf } from '../request-id.ts';
import { endFlow, goTo, known, resultPath, showPage } from './show.ts';
import { type Site, tellClosed, tellEnd } from './telling.ts';

/** How a flow ends for the browser that is here. */

/** A link that cannot be gone on with. */
export function showClosed(world: Site, req: Request, res: Response, closed: Closed): void {
  tellClosed(world, req, closed);
  const requestId = requestIdOf(req);
  switch (closed.kind) {
    case 'missing':
      return showPage(world, res, { kind: 'not_found', requestId });
    case 'expired':
      return showPage(world, res, { kind: 'failed', code: 'link_expired', ...known(req, closed.link) });
    case 'other_browser':
      return showPage(world, res, { kind: 'wrong_browser_open', ...known(req, closed.link) });
    case 'finished':
      return showPage(world, res, { kind: 'already_used', ...known(req, closed.link) });
  }
}

/** Failures after which this browser is not the one to be sent on: it only sees the page. */
const strangers: ReadonlySet<string> = new Set(['wrong_browser', 'redirect_mismatch']);

/** A flow that has ended, or waits for somebody's word. */
export async function showEnd(world: Site, req: Request, res: Response, outcome: Finished | Failed): Promise<void> {
  await tellEnd(world, req, outcome);
  switch (outcome.kind) {
    case 'connected':
      return endFlow(world, res, outcome.link, { status: 'connected', connectionId: outcome.connection.id });
    case 'failed':
      if (strangers.has(outcome.code)) return showPage(world, res, { kind: 'failed', code: outcome.code, ...known(req, outcome.link) });
      return endFlow(world, res, outcome.link, { status: 'failed', code: outcome.code });
    case 'tested':
    case 'ask':
      return goTo(res, `${world.publicUrl}${resultPath(outcome.link)}`);
    case 'confirm':
      return goTo(res, withOutcome(outcome.link.return_url ?? '', { connect_link: outcome.link.id, nonce: outcome.nonce }));
  }
}
