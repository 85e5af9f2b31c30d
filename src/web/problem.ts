import { type ErrorCode, errorTable, GrantryError } from '../protocol/errors.ts';

/** RFC 9457 problem documents: the one place where an error becomes HTTP. */

export type Problem = { status: number; headers: Record<string, string>; body: Record<string, unknown> };

const typeOf = (code: ErrorCode) => `https://grantry.dev/problems/${code}`;

/** Body parsers and the router throw errors with a status; nothing of their text is passed on. */
const foreignCodes: Record<number, ErrorCode> = {
  400: 'invalid_request',
  404: 'not_found',
  405: 'method_not_allowed',
  413: 'payload_too_large',
  415: 'unsupported_media_type',
};

/** Any thrown thing as an error of ours. */
export function asGrantryError(error: unknown): GrantryError {
  if (error instanceof GrantryError) return error;
  const status = typeof error === 'object' && error !== null && 'status' in error ? Number(error.status) : 500;
  const code = foreignCodes[status] ?? 'internal_error';
  return new GrantryError(code, {
    cause: error,
    ...(code === 'invalid_request' && { detail: 'The address or the body of the request cannot be read.' }),
  });
}

/** The answer to a failed request. */
export function problemOf(error: unknown, requestId: string): Problem {
  const known = asGrantryError(error);
  const { code } = known;
  const { detail, errors, retryAfterS, members } = known.details;
  return {
    status: known.status,
    headers: {
      'Content-Type': 'application/problem+json; charset=utf-8',
      'Cache-Control': 'no-store',
      ...(retryAfterS !== undefined && { 'Retry-After': String(retryAfterS) }),
      ...(known.status === 401 && { 'WWW-Authenticate': 'Bearer realm="grantry"' }),
    },
    body: {
      ...members,
      type: typeOf(code),
      title: errorTable[code].title,
      status: known.status,
      ...(detail !== undefined && { detail }),
      code,
      request_id: requestId,
      ...(errors !== undefined && { errors }),
    },
  };
}
