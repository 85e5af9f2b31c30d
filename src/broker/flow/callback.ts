import { createHmac } from 'node:crypto';
import { optionalEndpointUrl } from '../../grants/endpoint.ts';
import { fillFromCallback } from '../../protocol/definition/callback-inputs.ts';
import type { AuthorizationCodeMethod } from '../../protocol/definition/schema.ts';
import { isGrantryError } from '../../protocol/errors.ts';
import type { CallbackAnswer, GrantContext } from '../../protocol/grant.ts';
import { openSecrets } from '../client-secrets.ts';
import type { IntegrationRecord, LinkErrorCode, LinkRecord } from '../records.ts';
import { isSecretText, sameBytes, sha256 } from '../secrets.ts';
import type { World } from '../world.ts';
import { isBrowserOf } from './browser.ts';
import { type Check, watchCallback } from './callback-trace.ts';
import { type Failed, failLink, linkContext, linkInputs, linkMethod, openBegun } from './context.ts';
import { type Finished, finishFlow, holdForUser } from './finish.ts';

/** What arrived at a callback: the parameters in order, the URL it arrived at, and the flow cookie. */
export type CallbackRequest = {
  parameters: readonly (readonly [string, string])[];
  /** Our own redirect URI that was hit, without its query. */
  arrivedAt: string;
  browser: string | undefined;
};

/** `unknown`: no flow waits for this; nothing was changed. */
export type CallbackOutcome = { kind: 'unknown' } | Failed | Finished;

const longestValue = 8_192;

class Parameters {
  readonly #all = new Map<string, string[]>();
  constructor(pairs: CallbackRequest['parameters']) {
    for (const [name, value] of pairs) this.#all.set(name, [...(this.#all.get(name) ?? []), value]);
  }
  has(name: string): boolean {
    return this.#all.has(name);
  }
  /** The value when there is exactly one of sane length. */
  single(name: string): string | undefined {
    const values = this.#all.get(name);
    return values?.length === 1 && (values[0]?.length ?? 0) <= longestValue ? values[0] : undefined;
  }
  entries(): [string, string[]][] {
    return [...this.#all];
  }
}

/** Takes the flow that this callback is for: the state decides, and only where a provider sends none, the cookie. */
async function takeFlow(world: World, parameters: Parameters, { arrivedAt, browser }: CallbackRequest): Promise<LinkRecord | undefined> {
  if (parameters.has('state')) {
    const state = parameters.single('state');
    return isSecretText(state) ? world.store.links.consumeState(sha256(state)) : undefined;
  }
  // Without a state: the one flow of this browser that waits at this very callback, of a definition that says so. Such a callback is never shared.
  if (browser === undefined) return undefined;
  return world.store.links.consumeByBrowser(sha256(browser), arrivedAt);
}

/** RFC 9207: what is wrong with the answer's `iss`; undefined when nothing is. */
function issuerFault(ctx: GrantContext, method: AuthorizationCodeMethod, parameters: Parameters): string | undefined {
  const expected = optionalEndpointUrl(ctx, method.issuer);
  if (!parameters.has('iss'))
    return expected !== undefined && method.iss_parameter === 'required' ? 'The answer does not name its issuer.' : undefined;
  if (expected === undefined) return 'The answer names an issuer and the definition has none.';
  return parameters.single('iss') === expected ? undefined : 'The answer names another issuer than the definition.';
}

/** Callbacks that a provider signs with one of our client secrets: every other parameter, sorted, as name=value joined by &. */
async function isSigned(
  world: World,
  integration: IntegrationRecord,
  { method, parameters }: { method: AuthorizationCodeMethod; parameters: Parameters },
): Promise<boolean> {
  const { signature } = method.callback;
  if (signature === undefined) return true;
  const given = parameters.single(signature.param);
  if (given === undefined) return false;
  const message = parameters
    .entries()
    .filter(([name]) => name !== signature.param)
    .map(([name, values]) => `${name}=${values.join(',')}`)
    .sort()
    .join('&');
  const secrets = await openSecrets(world, integration);
  // As text: read as hexadecimal, whatever stands behind the digits would be passed over.
  const sent = Buffer.from(given.toLowerCase());
  return secrets.some((secret) => sameBytes(Buffer.from(createHmac('sha256', secret).update(message).digest('hex')), sent));
}

/** A code that was seen before stops this flow and the one that it was seen in, which may be connected by now. */
async function stopBoth(world: World, link: LinkRecord, firstLinkId: string): Promise<Failed> {
  const detail = 'The same authorization code arrived in two flows.';
  world.log.warn({ link: link.id, first: firstLinkId }, 'authorization code replayed');
  const first = firstLinkId === link.id ? undefined : await world.store.links.byId(firstLinkId);
  if (first !== undefined) await failLink(world, first, 'code_replayed', detail);
  const connected = first === undefined ? undefined : await world.store.links.byId(firstLinkId);
  if (connected !== undefined && connected.connection_id !== null) {
    await world.store.connections.requireReauthorization(connected.project_id, connected.connection_id, 'code_replayed', [
      {
        project_id: connected.project_id,
        type: 'connection.reauthorization_required',
        integration_id: connected.integration_id,
        connection_id: connected.connection_id,
        data: { reason: 'code_replayed', why: detail, next: 'Make a connect link with this connection_id.' },
      },
    ]);
  }
  return failLink(world, link, 'code_replayed', detail);
}

/** Without what the callback does not say. */
const said = (all: Record<string, string | undefined>) => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));

/** A denial without an error: all that the definition lists came, with these values. */
function isDeniedBy(method: AuthorizationCodeMethod, parameters: Parameters): boolean {
  const signs = Object.entries(method.callback.denied_by);
  return signs.length > 0 && signs.every(([name, value]) => parameters.single(name) === value);
}

const declined = new Set(['access_denied', 'user_denied', 'consent_required']);

/**
 * The one handler of every callback. Nothing is sent to anybody before all checks have passed, in this order: state (taken
 * by one statement) - cookie - redirect URI - iss - a single code - inputs that it fills in - code ledger -
 * oauth_token.
 */
export async function receiveCallback(world: World, request: CallbackRequest): Promise<CallbackOutcome> {
  const parameters = new Parameters(request.parameters);
  const link = await takeFlow(world, parameters, request);
  if (link === undefined) return { kind: 'unknown' };
  const method = linkMethod(link);
  const checked = watchCallback(world, link, parameters);
  /** Ends the flow at the check that did not hold. */
  const refuse = async (check: Check, code: LinkErrorCode, detail: string) => {
    await checked(check, detail);
    return failLink(world, link, code, detail);
  };
  if (method.grant !== 'authorization_code' && method.grant !== 'oauth1') return refuse('state', 'invalid_callback', 'This method has no callback.');

  if (!isBrowserOf(link, request.browser))
    return refuse('browser', 'wrong_browser', 'The answer arrived in another browser than the one that began.');
  if (link.redirect_uri !== request.arrivedAt)
    return refuse('redirect_uri', 'redirect_mismatch', 'The answer arrived at another callback than the one that was sent.');

  const begun = await openBegun(world, link);
  if (begun === undefined) return refuse('state', 'invalid_callback', 'The flow was not started in full.');
  let ctx: GrantContext;
  let integration: IntegrationRecord;
  try {
    ({ ctx, integration } = await linkContext(world, link, begun.inputs));
  } catch (error) {
    // The integration is gone, or is another app now: nothing of this answer may go there.
    if (!isGrantryError(error, 'conflict')) throw error;
    return refuse('registration', 'exchange_failed', error.message);
  }
  if (method.grant === 'authorization_code') {
    const fault = issuerFault(ctx, method, parameters);
    if (fault !== undefined) return refuse('issuer', 'issuer_mismatch', fault);
    if (!(await isSigned(world, integration, { method, parameters })))
      return refuse('signature', 'invalid_callback', "The provider's signature on the answer does not hold.");
  }

  const codeName = method.grant === 'oauth1' ? 'oauth_token' : method.callback.code;
  const refusals = ['error', 'denied'].filter((name) => parameters.has(name));
  const deniedBy = method.grant === 'authorization_code' && isDeniedBy(method, parameters);
  if (refusals.length > 0 || deniedBy) {
    if (method.grant === 'authorization_code' && parameters.has(codeName))
      return refuse('refusal', 'invalid_callback', 'The answer holds both a code and an error.');
    const error = parameters.single('error') ?? '';
    const isDenial = deniedBy || parameters.has('denied') || declined.has(error) || method.callback.denied.includes(error);
    return isDenial
      ? refuse('refusal', 'access_denied', 'The end user declined at the provider.')
      : refuse('refusal', 'provider_error', 'The provider answered with an error instead of an authorization.');
  }

  const code = parameters.single(codeName);
  if (code === undefined || code === '' || /[^\x20-\x7e]/.test(code))
    return refuse('code', 'invalid_callback', 'The answer does not hold exactly one code.');
  const verifier = parameters.single('oauth_verifier');
  if (method.grant === 'oauth1' && method.callback.verifier === 'required' && (verifier === undefined || verifier === '')) {
    return refuse('verifier', 'invalid_callback', 'The answer does not hold a verifier.');
  }
  if (method.grant === 'oauth1' && verifier !== undefined && method.callback.denied.includes(verifier))
    return refuse('refusal', 'access_denied', 'The end user declined at the provider.');
  const filled = fillFromCallback(link.snapshot.definition, method, {
    given: await linkInputs(world, link),
    parameters,
    allowPrivateHosts: world.allowPrivateHosts,
  });
  if (filled.kind === 'refused') return refuse('inputs', 'invalid_callback', filled.detail);
  const first = await world.store.ledger.record(sha256(method.grant === 'oauth1' ? `oauth1 ${code}` : code), link.id);
  if (first !== undefined) {
    await checked('replay', 'The same authorization code arrived before.');
    return stopBoth(world, link, first);
  }

  if (method.grant === 'oauth1' && begun.pending.requestToken !== code) {
    return refuse('request_token', 'invalid_callback', 'The answer names the request token of another flow.');
  }

  await checked();
  const kept = method.callback.keep.map((name) => [name, parameters.single(name)] as const);
  const keep = Object.fromEntries(kept.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
  const answer: CallbackAnswer =
    method.grant === 'oauth1'
      ? { code: '', oauthToken: code, ...(verifier !== undefined && { oauthVerifier: verifier }), keep }
      : { code, ...said({ state: parameters.single('state'), scope: method.callback.scope && parameters.single(method.callback.scope) }), keep };
  const continuation = { kind: 'callback', answer, filled: filled.values } as const;
  return link.verification === 'user' ? holdForUser(world, link, continuation) : finishFlow(world, link, continuation);
}
