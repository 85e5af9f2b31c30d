import type { TokenResponseMap } from './definition/schema.ts';
import type { DoorResponse } from './door.ts';
import { type ErrorCode, type ErrorDetails, GrantryError } from './errors.ts';
import { pointerValue } from './pointer.ts';
import { retryAfterS } from './retry-after.ts';

/**
 * The error codes of RFC 6749 section 5.2, RFC 6750 section 3.1, RFC 7009 section 2.2.1, RFC 8628 section 3.5, RFC 8707 section 2 and OpenID
 * Connect Core section 3.1.2.6 that may be named in a message. Where only the end user can go on, the authorization has ended; a token that is not
 * accepted says nothing about our registration, though it comes with 401.
 */
const standardCodes = new Map<string, ErrorCode>([
  ['invalid_grant', 'invalid_grant'],
  ['invalid_token', 'invalid_grant'],
  ['interaction_required', 'invalid_grant'],
  ['login_required', 'invalid_grant'],
  ['consent_required', 'invalid_grant'],
  ['account_selection_required', 'invalid_grant'],
  ['invalid_client', 'invalid_client'],
  ['unauthorized_client', 'invalid_client'],
  ['temporarily_unavailable', 'provider_unavailable'],
  ['server_error', 'provider_unavailable'],
  ['slow_down', 'provider_unavailable'],
  ['invalid_request', 'provider_error'],
  ['invalid_scope', 'provider_error'],
  ['invalid_target', 'provider_error'],
  ['access_denied', 'provider_error'],
  ['unsupported_grant_type', 'provider_error'],
  ['unsupported_token_type', 'provider_error'],
]);

/** True for the error codes above. */
export const isStandardError = (text: string): boolean => standardCodes.has(text);

const passing = new Set([408, 425, 429]);

export type FailureRules = {
  response: Pick<TokenResponseMap, 'error' | 'error_codes' | 'success'>;
  /** What a 401 means that does not say why: our registration was refused, the end user's credential, or `either`: the request held both. */
  refused: 'invalid_client' | 'invalid_grant' | 'either';
  /** True when invalid_grant may speak of an assertion that we signed (RFC 7521 section 4.1.1): of our key, or of a clock. */
  signed?: boolean;
  now: Date;
};

/**
 * Why an answer is a failure; undefined when it is not one. Its own error value counts whatever the status (RFC 6749 section 5.2 and
 * those who answer 200). Decided in this order: a redirect, the definition's `error_codes`, a status that passes (408, 425, 429, 5xx),
 * the standards' codes, 401, whatever else is an error. Text that nobody knows selects nothing and is repeated nowhere.
 *
 * @param document the parsed body; undefined when it could not be parsed
 */
export function tokenFailure(
  { status, headers }: DoorResponse,
  document: unknown,
  { response, refused, signed = false, now }: FailureRules,
): GrantryError | undefined {
  const failure = (code: ErrorCode, detail: string, nature?: ErrorDetails['nature']) => {
    const waitS = code === 'provider_unavailable' ? retryAfterS(headers, now) : undefined;
    return new GrantryError(code, { detail, ...(waitS !== undefined && { retryAfterS: waitS }), ...(nature && { nature }) });
  };
  if (status < 200 || (status >= 300 && status < 400)) return failure('bad_provider_answer', `The provider answered with HTTP status ${status}.`);

  const value = pointerValue(document, response.error);
  const key = typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  const own = Object.hasOwn(response.error_codes, key) ? response.error_codes[key] : undefined;
  const slower = status === 429 || key === 'slow_down' ? 'rate_limit' : undefined;
  if (own !== undefined) return failure(own, 'The provider answered with an error that its definition knows.', slower);
  if (status >= 500 || passing.has(status)) return failure('provider_unavailable', `The provider answered with HTTP status ${status}.`, slower);

  const standard = standardCodes.get(key);
  // With 401 it is said of a wrong secret (Keycloak); else the client was accepted, and is not the one for this.
  const unentitled = key === 'unauthorized_client' && status !== 401 ? 'unentitled' : undefined;
  if (key === 'invalid_grant' && signed)
    return failure(
      'invalid_client',
      'The provider answered invalid_grant: it refuses our assertion, or the authorization that it names.',
      'unexplained',
    );
  if (standard !== undefined) return failure(standard, `The provider answered ${key}.`, slower ?? unentitled);
  if (status === 401) {
    const detail = 'The provider answered with HTTP status 401.';
    return refused === 'either' ? failure('invalid_client', detail, 'unexplained') : failure(refused, detail);
  }
  if (status >= 400) return failure('provider_error', `The provider refused the request with HTTP status ${status}.`);
  if (says(value)) return failure('provider_error', 'The provider answered with an error of its own.');
  if (document !== undefined && response.success !== undefined && pointerValue(document, response.success.pointer) !== response.success.equals) {
    return failure('provider_error', 'The provider did not say that the request succeeded.');
  }
  return undefined;
}

/** False for what providers write where there is no error: nothing, null, an empty text or container, false, 0. */
function says(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}
