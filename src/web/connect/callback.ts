import type { Request, Response } from 'express';
import { type CallbackOutcome, receiveCallback } from '../../broker/flow/callback.ts';
import { requestIdOf } from '../request-id.ts';
import { showEnd } from './end.ts';
import { goTo, showPage } from './show.ts';
import type { Site } from './telling.ts';
import { browserOf, mostParameters } from './visitor.ts';

/** The parameters of a callback, as they were sent; undefined when there are more than anybody sends. */
function parametersOf(req: Request): [string, string][] | undefined {
  const query = req.originalUrl.indexOf('?');
  const pairs = query === -1 ? [] : [...new URLSearchParams(req.originalUrl.slice(query + 1))];
  return pairs.length > mostParameters ? undefined : pairs;
}

/** The one handler behind every callback URL. */
export async function callback(world: Site, req: Request, res: Response): Promise<void> {
  const parameters = parametersOf(req);
  const browser = browserOf(world, req);
  const outcome: CallbackOutcome =
    parameters === undefined
      ? { kind: 'unknown' }
      : await receiveCallback(world, { parameters, arrivedAt: `${world.publicUrl}${req.path}`, browser });
  res.locals.isUnknownCallback = outcome.kind === 'unknown';
  if (outcome.kind === 'unknown') return showPage(world, res, { kind: 'failed', code: 'invalid_callback', requestId: requestIdOf(req) });
  await showEnd(world, req, res, outcome);
}

/**
 * form_post: the cookie does not come along with a cross-site POST, so the same parameters go through a GET of ours. Only with a state:
 * a provider that sends none sends no form either.
 */
export function postedCallback(world: Site, req: Request, res: Response): void {
  const posted = new URLSearchParams(typeof req.body === 'string' ? req.body : '');
  const parameters = posted.toString();
  if (!posted.has('state') || parameters.length > 8_192)
    return showPage(world, res, { kind: 'failed', code: 'invalid_callback', requestId: requestIdOf(req) });
  goTo(res, `${world.publicUrl}${req.path}?${parameters}`);
}
