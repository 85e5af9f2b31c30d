import express, { type Request, type Response, Router } from 'express';
import { csrfToken, isCsrfToken } from '../../broker/flow/browser.ts';
import { type OutOfBand, returnOutOfBand, waitingOutOfBand } from '../../broker/flow/confirm.ts';
import { type OpenLink, openLink, startFlow } from '../../broker/flow/start.ts';
import type { LinkRecord } from '../../broker/records.ts';
import type { World } from '../../broker/world.ts';
import { optionsOf } from '../../protocol/definition/choices.ts';
import type { Fault } from '../../protocol/errors.ts';
import { setFlowCookie } from '../cookies.ts';
import { formFields, type PageInput } from '../pages/page.ts';
import type { Witness } from '../witness.ts';
import { callback, postedCallback } from './callback.ts';
import { showClosed, showEnd } from './end.ts';
import { answerAsked, result } from './result.ts';
import { goTo, known, showPage } from './show.ts';
import { type Site, tellOpened, tellStarted } from './telling.ts';
import { browserOf, ensureBrowser, formOf } from './visitor.ts';

/** The hosted pages and the callbacks: what the end user's browser sees of us. */

const formLimit = 65_536;

const tokenOf = (req: Request): string => String(req.params.token);
const linkPath = (token: string, step?: 'return') => `/connect/${token}${step === undefined ? '' : `/${step}`}`;

function inputsOf({ missing }: OpenLink, { given, faults }: { given: Record<string, string>; faults: readonly Fault[] }): PageInput[] {
  return missing.map(({ name, input }) => {
    const error = faults.find(({ pointer }) => pointer === `/inputs/${name}`)?.detail;
    const value = given[name];
    const options = optionsOf(input);
    return {
      name,
      label: input.label,
      secret: input.secret,
      lines: input.private_key,
      optional: input.optional,
      ...(input.description !== undefined && { description: input.description }),
      ...(input.example !== undefined && { example: input.example }),
      ...(options !== undefined && { choices: options.map((option) => ({ value: option, label: input.choices?.[option]?.label ?? option })) }),
      ...(value !== undefined && !input.secret && { value }),
      ...(error !== undefined && { error }),
    };
  });
}

function reconnectOf(link: LinkRecord): 'first' | 'again' | 'invalidates_existing' {
  if (link.reconnects === null) return 'first';
  const method = link.snapshot.definition.methods[link.snapshot.method];
  return method?.grant === 'oauth1' ? (method.reconnect === 'invalidates_existing' ? 'invalidates_existing' : 'again') : 'again';
}

function showConnect(
  world: World,
  res: Response,
  open: OpenLink,
  { token, browser, given = {}, faults = [] }: { token: string; browser: string; given?: Record<string, string>; faults?: readonly Fault[] },
): void {
  const { link } = open;
  showPage(
    world,
    res,
    {
      kind: 'connect',
      purpose: link.purpose,
      project: open.project,
      provider: link.snapshot.definition.name,
      endUser: link.end_user.display_name ?? link.end_user.email ?? link.end_user.id,
      scopes: link.scopes,
      host: open.host,
      action: linkPath(token),
      csrf: csrfToken(browser, link.id),
      inputs: inputsOf(open, { given, faults }),
      reconnect: reconnectOf(link),
      sends: open.sends,
    },
    { leaves: 'us' },
  );
}

async function start(
  world: Site,
  req: Request,
  res: Response,
  { browser, given }: { browser: string; given: Record<string, string> },
): Promise<void> {
  const token = tokenOf(req);
  const outcome = await startFlow(world, { token, browser, given });
  await tellStarted(world, req, outcome);
  switch (outcome.kind) {
    case 'redirect':
      return goTo(res, outcome.url);
    case 'out_of_band':
      return goTo(res, `${world.publicUrl}${linkPath(token, 'return')}`);
    case 'bad_inputs': {
      const open = await openLink(world, token, browser);
      if (open.kind !== 'open') return showClosed(world, req, res, open);
      return showConnect(world, res, open, { token, browser, given, faults: outcome.faults });
    }
    case 'try_later':
      return showPage(world, res, { kind: 'failed', code: 'provider_error', ...known(req, outcome.link), again: linkPath(token) });
    case 'missing':
    case 'expired':
    case 'finished':
    case 'other_browser':
      return showClosed(world, req, res, outcome);
    default:
      return showEnd(world, req, res, outcome);
  }
}

function showOutOfBand(
  world: World,
  res: Response,
  { link, project, url, verifier }: OutOfBand,
  { token, browser, error }: { token: string; browser: string; error?: string },
): void {
  showPage(
    world,
    res,
    {
      kind: 'out_of_band',
      project,
      provider: link.snapshot.definition.name,
      host: new URL(url).host,
      authorizeUrl: url,
      action: linkPath(token, 'return'),
      csrf: csrfToken(browser, link.id),
      verifier,
      ...(error !== undefined && { error }),
    },
    { leaves: 'us' },
  );
}

/** The link behind a posted form, when the form is ours and this browser's. Otherwise the answer has been given. */
async function trustedForm(
  world: Site,
  req: Request,
  res: Response,
): Promise<{ open: OpenLink; browser: string; form: Record<string, string> } | undefined> {
  const token = tokenOf(req);
  const browser = browserOf(world, req);
  const open = await openLink(world, token, browser);
  if (open.kind !== 'open') {
    showClosed(world, req, res, open);
    return undefined;
  }
  const form = formOf(req);
  if (browser === undefined || !isCsrfToken(browser, open.link.id, form[formFields.csrf])) {
    showPage(world, res, { kind: 'stale_form', ...known(req, open.link), again: linkPath(token) });
    return undefined;
  }
  setFlowCookie(res, world.publicUrl, browser);
  return { open, browser, form };
}

export function connectRouter(broker: World, witness: Witness): Router {
  const world: Site = { ...broker, witness };
  const router = Router({ caseSensitive: true, strict: true });
  const form = express.text({ type: 'application/x-www-form-urlencoded', limit: formLimit });

  // Neither a HEAD nor a prefetch is a visit: they change nothing.
  router.use(['/connect', '/oauth/callback'], (req, res, next) => {
    const isVisit = req.method !== 'HEAD' && !/prefetch|prerender/i.test(`${req.headers['sec-purpose'] ?? ''}${req.headers.purpose ?? ''}`);
    if (isVisit) next();
    else res.status(204).set('Cache-Control', 'no-store').end();
  });

  router.get('/connect/result/:id', (req, res) => result(world, req, res));
  router.post('/connect/result/:id', form, (req, res) => answerAsked(world, req, res));

  router.get('/connect/:token', async (req: Request, res: Response) => {
    const open = await openLink(world, tokenOf(req), browserOf(world, req));
    if (open.kind !== 'open') return showClosed(world, req, res, open);
    await tellOpened(world, req, open);
    const browser = ensureBrowser(world, req, res);
    if (open.link.page === 'skipped') return start(world, req, res, { browser, given: {} });
    showConnect(world, res, open, { token: tokenOf(req), browser });
  });
  router.post('/connect/:token', form, async (req: Request, res: Response) => {
    const trusted = await trustedForm(world, req, res);
    if (trusted !== undefined) await start(world, req, res, { browser: trusted.browser, given: trusted.form });
  });
  router.get('/connect/:token/return', async (req: Request, res: Response) => {
    const token = tokenOf(req);
    const browser = browserOf(world, req);
    const waiting = await waitingOutOfBand(world, token, browser);
    if (waiting.kind === 'waiting' && browser !== undefined) return showOutOfBand(world, res, waiting, { token, browser });
    if (waiting.kind === 'waiting' || waiting.kind === 'not_started') return goTo(res, `${world.publicUrl}${linkPath(token)}`);
    showClosed(world, req, res, waiting);
  });
  router.post('/connect/:token/return', form, async (req: Request, res: Response) => {
    const trusted = await trustedForm(world, req, res);
    if (trusted === undefined) return;
    const token = tokenOf(req);
    const outcome = await returnOutOfBand(world, { token, browser: trusted.browser, verifier: trusted.form[formFields.verifier] });
    switch (outcome.kind) {
      case 'missing':
      case 'expired':
      case 'finished':
      case 'other_browser':
        return showClosed(world, req, res, outcome);
      case 'not_started':
        return goTo(res, `${world.publicUrl}${linkPath(token)}`);
      case 'verifier_needed':
        return showOutOfBand(world, res, outcome.waiting, { token, browser: trusted.browser, error: 'Enter the code that you were shown.' });
      case 'not_allowed_yet':
        return showOutOfBand(world, res, outcome.waiting, {
          token,
          browser: trusted.browser,
          error: `${outcome.waiting.link.snapshot.definition.name} says that access has not been allowed yet. Open it and allow access, then come back.`,
        });
      default:
        return showEnd(world, req, res, outcome);
    }
  });

  for (const path of ['/oauth/callback', '/oauth/callback/:context']) {
    router.get(path, (req, res) => callback(world, req, res));
    router.post(path, form, (req, res) => postedCallback(world, req, res));
  }
  return router;
}
