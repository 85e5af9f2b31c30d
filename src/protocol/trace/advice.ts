import type { Method } from '../definition/schema.ts';
import type { GrantryError } from '../errors.ts';
import type { ShownAnswer } from './shown-answer.ts';

/** What in the definition or the registration to look at after a failure, in a sentence for whoever writes them. */

const registration = 'Compare the client id and the client secret of the integration with those at the provider';

/** What the standards' error codes, and those that many providers use, are about. */
const byCode: Readonly<Record<string, string>> = {
  invalid_client: `The provider answered invalid_client. ${registration}, and token_endpoint_auth_method with how the provider wants them sent.`,
  unauthorized_client: 'The provider answered unauthorized_client: allow this grant type for the app in the settings at the provider.',
  invalid_grant:
    'The provider answered invalid_grant: it does not take the code. Compare the redirect URI of the integration with the registered one, and code_challenge_method with what the provider supports.',
  bad_verification_code:
    'The provider does not take the code: compare the redirect URI, and see whether the client secret belongs to this client id.',
  redirect_uri_mismatch: 'Register the redirect URI of the integration at the provider, character by character.',
  invalid_redirect_uri: 'Register the redirect URI of the integration at the provider, character by character.',
  bad_redirect_uri: 'Register the redirect URI of the integration at the provider, character by character.',
  invalid_scope: 'The provider answered invalid_scope: look at the scopes of the integration, and at scopes.separator and scopes.param.',
  unsupported_grant_type: 'The provider answered unsupported_grant_type: look at token.format (form, json or query) and at token.params.',
  unsupported_response_type: 'Look at authorization.params: the provider does not know this response_type.',
  invalid_request:
    'The provider answered invalid_request: it misses a parameter or does not know one. Look at token.format, token.params and token.omit.',
  access_denied: 'Access was declined at the provider. If nobody declined, the app may lack a permission or an approval there.',
};

const byStatus: Readonly<Record<number, string>> = {
  401: `${registration}, and token_endpoint_auth_method with how the provider wants them sent.`,
  403: 'The provider forbids it: see whether the app is approved there, and whether headers are missing (token.headers).',
  404: 'There is nothing at this address: look at the endpoint in the definition, and at the inputs that complete it.',
  405: 'The provider does not take this HTTP method: look at token.method.',
  415: 'The provider does not take this content type: look at token.format.',
  429: 'The provider asks to wait: try again later.',
};

const byFailure: Readonly<Record<string, string>> = {
  provider_unreachable: 'Nobody answers at this address: look at the endpoint in the definition, and whether its name is known and its port is open.',
  no_answer: 'The provider took the request and did not answer in time. Try again; if it stays, look at the address.',
  exchange_unknown: 'The provider took the request and did not answer in time. Try again; if it stays, look at the address.',
  address_refused: 'This service does not call this address: it has to be https with a public host.',
  invalid_client: `${registration}, and token_endpoint_auth_method with how the provider wants them sent.`,
  invalid_request: 'The request cannot be made from what the definition, the integration and the inputs say.',
  conflict: 'The integration was changed after the test began: make a new test.',
  unsupported: 'The definition offers no way to do this.',
};

/** An error code that may be said in a sentence: a provider's own word says what a standard one would only if it is listed above. */
export const adviceForCode = (code: string): string | undefined => (Object.hasOwn(byCode, code) ? byCode[code] : undefined);

const names = ({ body }: ShownAnswer): string => body.members.map(({ at }) => at).join(', ') + (body.more ? ', and more' : '');
const has = (answer: ShownAnswer, pointer: string) => answer.body.members.find(({ at }) => at === pointer);

/** What a success lacks, by the pointers of the definition. */
function lacking(method: Method, answer: ShownAnswer): string | undefined {
  if (method.grant === 'oauth1') {
    const lacks = ['/oauth_token', '/oauth_token_secret', '/oauth_callback_confirmed'].find((pointer) => has(answer, pointer) === undefined);
    return lacks && `The answer has no ${lacks.slice(1)}; it has: ${names(answer) || 'nothing that can be read'}.`;
  }
  if (!('response' in method)) return undefined;
  const { response } = method;
  const expected = response.format;
  const { written, members } = answer.body;
  if (written !== expected) {
    const is = { json: 'JSON', form: 'form-encoded', html: 'an HTML page', other: 'something else', nothing: 'empty' }[written];
    const why =
      written === 'html' || written === 'nothing'
        ? 'look at token_endpoint'
        : written === 'json' || written === 'form'
          ? `set response.format to ${written}`
          : 'look at token_endpoint';
    return `The answer is ${is} and the definition expects ${expected === 'json' ? 'JSON' : 'form-encoded text'}: ${why}.`;
  }
  const error = members.find(({ at, type }) => at === response.error && type !== 'null');
  if (error === undefined && has(answer, response.access_token) === undefined)
    return `The answer has no ${response.access_token} (response.access_token); it has these members: ${names(answer) || 'none'}.`;
  const type = has(answer, response.token_type);
  if (error === undefined && type === undefined && response.token_type_required)
    return `The answer has no ${response.token_type} (response.token_type); leave token_type_required out when the provider does not send one.`;
  if (type !== undefined && type.type === 'text' && !response.token_types.includes((type.value ?? '').toLowerCase()))
    return `The token type ${type.value ?? 'of the answer'} is not among response.token_types (${response.token_types.join(', ')}).`;
  return undefined;
}

/**
 * The sentence for a failed exchange, with the last answer that came, if one did. The answer's own code comes first, then what it lacks, then
 * its status, then what went wrong on our side.
 */
export function adviceFor(error: GrantryError, method: Method, answer: ShownAnswer | undefined): string {
  const pointer = 'response' in method && method.grant !== 'oauth1' ? method.response.error : '/error';
  const said = answer && (has(answer, pointer)?.value ?? has(answer, '/error')?.value);
  const known = said === undefined || said === null ? undefined : adviceForCode(said);
  if (known !== undefined) return known;
  if (answer !== undefined && error.code !== 'no_answer' && error.code !== 'exchange_unknown') {
    if (answer.status >= 300 && answer.status < 400)
      return 'The provider redirects elsewhere, which is never followed: put the new address into the definition.';
    const { [answer.status]: status } = byStatus;
    if (status !== undefined) return status;
    if (said) return `The provider answered ${said}: look it up in its documentation.`;
    const lacks = answer.status < 400 ? lacking(method, answer) : undefined;
    if (lacks !== undefined) return lacks;
    if (answer.status >= 500)
      return 'The provider is out of order, or cannot cope with the request: try again, then look at the endpoint and token.format.';
    if (answer.status >= 400) return `The answer names no error at ${pointer} (response.error); it has these members: ${names(answer) || 'none'}.`;
  }
  return (Object.hasOwn(byFailure, error.code) ? byFailure[error.code] : undefined) ?? 'Look at what was sent and what came back, above.';
}
