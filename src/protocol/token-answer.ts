import type { CredentialFields } from './credential.ts';
import type { TokenResponseMap } from './definition/schema.ts';
import type { DoorResponse } from './door.ts';
import { durationS } from './duration.ts';
import { GrantryError, isGrantryError } from './errors.ts';
import { parseExact } from './exact-json.ts';
import { parseForm } from './form.ts';
import { claimedAccount, type IdTokenRules, readIdToken } from './id-token.ts';
import { readLifetimeS } from './lifetime.ts';
import { pointerValue } from './pointer.ts';
import { readScopes } from './scopes.ts';
import { mayHoldToken } from './success.ts';
import { type FailureRules, tokenFailure } from './token-error.ts';
import { isTokenText } from './token-text.ts';

export type AnswerRules = {
  response: TokenResponseMap;
  /** What separates scopes unless `response.scope_separator` says otherwise. */
  separator: string;
  /** The scopes that count as granted when the answer names none. */
  requested: readonly string[];
  /** When the request was sent: lifetimes count from there. */
  sentAt: Date;
  refused: FailureRules['refused'];
  signed?: boolean;
  /** The refresh token that the request was made with: when it comes back, it is none the newer. */
  held?: string | undefined;
  /**
   * Whose ID token is read, where the definition reads one. `required`: an answer without one that can be used is none. `welcome`: then its claims are missing.
   */
  idToken?: Omit<IdTokenRules, 'now'> & { need: 'required' | 'welcome' };
};

/**
 * The credential in a token endpoint's answer (RFC 6749 section 5.1), found where the definition says and checked member by member.
 * The content type is not believed. Throws as `tokenFailure` says, and `bad_provider_answer` for an answer that claims success
 * and holds no usable token.
 */
export function parseTokenAnswer(answer: DoorResponse, rules: AnswerRules): CredentialFields {
  const { response, separator, requested, sentAt, refused, signed = false, held } = rules;
  const document = fieldsOf(parseDocument(answer.body, response), response);
  const failure = tokenFailure(answer, document, { response, refused, signed, now: sentAt });
  if (failure !== undefined) throw failure;
  if (!mayHoldToken(answer.status)) throw unusable(`The provider answered with HTTP status ${answer.status}, which holds no whole answer.`);
  if (document === undefined) throw unusable(`The answer is not ${response.format === 'json' ? 'JSON' : 'form-encoded'}.`);

  const accessToken = pointerValue(document, response.access_token);
  if (!isTokenText(accessToken)) throw unusable('The answer holds no usable access token.');
  const refreshToken = refreshTokenOf(pointerValue(document, response.refresh_token));
  const lifetimeS = readLifetimeS(pointerValue(document, response.expires_in), response.expires_unit, sentAt);
  if (lifetimeS === undefined) throw unusable('The answer says when the token ends in a way that makes no sense.');
  const scopes = readScopes(pointerValue(document, response.scope), { separator: response.scope_separator ?? separator, requested });
  if (scopes === undefined) throw unusable('The answer names scopes in a way that makes no sense.');

  const { extras: claimed, ...identity } = claimsOf(document, rules);

  return {
    kind: 'oauth2',
    ...identity,
    access_token: accessToken,
    token_type: tokenTypeOf(pointerValue(document, response.token_type), response),
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
    scopes,
    lifetimeS: lifetimeS ?? (response.lifetime === undefined ? null : durationS(response.lifetime)),
    refreshLifetimeS: refreshLifetimeOf(document, { response, sentAt, isNew: refreshToken !== undefined && refreshToken !== held }),
    extras: { ...extrasOf(keptOf(answer.body, response)), ...claimed },
  };
}

/** What the definition wants to know of the ID token, and who it is about. */
function claimsOf(document: unknown, { response, sentAt, idToken }: AnswerRules): Pick<CredentialFields, 'subject' | 'account' | 'extras'> {
  const wanted = response.id_token;
  if (wanted === undefined || idToken === undefined) return { extras: {} };
  try {
    const { subject, claims } = readIdToken(pointerValue(document, '/id_token'), { ...idToken, now: sentAt });
    const extras = extrasOf(Object.entries(wanted.keep).map(([name, pointer]) => [name, pointerValue(claims, pointer)] as const));
    return { subject, extras, ...(wanted.account !== undefined && { account: claimedAccount(claims, wanted.account) }) };
  } catch (error) {
    if (idToken.need === 'welcome' && isGrantryError(error)) return { extras: {} };
    throw error;
  }
}

/** Where the fields stand: inside, when the definition names such a place and the answer has it, else on top. */
function fieldsOf(whole: unknown, { within }: Pick<TokenResponseMap, 'within'>): unknown {
  return (within === undefined ? undefined : pointerValue(whole, within)) ?? whole;
}

/** The values to keep. Only here a long number counts as text, for account ids: a token that is a number is none. */
function keptOf(body: string, response: TokenResponseMap): (readonly [string, unknown])[] {
  const keep = Object.entries(response.keep);
  if (keep.length === 0) return [];
  const document = fieldsOf(parseDocument(body, response, parseExact), response);
  return keep.map(([name, pointer]) => [name, pointerValue(document, pointer)]);
}

/** The parsed body, read as the definition says whatever its content type; undefined when it is something else. */
export function parseDocument(
  body: string,
  { format, prefix = '' }: Pick<TokenResponseMap, 'format' | 'prefix'>,
  parse: (text: string) => unknown = JSON.parse,
): unknown {
  if (format === 'form') {
    const form = parseForm(body);
    return form === undefined ? undefined : Object.fromEntries(form);
  }
  try {
    const unmarked = body.replace(/^\uFEFF/, '');
    return parse(prefix !== '' && unmarked.startsWith(prefix) ? unmarked.slice(prefix.length) : unmarked);
  } catch {
    return undefined;
  }
}

/** What may be kept as extras: texts, numbers and booleans of at most 2,000 characters without controls; the rest is left out. */
export function extrasOf(entries: Iterable<readonly [string, unknown]>): Record<string, string> {
  const scalars = [...entries].filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value));
  const texts = scalars.map(([name, value]) => [name, String(value)] as const);
  return Object.fromEntries(texts.filter(([, text]) => text.length <= 2_000 && !/[\p{Cc}\p{Surrogate}]/u.test(text)));
}

function refreshTokenOf(value: unknown): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  if (!isTokenText(value)) throw unusable('The answer holds a refresh token that cannot be used.');
  return value;
}

/** RFC 6749 section 7.1: a token of a type that is not understood must not be used; types are compared without case. */
function tokenTypeOf(value: unknown, { token_types, token_type_required }: TokenResponseMap): string {
  if ((value === undefined || value === null) && !token_type_required) return token_types[0] ?? 'bearer';
  const type = typeof value === 'string' ? value.toLowerCase() : undefined;
  if (type === undefined || !token_types.includes(type)) throw unusable('The answer holds a token of a type that is not accepted.');
  return type;
}

/** What the definition says when what the provider says makes no sense: nobody issues a refresh token that has ended. */
function refreshLifetimeOf(
  document: unknown,
  { response, sentAt, isNew }: { response: TokenResponseMap; sentAt: Date; isNew: boolean },
): number | null {
  const { refresh_token_expires_in: pointer, refresh_token_expires_unit: unit, refresh_token_lifetime: usual } = response;
  const seconds = pointer === undefined ? null : readLifetimeS(pointerValue(document, pointer), unit, sentAt);
  return seconds || (isNew && usual !== undefined ? durationS(usual) : null);
}

function unusable(detail: string): GrantryError {
  return new GrantryError('bad_provider_answer', { detail });
}
