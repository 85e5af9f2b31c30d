import type { Request, Response } from 'express';
import { csrfToken, isBrowserOf, isCsrfToken } from '../../broker/flow/browser.ts';
import { answerAccount, askedAccount } from '../../broker/flow/confirm.ts';
import { connectionOfLink } from '../../broker/links.ts';
import { outcomeOf } from '../../broker/tests.ts';
import type { World } from '../../broker/world.ts';
import { isIdOf } from '../api/path-ids.ts';
import { decisions, formFields, type LinkFailure } from '../pages/page.ts';
import { requestIdOf } from '../request-id.ts';
import { showEnd } from './end.ts';
import { known, resultPath, showPage } from './show.ts';
import type { Site } from './telling.ts';
import { browserOf, formOf } from './visitor.ts';

/** How a finished or asking link looks in the browser that it belongs to. */
export async function result(world: World, req: Request, res: Response): Promise<void> {
  const id = String(req.params.id);
  const browser = browserOf(world, req);
  const link = isIdOf('lnk', id) ? await world.store.links.byId(id) : undefined;
  if (link === undefined || browser === undefined || !isBrowserOf(link, browser))
    return showPage(world, res, { kind: 'not_found', requestId: requestIdOf(req) });
  const project = (await world.store.projects.get(link.project_id))?.name ?? link.project_id;
  const provider = link.snapshot.definition.name;
  if (link.purpose === 'test') {
    const outcome = outcomeOf(link, await world.store.tests.steps(id));
    if (outcome === 'waiting') return showPage(world, res, { kind: 'not_found', requestId: requestIdOf(req) });
    return showPage(world, res, { kind: 'tested', provider, integration: link.integration_id, outcome });
  }
  if (link.status === 'connected') {
    const missing = (await connectionOfLink(world, link))?.missing_scopes ?? [];
    return showPage(world, res, { kind: 'connected', project, provider, missing });
  }
  if (link.error_code !== null) return showPage(world, res, { kind: 'failed', code: link.error_code as LinkFailure, ...known(req, link) });
  const asked = await askedAccount(world, id, browser);
  if (asked === undefined) return showPage(world, res, { kind: 'not_found', requestId: requestIdOf(req) });
  const endUser = link.end_user.display_name ?? link.end_user.email ?? link.end_user.id;
  showPage(
    world,
    res,
    { kind: 'confirmation', project, provider, endUser, account: asked.account, action: resultPath(link), csrf: csrfToken(browser, id) },
    { leaves: 'us' },
  );
}

/** The end user's word on whether the account is hers. */
export async function answerAsked(world: Site, req: Request, res: Response): Promise<void> {
  const id = String(req.params.id);
  const browser = browserOf(world, req);
  const asked = isIdOf('lnk', id) ? await askedAccount(world, id, browser) : undefined;
  const form = formOf(req);
  if (asked === undefined || browser === undefined) return showPage(world, res, { kind: 'not_found', requestId: requestIdOf(req) });
  if (!isCsrfToken(browser, id, form[formFields.csrf]))
    return showPage(world, res, { kind: 'stale_form', ...known(req, asked.link), again: resultPath(asked.link) });
  const outcome = await answerAccount(world, { link: asked.link, mine: form[formFields.decision] === decisions.confirm ? 'yes' : 'no' });
  if (outcome.kind === 'unknown') return showPage(world, res, { kind: 'already_used', ...known(req, asked.link) });
  await showEnd(world, req, res, outcome);
}
