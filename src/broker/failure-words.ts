import { type ErrorCode, errorTable } from '../protocol/errors.ts';
import type { LinkErrorCode } from './records.ts';

/** Every code and reason that an event may carry, in words that can be read out to a customer. */

export type Words = { why: string /** What somebody has to do; null: nothing, it goes on by itself. */; next: string | null };

const fix = (what: string): string => `An administrator of this service has to correct ${what}. The customer need not do anything.`;
const look = 'If it stays, an administrator of this service should look at the log. The customer need not do anything.';
const newLink = 'The customer can try again with a new link.';
const connectAgain = 'The customer has to connect the account again, with a new link for this connection.';

const transient = (why: string): Words => ({ why, next: null });
const definition = 'the settings of the integration or the description of the provider';

/** What ended a flow of connecting. */
const linkWords: Record<LinkErrorCode, Words> = {
  access_denied: { why: 'The customer, or the provider, declined the access.', next: newLink },
  wrong_browser: {
    why: 'The provider sent the answer to another browser than the one in which the customer began.',
    next: `${newLink} All of it has to happen in one browser, with cookies allowed.`,
  },
  wrong_user: {
    why: 'Another person finished the link than the one it was made for.',
    next: 'Make a new link for the person who is signed in, and ask whether somebody passed a link on.',
  },
  redirect_mismatch: {
    why: 'The answer arrived at another address than the one that was agreed upon with the provider.',
    next: `${fix('the address that is registered at the provider')} Then make a new link.`,
  },
  issuer_mismatch: {
    why: 'The answer came in the name of another provider than the one that was asked.',
    next: `${newLink} If it happens again, an administrator should look into it: somebody may have tried to mix up providers.`,
  },
  code_replayed: { why: 'The same answer of the provider arrived twice, which can be an attack; both attempts were stopped.', next: newLink },
  invalid_callback: { why: 'The answer of the provider was not one that was waited for.', next: newLink },
  provider_error: {
    why: 'The provider answered with an error instead of the access.',
    next: `${newLink} If it happens again, an administrator should look at the integration.`,
  },
  exchange_failed: {
    why: 'The provider refused to turn the approval into an access, or did not accept what was entered.',
    next: `${newLink} If it happens again, an administrator should look at the integration.`,
  },
  exchange_unknown: { why: 'The provider did not answer in full, so nobody knows whether it granted the access.', next: `${newLink} That is safe.` },
  account_mismatch: {
    why: 'The customer signed in at the provider with another account than the one that is connected.',
    next: 'The customer can try again with a new link, and sign in with the account of the first time.',
  },
  link_expired: { why: 'The link was not finished in time.', next: newLink },
};

/** What kept a token from being renewed. Where `next` is null it is tried again by itself. */
const refreshWords: Record<ErrorCode, Words> = {
  ...linkWords,
  provider_unavailable: transient('The provider is out of order for the moment, or asked to wait.'),
  provider_unreachable: transient('The provider cannot be reached.'),
  no_answer: transient('The provider did not answer in full.'),
  bad_provider_answer: transient('The provider gave an answer that makes no sense.'),
  unavailable: transient('This service could not do its work for the moment.'),
  internal_error: { why: 'Something went wrong in this service.', next: look },
  idempotency_conflict: transient('This service was busy with the same request.'),
  invalid_client: {
    why: 'The provider does not accept the client id or the secret with which this service identifies itself, or it no longer accepts the authorization of this customer and does not say so.',
    next: 'If other connections of the integration work, the customer has to connect the account again, with a new link for this connection. If none does, an administrator of this service has to correct the client id or the secret of the integration.',
  },
  misconfigured: {
    why: 'The provider does not accept the client id or the secret with which this service identifies itself.',
    next: fix('the client id or the secret of the integration'),
  },
  invalid_grant: {
    why: 'The provider no longer accepts the authorization: the customer may have removed it there, changed the password, or not used it for too long.',
    next: connectAgain,
  },
  reauthorization_required: { why: 'The authorization has ended.', next: connectAgain },
  provider_error: { why: 'The provider refused to renew the token, and did not say that the authorization has ended.', next: fix(definition) },
  address_refused: { why: 'The address of the provider is not one that this service may call.', next: fix(definition) },
  integrity_error: {
    why: 'The stored authorization cannot be opened.',
    next: 'An administrator of this service has to look at the encryption keys and the database. The customer need not do anything.',
  },
  conflict: { why: 'The settings of the integration do not fit this connection any more.', next: fix(definition) },
  unsupported: { why: 'The settings of the integration offer no way to renew this token.', next: fix(definition) },
  invalid_request: { why: 'The settings of the integration do not make a request that can be sent.', next: fix(definition) },
  invalid_definition: { why: 'The description of the provider has faults.', next: fix(definition) },
  unauthorized: { why: 'A request was made without a valid key.', next: look },
  forbidden: { why: 'A request was made with a key that may not do that.', next: look },
  not_found: { why: 'What was asked for is not there.', next: look },
  method_not_allowed: { why: 'A request was made in a way that is not answered.', next: look },
  idempotency_mismatch: { why: 'Two different requests were made under one name.', next: look },
  address_too_long: { why: 'The address of a request was too long.', next: look },
  rate_limited: transient('Too many requests were made at once.'),
  payload_too_large: { why: 'A request was too large.', next: look },
  unsupported_media_type: { why: 'A request was of a kind that is not understood.', next: look },
};

/** Why a connection stopped working until its customer connects it again. */
const reasonWords: Readonly<Record<string, string>> = {
  invalid_grant: refreshWords.invalid_grant.why,
  crash_during_rotation:
    'This service was interrupted in the moment in which the provider replaced the token, and the provider does not accept the old one any more.',
  expired: 'The token has come to its end, and the provider offers no way to renew it.',
  code_replayed:
    'An answer of the provider that belongs to this connection was seen a second time, which can be an attack; the connection was stopped for safety.',
  probe_refused:
    'The provider was asked whether the access still works, and said no: the customer may have removed it there, or changed the password or the key.',
  revoked: 'The access was taken back.',
};

const isErrorCode = (code: unknown): code is ErrorCode => typeof code === 'string' && Object.hasOwn(errorTable, code);
const isLinkCode = (code: unknown): code is LinkErrorCode => typeof code === 'string' && Object.hasOwn(linkWords, code);

/** Why a flow of connecting ended. */
export const ofLink = (code: unknown): Words => (isLinkCode(code) ? linkWords[code] : { why: 'The reason is not known.', next: newLink });
/** Why a token was not renewed. */
export const ofRefresh = (code: unknown): Words => (isErrorCode(code) ? refreshWords[code] : transient('The reason is not known.'));
/** Why a connection waits for its customer. */
export const ofReason = (reason: unknown): Words => ({
  why: (typeof reason === 'string' && Object.hasOwn(reasonWords, reason) ? reasonWords[reason] : undefined) ?? 'The authorization has ended.',
  next: connectAgain,
});
