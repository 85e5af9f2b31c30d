import { clientAuthentication } from '../protocol/client-authentication.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
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
 * Throws `invalid_client`, `provider_unavailable`, `provider_error`, `bad_provider_answer`, and what the door throws.
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
    throw isGrantryError(cause, 'no_answer')
      ? new GrantryError('provider_unavailable', { detail: 'No token of the application came.', cause })
      : cause;
  });
  const document = parseDocument(answer.body, { format: 'json' });
  const failure = tokenFailure(answer, document, { response: { ...wanted.response, error_codes: {} }, refused: 'invalid_client', now: sentAt });
  if (failure?.code === 'invalid_grant') throw new GrantryError('invalid_client', { detail: failure.message, cause: failure });
  if (failure !== undefined) throw failure;
  const token = pointerValue(document, wanted.response.access_token);
  if (!isTokenText(token)) throw new GrantryError('bad_provider_answer', { detail: 'The answer holds no token of the application.' });
  return { application_token: token };
}
