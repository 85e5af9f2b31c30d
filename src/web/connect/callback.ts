import type { Request, Response } from 'express';
import { type CallbackOutcome, receiveCallback } from '../../broker/flow/callback.ts';
import { requestIdOf } from '../request-id.ts';
import { callbackParameters } from './callback-query.ts';
import { showEnd } from './end.ts';
import { goTo, showPage } from './show.ts';
import type { Site } from './telling.ts';
import { browserOf } from './visitor.ts';

/** The one handler behind every callback URL. */
export async function callback(world: Site, req: Request, res: Response): Promise<void> {
  const parameters = callbackParameters(req.originalUrl);
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
 * a provider that sends none sends no form either. Nothing may stand in the query beside it: an answer has one place, or somebody has mixed two.
 */
export function postedCallback(world: Site, req: Request, res: Response): void {
  const posted = new URLSearchParams(typeof req.body === 'string' ? req.body : '');
  const parameters = posted.toString();
  if (!posted.has('state') || parameters.length > 8_192 || req.originalUrl.includes('?'))
    return showPage(world, res, { kind: 'failed', code: 'invalid_callback', requestId: requestIdOf(req) });
  goTo(res, `${world.publicUrl}${req.path}?${parameters}`);
}
