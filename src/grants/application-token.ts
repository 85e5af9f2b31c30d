import { clientAuthentication } from '../protocol/client-authentication.ts';
import { type ErrorCode, GrantryError, isGrantryError } from '../protocol/errors.ts';
import type { GrantContext } from '../protocol/grant.ts';
import { nameParameters } from '../protocol/parameters.ts';
import { pointerValue } from '../protocol/pointer.ts';
import { parseDocument } from '../protocol/token-answer.ts';
import { tokenFailure } from '../protocol/token-error.ts';
import { tokenRequest } from '../protocol/token-request.ts';
import { isTokenText } from '../protocol/token-text.ts';
import { endpointUrl } from './endpoint.ts';
import type { TokenMethod } from './token-endpoint.ts';

/**
 * The token of the application that some providers want in each request to the token endpoint, as `application_token`; nothing where the
 * definition asks for none. It is of no use later, and so not kept. Nothing of the end user's has been sent yet: a failure never says that her
 * authorization has ended, nor that the code or refresh token may have been used.
 * Throws `invalid_client`, `provider_unavailable`, `provider_error`, and what the door throws of a request that was not sent.
 */
export async function requestApplicationToken(ctx: GrantContext<TokenMethod>): Promise<{ application_token?: string }> {
  const { application_token: wanted } = ctx.method;
  if (wanted === undefined) return {};
  const { params } = clientAuthentication('client_secret_post', ctx.client);
  const request = tokenRequest({
    method: 'POST',
    endpoint: endpointUrl(ctx, wanted.endpoint),
    format: wanted.format,
    params: nameParameters(params, { rename: wanted.rename, omit: [], params: {}, values: {} }),
    headers: {},
  });
  const sentAt = ctx.now();
  const answer = await ctx.door(request).catch((cause: unknown) => {
    throw isGrantryError(cause) && asIfAway.has(cause.code) ? away(cause) : cause;
  });
  const document = parseDocument(answer.body, { format: 'json' });
  const failure = tokenFailure(answer, document, { response: wanted.response, refused: 'invalid_client', now: sentAt });
  if (failure?.code === 'invalid_grant') throw new GrantryError('invalid_client', { detail: failure.message, cause: failure });
  if (failure !== undefined) throw asIfAway.has(failure.code) ? away(failure) : failure;
  const token = pointerValue(document, wanted.response.access_token);
  if (!isTokenText(token)) throw away(new GrantryError('bad_provider_answer', { detail: 'The answer holds no token of the application.' }));
  return { application_token: token };
}

/** Elsewhere these leave open whether a code or a refresh token was used up. */
const asIfAway: ReadonlySet<ErrorCode> = new Set(['no_answer', 'bad_provider_answer']);
const away = (cause: GrantryError) =>
  new GrantryError('provider_unavailable', { detail: `No token of the application came. ${cause.message}`, cause });
