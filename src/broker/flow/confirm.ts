import { Credential, type CredentialFields } from '../../protocol/credential.ts';
import { GrantryError, isGrantryError } from '../../protocol/errors.ts';
import { giveBack } from '../connecting.ts';
import { isOverdue } from '../links.ts';
import type { LinkRecord } from '../records.ts';
import { isSecretText, newSecret, sha256 } from '../secrets.ts';
import type { World } from '../world.ts';
import { isBrowserOf } from './browser.ts';
import { type Failed, failLink, linkContext, linkMethod, mostTries, openBegun, sealBegun } from './context.ts';
import { askNonce, type Finished, finishFlow, finishOrRefuse, heldContinuation, holdForUser } from './finish.ts';
import { type Closed, openLink } from './start.ts';

/**
 * The integrator's server says who is signed in. The nonce is taken first, so that it serves once whatever comes of it.
 * Throws `not_found`, `link_expired`, `conflict` (not the nonce we wait for), `wrong_user`, or why the exchange failed.
 */
export async function confirmLink(
  world: World,
  project: string,
  id: string,
  { nonce, endUserId }: { nonce: string; endUserId: string },
): Promise<LinkRecord> {
  const link = await world.store.links.get(project, id);
  if (link === undefined) throw new GrantryError('not_found');
  const taken = isSecretText(nonce) ? await world.store.links.takeNonce(project, id, sha256(nonce)) : undefined;
  if (taken === undefined) {
    if (isOverdue(world, link) || link.error_code === 'link_expired')
      throw new GrantryError('link_expired', { detail: 'The nonce has expired; make a new connect link.' });
    throw new GrantryError('conflict', { detail: 'This is not the nonce that this link waits for.' });
  }
  if (taken.end_user.id !== endUserId) {
    await failLink(world, taken, 'wrong_user', 'Another end user finished the link than the one it was made for.');
    throw new GrantryError('wrong_user');
  }
  const outcome = await finishFlow(world, taken, await heldContinuation(world, taken));
  if (outcome.kind === 'failed') throw new GrantryError(outcome.code);
  return (await world.store.links.get(project, id)) ?? taken;
}

/** A link in this browser that has an account waiting for the end user's word. */
export async function askedAccount(
  world: World,
  id: string,
  browser: string | undefined,
): Promise<{ link: LinkRecord; account: string | undefined } | undefined> {
  const link = await world.store.links.byId(id);
  if (link === undefined || !isBrowserOf(link, browser) || link.status !== 'confirming' || link.verification !== 'browser' || isOverdue(world, link))
    return undefined;
  const held = await heldContinuation(world, link);
  return held.kind === 'credential' ? { link, account: held.account } : undefined;
}

/** The end user says whether the account is hers. `unknown`: nothing waits for that here. */
export async function answerAccount(
  world: World,
  { link, mine }: { link: LinkRecord; mine: 'yes' | 'no' },
): Promise<Finished | Failed | { kind: 'unknown' }> {
  const taken = await world.store.links.takeNonce(link.project_id, link.id, sha256(askNonce(link)));
  if (taken === undefined) return { kind: 'unknown' };
  const held = await heldContinuation(world, taken);
  if (mine === 'yes') return finishFlow(world, taken, held);
  const begun = await openBegun(world, taken);
  const failed = await failLink(world, taken, 'access_denied', 'The end user says that this is not her account.');
  if (held.kind === 'credential') await returnCredential(world, taken, { fields: held.fields, inputs: begun?.inputs ?? {} });
  return failed;
}

/** Revokes what was obtained and is not wanted, where the provider takes it back. */
async function returnCredential(
  world: World,
  link: LinkRecord,
  { fields, inputs }: { fields: CredentialFields; inputs: Record<string, string> },
): Promise<void> {
  try {
    await giveBack(world, await linkContext(world, link, inputs), new Credential(fields));
  } catch (error) {
    // The integration is gone meanwhile, or the server is no longer its provider's: there is nobody to give it back as, or to.
    if (!isGrantryError(error, 'conflict')) throw error;
    world.log.warn({ link: link.id, integration: link.integration_id, cause: error.details.detail }, 'an unused credential could not be given back');
  }
}

export type OutOfBand = { kind: 'waiting'; link: LinkRecord; project: string; url: string; verifier: 'required' | 'absent' };

/** A flow that has begun at a provider that sends nobody back: where the end user goes, and whether she brings a code from there. */
export async function waitingOutOfBand(
  world: World,
  token: string,
  browser: string | undefined,
): Promise<Closed | OutOfBand | { kind: 'not_started' }> {
  const open = await openLink(world, token, browser);
  if (open.kind !== 'open') return open;
  const method = linkMethod(open.link);
  const begun = await openBegun(world, open.link);
  if (method.grant !== 'oauth1' || method.callback.mode !== 'oob' || begun?.pending.authorizeUrl === undefined) return { kind: 'not_started' };
  return { kind: 'waiting', link: open.link, project: open.project, url: begun.pending.authorizeUrl, verifier: method.callback.verifier };
}

/** The end user comes back by herself from a provider that sends nobody back. */
export async function returnOutOfBand(
  world: World,
  { token, browser, verifier }: { token: string; browser: string; verifier: string | undefined },
): Promise<Closed | Finished | Failed | { kind: 'verifier_needed' | 'not_allowed_yet'; waiting: OutOfBand } | { kind: 'not_started' }> {
  const waiting = await waitingOutOfBand(world, token, browser);
  if (waiting.kind !== 'waiting') return waiting;
  const given = verifier?.trim() ?? '';
  if (waiting.verifier === 'required' && (given === '' || given.length > 200 || /[^\x21-\x7e]/.test(given)))
    return { kind: 'verifier_needed', waiting };
  const begun = await openBegun(world, waiting.link);
  const link = await world.store.links.consumeByLink(waiting.link.id, sha256(browser));
  if (link === undefined || link.attempt !== waiting.link.attempt) return { kind: 'not_started' };
  const answer = {
    code: '',
    oauthToken: begun?.pending.requestToken ?? '',
    ...(waiting.verifier === 'required' && { oauthVerifier: given }),
    keep: {},
  };
  const continuation = { kind: 'callback', answer } as const;
  if (link.verification === 'user') return holdForUser(world, link, continuation);
  // A code can be guessed, so it has one try; without one, a refusal only says that she has not allowed access yet.
  if (waiting.verifier === 'required') return finishFlow(world, link, continuation);
  const outcome = await finishOrRefuse(world, link, continuation);
  if (outcome.kind !== 'refused') return outcome;
  const next = { ...link, attempt: link.attempt + 1 };
  if (begun !== undefined && next.attempt <= mostTries) {
    const pendingSealed = await sealBegun(world, next, begun);
    if (await world.store.links.waitAgain(link.id, link.attempt, sha256(newSecret(world)), pendingSealed))
      return { kind: 'not_allowed_yet', waiting };
  }
  return failLink(world, link, 'exchange_failed', 'The provider refused to exchange the authorization.');
}
