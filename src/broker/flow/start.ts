import { grantFor } from '../../grants/index.ts';
import { apiOf } from '../../protocol/definition/api.ts';
import { chosenValues } from '../../protocol/definition/choices.ts';
import { completeInputs } from '../../protocol/definition/inputs.ts';
import type { Input } from '../../protocol/definition/schema.ts';
import { type Fault, GrantryError, isGrantryError } from '../../protocol/errors.ts';
import type { Started } from '../../protocol/grant.ts';
import { showRequest } from '../../protocol/trace/shown-request.ts';
import { withSecretsOf } from '../client-secrets.ts';
import { markMisconfigured } from '../integrations.ts';
import { eventsOf, isOverdue } from '../links.ts';
import type { LinkRecord } from '../records.ts';
import { isSecretText, newSecret, sha256 } from '../secrets.ts';
import type { World } from '../world.ts';
import { isBrowserOf } from './browser.ts';
import { type Failed, failLink, linkContext, linkInputs, linkMethod, mostTries, sealBegun } from './context.ts';
import { type Finished, finishOrRefuse, holdForUser } from './finish.ts';
import { learnPending, noteStep, type Trace } from './trace.ts';

/** How long a state waits for its answer. */
const stateTtlS = 600;

export type OpenLink = {
  kind: 'open';
  link: LinkRecord;
  project: string;
  /** What the page has to ask for. */
  missing: { name: string; input: Input }[];
  sends: 'to_provider' | 'directly';
  /** The host that the browser goes to next, as far as the given inputs tell. */
  host: string;
};
export type Closed =
  | { kind: 'missing' }
  | { kind: 'expired'; link: LinkRecord }
  | { kind: 'finished'; link: LinkRecord }
  | { kind: 'other_browser'; link: LinkRecord };

function nextHost(link: LinkRecord, inputs: Record<string, string>): string {
  const method = linkMethod(link);
  const template =
    'authorization_endpoint' in method
      ? method.authorization_endpoint
      : 'token_endpoint' in method
        ? method.token_endpoint
        : apiOf(link.snapshot.definition, method).base_url;
  if (template === undefined) return link.snapshot.definition.name;
  const declared = { ...link.snapshot.definition.inputs, ...method.inputs };
  const defaults = Object.entries(declared).flatMap(([name, input]) => (input.default === undefined ? [] : [[name, input.default]]));
  const given: Record<string, string> = { ...Object.fromEntries(defaults), ...inputs };
  const values = { ...chosenValues(declared, given), ...given };
  const filled = template.replace(/\{([^{}]+)\}/g, (_, name: string) => values[name] ?? '…');
  return /^https?:\/\/([^/?#]+)/.exec(filled)?.[1] ?? filled;
}

/** Looks a link up by the token of its URL. Nothing begins by looking; only the first look is noted. */
export async function openLink(world: World, token: string, browser: string | undefined): Promise<OpenLink | Closed> {
  const link = isSecretText(token) ? await world.store.links.byToken(sha256(token)) : undefined;
  if (link === undefined) return { kind: 'missing' };
  if (link.finished_at === null && isOverdue(world, link)) {
    await failLink(world, link, 'link_expired', 'Nobody finished the link in time.');
    return { kind: 'expired', link };
  }
  if (link.error_code === 'link_expired' || link.status === 'expired') return { kind: 'expired', link };
  if (link.browser_hash !== null && !isBrowserOf(link, browser)) return { kind: 'other_browser', link };
  if (link.finished_at !== null || link.status === 'exchanging' || link.status === 'confirming') return { kind: 'finished', link };
  if (link.status === 'pending') {
    const opened = { project_id: link.project_id, type: 'connect_link.opened', integration_id: link.integration_id, link_id: link.id } as const;
    await world.store.links.open(link.id, eventsOf(link, [opened]));
    await noteStep(world, link, { step: 'page', outcome: 'ok', what: 'The page of the link was opened.' });
  }
  const inputs = await linkInputs(world, link);
  const method = linkMethod(link);
  const { missing } = completeInputs(link.snapshot.definition, method, inputs, { allowPrivateHosts: world.allowPrivateHosts });
  // The integration has changed since the link was made: what only others may say is asked of nobody here.
  if (missing.some(({ input }) => input.asked_of !== 'end_user')) {
    await failLink(world, link, 'exchange_failed', 'The link lacks what its end user cannot be asked for.');
    return { kind: 'finished', link };
  }
  const project = await world.store.projects.get(link.project_id);
  return {
    kind: 'open',
    link,
    project: project?.name ?? link.project_id,
    missing,
    sends: method.grant === 'authorization_code' || method.grant === 'oauth1' ? 'to_provider' : 'directly',
    host: nextHost(link, inputs),
  };
}

export type StartOutcome =
  | Closed
  | Failed
  | Finished
  | { kind: 'bad_inputs'; faults: Fault[] }
  | { kind: 'try_later'; link: LinkRecord }
  | { kind: 'redirect'; link: LinkRecord; url: string }
  /** The provider sends nobody back: the page that says so is next. */
  | { kind: 'out_of_band'; link: LinkRecord };

/** Why a link that was open to this browser a moment ago could not begin. */
async function whyNotBegun(world: World, token: string, browser: string): Promise<StartOutcome> {
  const now = await openLink(world, token, browser);
  if (now.kind !== 'open') return now;
  // An answer may still come for the state that lives, but nothing begins anew.
  return now.link.expires_at <= world.now() ? { kind: 'expired', link: now.link } : { kind: 'try_later', link: now.link };
}

/**
 * The end user goes on: takes the link for this browser, and asks the grant where to go. The same browser may begin again
 * until the link is finished; the state before is void then.
 */
export async function startFlow(
  world: World,
  { token, browser, given }: { token: string; browser: string; given: Record<string, string> },
): Promise<StartOutcome> {
  const open = await openLink(world, token, browser);
  if (open.kind !== 'open') return open;
  const { missing } = open;

  const asked = new Set(missing.map(({ name }) => name));
  const answers = Object.fromEntries(Object.entries(given).filter(([name, value]) => asked.has(name) && value !== ''));
  const method = linkMethod(open.link);
  const completed = completeInputs(
    open.link.snapshot.definition,
    method,
    { ...(await linkInputs(world, open.link)), ...answers },
    { allowPrivateHosts: world.allowPrivateHosts },
  );
  const faults = [...completed.faults, ...completed.missing.map(({ name }) => ({ pointer: `/inputs/${name}`, detail: 'A value is needed.' }))];
  if (faults.length > 0) return { kind: 'bad_inputs', faults };

  const state = newSecret(world);
  const link = await world.store.links.begin(open.link.id, sha256(browser), sha256(state), stateTtlS);
  if (link === undefined) return whyNotBegun(world, token, browser);

  if (open.sends === 'directly') {
    const taken = await world.store.links.consumeState(sha256(state));
    if (taken === undefined) return { kind: 'other_browser', link };
    if (link.verification === 'user') return holdForUser(world, taken, { kind: 'direct', inputs: completed.values });
    const outcome = await finishOrRefuse(world, taken, { kind: 'direct', inputs: completed.values });
    if (outcome.kind !== 'refused') return outcome;
    // Without a question there is nothing that she could put right.
    if (missing.length === 0) return failLink(world, taken, 'exchange_failed', 'The provider does not accept what was given with the link.');
    if (taken.attempt >= mostTries) return failLink(world, taken, 'exchange_failed', 'The provider refused what was entered too often.');
    await world.store.links.release(taken.id, taken.attempt);
    const typed = missing.filter(({ input }) => input.secret);
    const detail = `${link.snapshot.definition.name} does not accept this.`;
    return { kind: 'bad_inputs', faults: (typed.length > 0 ? typed : missing).map(({ name }) => ({ pointer: `/inputs/${name}`, detail })) };
  }

  let started: Started;
  let trace: Trace | undefined;
  try {
    const prepared = await linkContext(world, link, completed.values);
    trace = prepared.trace;
    trace?.masks.learn('state', state);
    trace?.begin('request_token');
    try {
      started = await withSecretsOf(world, prepared, (ctx) =>
        grantFor(ctx.method).start(ctx, { redirectUri: link.redirect_uri, state, scopes: link.scopes, endpoint: link.endpoint }),
      );
    } catch (error) {
      await trace?.noteFailure(error);
      if (trace === undefined && isGrantryError(error, 'invalid_client')) await markMisconfigured(world, prepared.integration, { error });
      throw error;
    }
  } catch (error) {
    if (!isGrantryError(error)) throw error;
    world.log.warn({ link: link.id, code: error.code }, 'flow could not be started');
    if (!error.retryable) return failLink(world, link, 'provider_error', error.message);
    await world.store.links.release(link.id, link.attempt);
    return { kind: 'try_later', link };
  }
  if (started.kind === 'credential') throw new GrantryError('internal_error', { detail: 'A grant with a browser gave a credential at once.' });
  const kept = await world.store.links.keepPending(
    link.id,
    link.attempt,
    await sealBegun(world, link, {
      pending: started.kind === 'out_of_band' ? { ...started.pending, authorizeUrl: started.redirect } : started.pending,
      inputs: completed.values,
    }),
    eventsOf(link, [{ project_id: link.project_id, type: 'connect_link.authorizing', integration_id: link.integration_id, link_id: link.id }]),
  );
  if (!kept) return { kind: 'other_browser', link };
  if (trace !== undefined) {
    learnPending(trace.masks, started.pending);
    const request = showRequest(trace.masks, { method: 'GET', url: started.redirect });
    await trace.note({ step: 'authorization', outcome: 'ok', what: 'The browser was sent to the provider.', request });
  }
  return started.kind === 'redirect' ? { kind: 'redirect', link, url: started.redirect } : { kind: 'out_of_band', link };
}
