import { grantFor } from '../../grants/index.ts';
import { Credential, type CredentialFields } from '../../protocol/credential.ts';
import { GrantryError, isGrantryError } from '../../protocol/errors.ts';
import type { CallbackAnswer, GrantContext } from '../../protocol/grant.ts';
import { readAccount } from '../account.ts';
import { withSecretsOf } from '../client-secrets.ts';
import { type Connected, giveBack, saveConnection } from '../connecting.ts';
import { ageFromNow, ageSince } from '../credentials.ts';
import { markMisconfigured, markRecovered } from '../integrations.ts';
import { learnMore } from '../learn-more.ts';
import { linkPlace } from '../places.ts';
import type { LinkErrorCode, LinkRecord } from '../records.ts';
import { newSecret, sha256 } from '../secrets.ts';
import type { World } from '../world.ts';
import { type Begun, type Failed, failLink, linkContext, linkMethod, openBegun } from './context.ts';
import { endTest, type Tested } from './end-test.ts';
import { learnCredential, learnPending } from './trace.ts';

/** What is left to do when everything about the answer has been checked. */
export type Continuation =
  /** `filled`: the inputs that the callback has filled in. */
  | { kind: 'callback'; answer: CallbackAnswer; filled?: Record<string, string> }
  | { kind: 'direct'; inputs: Record<string, string> }
  /** Exchanged, and waiting for the end user to say that this is her account. */
  | { kind: 'credential'; fields: CredentialFields; account: string | undefined; sentAt: string };

export type Finished =
  | Connected
  /** The integrator has to confirm who the end user is: the nonce goes to its return URL. */
  | { kind: 'confirm'; link: LinkRecord; nonce: string }
  /** The end user has to say that this is her account. */
  | { kind: 'ask'; link: LinkRecord }
  | Tested;

/** The nonce lives shorter than any authorization code. */
const nonceTtlS = 60;
const askTtlS = 600;

/** Stands in for the nonce where the end user's own browser, known by its cookie, gives the answer. */
export const askNonce = (link: Pick<LinkRecord, 'id' | 'browser_hash'>): string => `ask ${link.id} ${link.browser_hash?.toString('hex') ?? ''}`;

async function hold(world: World, link: LinkRecord, continuation: Continuation, nonce: string, ttlS: number): Promise<boolean> {
  const sealed = await world.seal.seal(linkPlace(link, 'answer'), JSON.stringify(continuation));
  return world.store.links.holdForConfirmation(link.id, link.attempt, sealed, sha256(nonce), ttlS);
}

/** verification "user": keeps the answer, exchanges nothing, and hands out a single-use nonce. */
export async function holdForUser(world: World, link: LinkRecord, continuation: Continuation): Promise<Finished | Failed> {
  const nonce = newSecret(world);
  if (await hold(world, link, continuation, nonce, nonceTtlS)) return { kind: 'confirm', link, nonce };
  return failLink(world, link, 'invalid_callback', 'The flow had ended.');
}

export async function heldContinuation(world: World, link: LinkRecord): Promise<Continuation> {
  if (link.answer_sealed === null) throw new GrantryError('internal_error', { detail: 'A confirming link holds no answer.' });
  return JSON.parse(await world.seal.open(linkPlace(link, 'answer'), link.answer_sealed));
}

const exchangeCodes: Partial<Record<string, LinkErrorCode>> = {
  exchange_unknown: 'exchange_unknown',
  no_answer: 'exchange_unknown',
  invalid_callback: 'invalid_callback',
};

async function obtain(
  ctx: GrantContext,
  { link, continuation, begun }: { link: LinkRecord; continuation: Exclude<Continuation, { kind: 'credential' }>; begun: Begun | undefined },
): Promise<Credential> {
  const grant = grantFor(ctx.method);
  if (continuation.kind === 'direct') {
    const started = await grant.start(ctx, { redirectUri: '', state: '', scopes: link.scopes, endpoint: link.endpoint });
    if (started.kind !== 'credential') throw new GrantryError('internal_error', { detail: 'A grant without a browser wants one.' });
    return started.credential;
  }
  if (grant.finish === undefined || begun === undefined) throw new GrantryError('internal_error', { detail: 'There is nothing to finish.' });
  return grant.finish(ctx, begun.pending, continuation.answer);
}

/** Exchanges (once, ever: a failed exchange is not sent again), finds out the account, and stores the connection. Throws why not. */
async function exchange(world: World, link: LinkRecord, continuation: Continuation): Promise<Finished | Failed> {
  const method = linkMethod(link);
  const begun = await openBegun(world, link);
  const filled = continuation.kind === 'callback' ? continuation.filled : undefined;
  const inputs = continuation.kind === 'direct' ? continuation.inputs : { ...begun?.inputs, ...filled };
  const ageMs = continuation.kind === 'credential' ? ageSince(world, new Date(continuation.sentAt)) : ageFromNow(world);
  const prepared = await linkContext(world, link, inputs, continuation.kind === 'credential' ? 'as_they_were' : 'as_today');
  const { integration, trace } = prepared;
  const save = (ctx: GrantContext, credential: Credential, account: string | undefined) =>
    saveConnection(world, { link, integration, ctx, credential, inputs, account, ageMs });
  if (continuation.kind === 'credential') return save(prepared.ctx, new Credential(continuation.fields), continuation.account);

  if (trace !== undefined && continuation.kind === 'callback') {
    learnPending(trace.masks, begun?.pending ?? { redirectUri: '', scopes: [] });
    trace.masks.learn('code', continuation.answer.code);
    trace.masks.learn('oauth_verifier', continuation.answer.oauthVerifier);
  }
  const obtained = await withSecretsOf(world, prepared, async (accepted) => ({
    ctx: accepted,
    credential: await obtain(accepted, { link, continuation, begun }),
  })).catch(async (error: unknown) => {
    await trace?.noteFailure(error);
    if (trace === undefined && isGrantryError(error, 'invalid_client')) await markMisconfigured(world, integration, { error });
    throw error;
  });
  const { ctx } = obtained;
  // Before anything is sent with it: a token may stand in an address.
  if (trace !== undefined) learnCredential(trace.masks, ctx, obtained.credential.reveal());
  const credential = await learnMore(world, ctx, obtained.credential);
  if (trace !== undefined) return endTest(world, { trace, link, ctx }, credential);
  const account = await readAccount(ctx, credential);
  const callbackWithoutState = 'callback' in method && method.callback.state === 'not_echoed' && continuation.kind === 'callback';
  if (callbackWithoutState && link.verification === 'browser') {
    const sentAt = new Date(world.now().getTime() - ageMs()).toISOString();
    const held: Continuation = { kind: 'credential', fields: credential.reveal(), account, sentAt };
    if (await hold(world, link, held, askNonce(link), askTtlS)) return { kind: 'ask', link };
    await giveBack(world, { integration, ctx }, credential);
    return failLink(world, link, 'invalid_callback', 'The flow had ended.');
  }
  const saved = await save(ctx, credential, account);
  await markRecovered(world, integration);
  return saved;
}

function failedExchange(world: World, link: LinkRecord, error: unknown): Promise<Failed> {
  if (!isGrantryError(error)) throw error;
  world.log.warn({ link: link.id, integration: link.integration_id, code: error.code, cause: error.details.detail }, 'exchange failed');
  return failLink(world, link, exchangeCodes[error.code] ?? 'exchange_failed', error.message);
}

/** Finishes a flow of which everything has been checked, well or badly. */
export async function finishFlow(world: World, link: LinkRecord, continuation: Continuation): Promise<Finished | Failed> {
  try {
    return await exchange(world, link, continuation);
  } catch (error) {
    return failedExchange(world, link, error);
  }
}

/**
 * The same where a refusal may be a slip of the end user that she can put right (a mistyped key, coming back too early): then
 * the link does not end, and the caller lets her try again.
 */
export async function finishOrRefuse(world: World, link: LinkRecord, continuation: Continuation): Promise<Finished | Failed | { kind: 'refused' }> {
  try {
    return await exchange(world, link, continuation);
  } catch (error) {
    return isGrantryError(error, 'invalid_grant', 'provider_error') ? { kind: 'refused' } : failedExchange(world, link, error);
  }
}
