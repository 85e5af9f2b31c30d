import express, { type Request, type Response, Router } from 'express';
import { csrfToken, isBrowserOf, isCsrfToken, readBrowser } from '../../broker/flow/browser.ts';
import { type CallbackOutcome, receiveCallback } from '../../broker/flow/callback.ts';
import { answerAccount, askedAccount, type OutOfBand, returnOutOfBand, waitingOutOfBand } from '../../broker/flow/confirm.ts';
import type { Failed } from '../../broker/flow/context.ts';
import type { Finished } from '../../broker/flow/finish.ts';
import { type Closed, type OpenLink, openLink, startFlow } from '../../broker/flow/start.ts';
import type { LinkRecord } from '../../broker/records.ts';
import { withOutcome } from '../../broker/return-urls.ts';
import { newSecret } from '../../broker/secrets.ts';
import type { World } from '../../broker/world.ts';
import { type Fault, GrantryError } from '../../protocol/errors.ts';
import { readFlowCookie, setFlowCookie } from '../cookies.ts';
import { decisions, formFields, type LinkFailure, type PageInput } from '../pages/page.ts';
import { requestIdOf } from '../request-id.ts';
import { endFlow, goTo, known, resultPath, showPage } from './show.ts';

/** The hosted pages and the callbacks: what the end user's browser sees of us. */

const formLimit = 65_536;
const mostParameters = 100;

/** The browser's own secret, made and set when it has none. */
function ensureBrowser(world: World, req: Request, res: Response): string {
  const browser = readBrowser(readFlowCookie(req, world.publicUrl)) ?? newSecret(world);
  setFlowCookie(res, world.publicUrl, browser);
  return browser;
}

const browserOf = (world: World, req: Request) => readBrowser(readFlowCookie(req, world.publicUrl));

/** The fields of a posted form; the last value of a name counts. */
function formOf(req: Request): Record<string, string> {
  const body: unknown = req.body;
  if (typeof body !== 'string') return {};
  const pairs = [...new URLSearchParams(body)].filter(([name]) => !['__proto__', 'constructor', 'prototype'].includes(name));
  if (pairs.length > mostParameters) throw new GrantryError('invalid_request', { detail: 'The form has too many fields.' });
  return Object.fromEntries(pairs);
}

const tokenOf = (req: Request): string => String(req.params.token);
const linkPath = (token: string, step?: 'return') => `/connect/${token}${step === undefined ? '' : `/${step}`}`;

function inputsOf({ missing }: OpenLink, { given, faults }: { given: Record<string, string>; faults: readonly Fault[] }): PageInput[] {
  return missing.map(({ name, input }) => {
    const error = faults.find(({ pointer }) => pointer === `/inputs/${name}`)?.detail;
    const value = given[name];
    return {
      name,
      label: input.label,
      secret: input.secret,
      optional: input.optional,
      ...(input.description !== undefined && { description: input.description }),
      ...(input.example !== undefined && { example: input.example }),
      ...(input.enum !== undefined && { choices: input.enum }),
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

function showClosed(world: World, req: Request, res: Response, closed: Closed): void {
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

function showEnd(world: World, req: Request, res: Response, outcome: Finished | Failed): void {
  switch (outcome.kind) {
    case 'connected':
      return endFlow(world, res, outcome.link, { status: 'connected', connectionId: outcome.connection.id });
    case 'failed':
      if (strangers.has(outcome.code)) return showPage(world, res, { kind: 'failed', code: outcome.code, ...known(req, outcome.link) });
      return endFlow(world, res, outcome.link, { status: 'failed', code: outcome.code });
    case 'ask':
      return goTo(res, `${world.publicUrl}${resultPath(outcome.link)}`);
    case 'confirm':
      return goTo(res, withOutcome(outcome.link.return_url ?? '', { connect_link: outcome.link.id, nonce: outcome.nonce }));
  }
}

async function start(
  world: World,
  req: Request,
  res: Response,
  { browser, given }: { browser: string; given: Record<string, string> },
): Promise<void> {
  const token = tokenOf(req);
  const outcome = await startFlow(world, { token, browser, given });
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
  world: World,
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

/** The parameters of a callback, as they were sent; undefined when there are more than anybody sends. */
function parametersOf(req: Request): [string, string][] | undefined {
  const query = req.originalUrl.indexOf('?');
  const pairs = query === -1 ? [] : [...new URLSearchParams(req.originalUrl.slice(query + 1))];
  return pairs.length > mostParameters ? undefined : pairs;
}

async function callback(world: World, req: Request, res: Response): Promise<void> {
  const parameters = parametersOf(req);
  const browser = browserOf(world, req);
  const outcome: CallbackOutcome =
    parameters === undefined
      ? { kind: 'unknown' }
      : await receiveCallback(world, { parameters, arrivedAt: `${world.publicUrl}${req.path}`, browser });
  if (outcome.kind === 'unknown') return showPage(world, res, { kind: 'failed', code: 'invalid_callback', requestId: requestIdOf(req) });
  showEnd(world, req, res, outcome);
}

/**
 * form_post: the cookie does not come along with a cross-site POST, so the same parameters go through a GET of ours. Only with a state:
 * a provider that sends none sends no form either.
 */
function postedCallback(world: World, req: Request, res: Response): void {
  const posted = new URLSearchParams(typeof req.body === 'string' ? req.body : '');
  const parameters = posted.toString();
  if (!posted.has('state') || parameters.length > 8_192)
    return showPage(world, res, { kind: 'failed', code: 'invalid_callback', requestId: requestIdOf(req) });
  goTo(res, `${world.publicUrl}${req.path}?${parameters}`);
}

/** How a finished or asking link looks in the browser that it belongs to. */
async function result(world: World, req: Request, res: Response): Promise<void> {
  const id = String(req.params.id);
  const browser = browserOf(world, req);
  const link = await world.store.links.byId(id);
  if (link === undefined || browser === undefined || !isBrowserOf(link, browser))
    return showPage(world, res, { kind: 'not_found', requestId: requestIdOf(req) });
  const project = (await world.store.projects.get(link.project_id))?.name ?? link.project_id;
  const provider = link.snapshot.definition.name;
  if (link.status === 'connected') return showPage(world, res, { kind: 'connected', project, provider });
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

async function answerAsked(world: World, req: Request, res: Response): Promise<void> {
  const id = String(req.params.id);
  const browser = browserOf(world, req);
  const asked = await askedAccount(world, id, browser);
  const form = formOf(req);
  if (asked === undefined || browser === undefined) return showPage(world, res, { kind: 'not_found', requestId: requestIdOf(req) });
  if (!isCsrfToken(browser, id, form[formFields.csrf]))
    return showPage(world, res, { kind: 'stale_form', ...known(req, asked.link), again: resultPath(asked.link) });
  const outcome = await answerAccount(world, { link: asked.link, mine: form[formFields.decision] === decisions.confirm ? 'yes' : 'no' });
  if (outcome.kind === 'unknown') return showPage(world, res, { kind: 'already_used', ...known(req, asked.link) });
  showEnd(world, req, res, outcome);
}

export function connectRouter(world: World): Router {
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
