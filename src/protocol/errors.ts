/**
 * The one error class and the one closed table of codes.
 * Throw sites name a code; only `web/` turns it into HTTP, only the refresh decides by `retryable`.
 * Neither a token nor a provider's body ever goes into a message.
 */

type Entry = {
  /** HTTP status of the problem+json answer (RFC 9457). */
  readonly status: number;
  /** True when the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean;
  /** One sentence for a person. */
  readonly title: string;
};

export const errorTable = {
  // The caller's side.
  invalid_request: { status: 400, retryable: false, title: 'The request is not valid.' },
  invalid_definition: { status: 400, retryable: false, title: 'The provider definition has faults.' },
  unauthorized: { status: 401, retryable: false, title: 'A valid API key is needed.' },
  forbidden: { status: 403, retryable: false, title: 'This API key may not do that.' },
  not_found: { status: 404, retryable: false, title: 'There is no such thing here.' },
  method_not_allowed: { status: 405, retryable: false, title: 'This address does not answer to that method.' },
  conflict: { status: 409, retryable: false, title: 'This is in conflict with what exists.' },
  idempotency_conflict: { status: 409, retryable: true, title: 'A request with this Idempotency-Key is still running.' },
  idempotency_mismatch: { status: 422, retryable: false, title: 'This Idempotency-Key was used for another request.' },
  unsupported: { status: 422, retryable: false, title: 'This provider or grant cannot do that.' },
  payload_too_large: { status: 413, retryable: false, title: 'The body is larger than 64 KiB.' },
  unsupported_media_type: { status: 415, retryable: false, title: 'This content type is not understood.' },
  reauthorization_required: { status: 409, retryable: false, title: 'The end user has to connect again.' },
  misconfigured: { status: 409, retryable: false, title: 'The provider refuses our client registration.' },
  address_too_long: { status: 414, retryable: false, title: 'The address is too long.' },
  rate_limited: { status: 429, retryable: true, title: 'That was too much in too short a time.' },
  internal_error: { status: 500, retryable: true, title: 'Something went wrong on our side.' },
  integrity_error: { status: 500, retryable: false, title: 'A stored secret does not open.' },
  unavailable: { status: 503, retryable: true, title: 'The broker cannot answer right now.' },

  // The provider's side, as the door and the grants see it.
  provider_unavailable: { status: 503, retryable: true, title: 'The provider cannot be reached or asks to wait.' },
  invalid_grant: { status: 409, retryable: false, title: 'The provider no longer accepts this authorization.' },
  invalid_client: { status: 409, retryable: false, title: 'The provider does not accept the client credentials.' },
  provider_error: { status: 502, retryable: false, title: 'The provider refused the request.' },
  bad_provider_answer: { status: 502, retryable: true, title: 'The provider gave an answer that cannot be used.' },
  /** The door will not go there: not https, not public, not a URL. Nothing was sent. */
  address_refused: { status: 502, retryable: false, title: 'That address is not one the broker may call.' },
  /** No connection could be made. Nothing was sent. */
  provider_unreachable: { status: 503, retryable: true, title: 'The provider cannot be reached.' },
  /** The request may have arrived; no complete answer came back. */
  no_answer: { status: 503, retryable: true, title: 'The provider did not answer in full.' },

  // Why a connect link failed (the closed list of the API).
  access_denied: { status: 400, retryable: false, title: 'The end user or the provider declined.' },
  wrong_browser: { status: 400, retryable: false, title: 'The answer arrived in another browser than the one that began.' },
  wrong_user: { status: 403, retryable: false, title: 'Another end user finished the link than the one it was made for.' },
  redirect_mismatch: { status: 400, retryable: false, title: 'The answer arrived at another callback than the one that was sent.' },
  issuer_mismatch: { status: 400, retryable: false, title: 'The answer names another authorization server.' },
  code_replayed: { status: 400, retryable: false, title: 'This authorization code was seen before.' },
  invalid_callback: { status: 400, retryable: false, title: 'The callback is not one that we wait for.' },
  exchange_failed: { status: 502, retryable: false, title: 'The provider refused to exchange the authorization.' },
  exchange_unknown: { status: 502, retryable: false, title: 'The exchange was sent and no answer came back.' },
  account_mismatch: { status: 409, retryable: false, title: 'Another account was authorized than the one that is connected.' },
  link_expired: { status: 410, retryable: false, title: 'The connect link has expired.' },
} as const satisfies Record<string, Entry>;

export type ErrorCode = keyof typeof errorTable;

/** One fault in an input: an RFC 6901 pointer into what was sent, and what is wrong there. */
export type Fault = { pointer: string; detail: string };

export type ErrorDetails = {
  /** A sentence for the person who reads the answer; never holds a secret or a provider's text. */
  detail?: string;
  errors?: readonly Fault[];
  /** Whole seconds after which a retry makes sense. */
  retryAfterS?: number;
  /**
   * What the code leaves open, for whoever decides what follows. `rate_limit`: the provider asks this registration to slow down (429);
   * `crowded`: too many of our own requests to the host were under way; `unexplained`: a 401 that blames our registration or the end user's
   * credential, and does not say which; `unentitled`: the provider knows our registration, which may not ask for this.
   */
  nature?: 'rate_limit' | 'crowded' | 'unexplained' | 'unentitled';
  /** Further members of the problem document. */
  members?: Readonly<Record<string, unknown>>;
  cause?: unknown;
};

export class GrantryError extends Error {
  override readonly name = 'GrantryError';
  readonly code: ErrorCode;
  readonly details: Omit<ErrorDetails, 'cause'>;

  constructor(code: ErrorCode, { cause, ...details }: ErrorDetails = {}) {
    super(details.detail ?? errorTable[code].title, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }

  get status(): number {
    return errorTable[this.code].status;
  }

  get retryable(): boolean {
    return errorTable[this.code].retryable;
  }
}

/** True for an error of ours with one of the given codes (any code when none is given). */
export function isGrantryError(error: unknown, ...codes: readonly ErrorCode[]): error is GrantryError {
  return error instanceof GrantryError && (codes.length === 0 || codes.includes(error.code));
}
