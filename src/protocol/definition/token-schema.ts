import { z } from 'zod';
import { duration, headers, name, param, params, pointer, pointerOrNone, template, url } from './fields.ts';
import { sign } from './sign-schema.ts';

/** How scopes are asked for. */
export const scopes = z
  .strictObject({
    default: z.array(z.string().min(1).max(300)).default([]).describe('Asked for when neither link nor integration says otherwise.'),
    separator: z.string().min(1).max(3).default(' ').describe('Between scopes in the request.'),
    param: param.default('scope').describe('Its name in the request.'),
    required: z.boolean().default(false).describe('At least one scope must be asked for.'),
    implied: z
      .record(z.string().min(1).max(300), z.array(z.string().min(1).max(300)).min(1))
      .default({})
      .describe('Scopes that a granted one covers, or is another name of: those are not missing.'),
    unreturned: z.array(z.string().min(1).max(300)).default([]).describe('Scopes that no answer names: once asked for, they count as granted.'),
    prefix: z
      .string()
      .min(1)
      .max(300)
      .optional()
      .describe('What may stand before a scope in the request and not in the answer, or the other way round.'),
    ignore_case: z.boolean().default(false).describe('The answer may write scopes with other capitals than the request.'),
  })
  .prefault({});

/** How an answer says when a token ends. */
export const expires_unit = z
  .enum(['s', 'ms', 'epoch_s', 'epoch_ms', 'iso'])
  .default('s')
  .describe('s and ms: from now on; epoch_s, epoch_ms and iso: an instant.');

/** For answers that say with any status whether they are good. */
const success = z
  .strictObject({ pointer, equals: z.union([z.string(), z.number(), z.boolean()]) })
  .optional()
  .describe('An answer without this value is a failure.');

/** Where an answer has what we need: RFC 6901 pointers. */
export const response = z
  .strictObject({
    format: z.enum(['json', 'form']).default('json').describe('How the answer is written.'),
    prefix: z.string().min(1).max(100).optional().describe('What stands before the JSON, and is cut off.'),
    within: pointer.optional().describe('Where an answer that has this holds all its fields; one without it has them on top.'),
    access_token: pointer.default('/access_token').describe('A JSON pointer (RFC 6901) into the answer, like those that follow.'),
    refresh_token: pointerOrNone
      .default('/refresh_token')
      .describe('The one before stays when none comes. `none`, here and below: what the answer says there is not read.'),
    token_type: pointerOrNone.default('/token_type').describe('RFC 6749 section 7.1.'),
    token_types: z.array(z.string().min(1).max(40)).default(['bearer']).describe('Accepted token types, in lower case.'),
    token_type_required: z.boolean().default(false).describe('RFC 6749 wants it; many providers leave it out.'),
    expires_in: pointerOrNone.default('/expires_in').describe('When the access token ends; in expires_unit.'),
    expires_unit,
    refresh_token_expires_in: pointer.optional().describe('When the refresh token ends; in refresh_token_expires_unit.'),
    refresh_token_expires_unit: expires_unit,
    refresh_token_lifetime: duration.optional().describe('How long a new refresh token lives when the answer does not say.'),
    lifetime: duration.optional().describe('How long an access token lives when the answer does not say.'),
    scope: pointerOrNone.default('/scope').describe('The scopes that were granted: one text, or a list.'),
    scope_separator: z.string().min(1).max(3).optional().describe('When the answer separates scopes otherwise than the request.'),
    error: pointerOrNone.default('/error').describe('An answer that has this is a failure whatever its HTTP status.'),
    error_codes: z
      .record(z.string().max(200), z.enum(['invalid_grant', 'invalid_client', 'provider_unavailable']))
      .default({})
      .describe("What the provider's own error values mean."),
    success,
    keep: z.record(name, pointer).default({}).describe('Values to keep as extras, by the name they get.'),
    id_token: z
      .strictObject({
        keep: z.record(name, pointer).default({}).describe('Claims to keep as extras, by the name they get.'),
        account: pointer.optional().describe('The claim that names the account, one that never changes, as /sub; a reconnect must name the same.'),
      })
      .optional()
      .describe(
        'What is read of the ID token (OpenID Connect) in the answer to a code: pointers into its claims. An answer without a usable one is a failure. At a refresh none need come; one that names somebody else ends the connection.',
      ),
  })
  .prefault({});

/** The request to the token endpoint. */
export const tokenRequest = z
  .strictObject({
    method: z.enum(['POST', 'GET']).default('POST').describe('How the token endpoint is called.'),
    format: z.enum(['form', 'json', 'query']).default('form').describe('Where its parameters stand: a form, a JSON body, or the query.'),
    params: params
      .default({})
      .describe(
        'Further parameters; may hold {name} of an input, {state} of the callback, {extras.name} of what it keeps, and {nonce}, which is fresh each time.',
      ),
    headers: headers.default({}).describe('Further headers.'),
    rename: z.record(param, param).default({}).describe('Standard name to the one that this provider wants.'),
    omit: z.array(param).default([]).describe('Standard parameters that this provider must not get.'),
    sign: sign.optional().describe('A signature on each request to the token endpoint, over all of its parameters, among which it stands.'),
  })
  .prefault({});

/** How we authenticate ourselves (RFC 6749 section 2.3, RFC 7523). */
export const clientAuthentication = z.enum(['client_secret_basic', 'basic_raw', 'client_id_basic', 'client_secret_post', 'private_key_jwt', 'none']);

/** What the signed JWT of private_key_jwt holds, where RFC 7523 does not say or a provider has its own way. */
export const clientAssertion = z
  .strictObject({
    param: z
      .enum(['client_assertion', 'client_secret'])
      .default('client_assertion')
      .describe('client_secret: the JWT stands where a secret would, without client_assertion_type.'),
    issuer: template.default('{client_id}').describe('iss; sub is the client id in any case.'),
    audience: template
      .optional()
      .describe('aud, at the host of the token endpoint; without it the issuer of the method, at its own host, else the address that is called.'),
    claims: z.record(name, template).default({}).describe('Further claims; {scope} is what is asked for.'),
  })
  .optional()
  .describe('With private_key_jwt: how the signed JWT differs from RFC 7523.');

/** The signed JWT that is the authorization itself (RFC 7523 section 2.1). */
export const assertion = z
  .strictObject({
    issuer: template.default('{client_id}').describe('iss.'),
    subject: template.optional().describe('sub: in whose name; left out when what it is made of was not given.'),
    audience: template
      .optional()
      .describe('aud, at the host of the token endpoint; without it the issuer of the method, at its own host, else the address that is called.'),
    claims: z.record(name, template).default({}).describe('Further claims; {scope} is what is asked for.'),
    key: template
      .optional()
      .describe('An input with private_key, as {name}: that key signs, and the end user speaks. Without it that of the integration.'),
    key_id: template.optional().describe('kid, of a key from an input.'),
  })
  .prefault({});

/** A token of the application, which another request has to hold. */
export const applicationToken = z
  .strictObject({
    endpoint: url,
    format: z.enum(['form', 'json', 'query']).default('form').describe('Where its parameters stand.'),
    rename: z.record(param, param).default({}).describe('Standard name, as client_id, to the one that this provider wants here.'),
    response: z
      .strictObject({
        access_token: pointer.default('/access_token').describe('Where the answer has the token.'),
        error: pointerOrNone.default('/error').describe('An answer that has this is a failure whatever its HTTP status.'),
        error_codes: z
          .record(z.string().max(200), z.enum(['invalid_client', 'provider_unavailable']))
          .default({})
          .describe("What the provider's own error values mean."),
        success,
      })
      .prefault({}),
  })
  .optional()
  .describe(
    'Asked for by POST, with client id and secret, before each request to the token endpoint; {application_token} of its headers and parameters is what came.',
  );

/** Where a later answer has its fields. */
const ownPointers = z.strictObject({
  access_token: pointer.optional(),
  refresh_token: pointerOrNone.optional(),
  token_type: pointerOrNone.optional(),
  expires_in: pointerOrNone.optional(),
  scope: pointerOrNone.optional(),
});

/** A token that is only good for getting another one. */
export const secondExchange = z
  .strictObject({
    endpoint: url,
    method: z.enum(['POST', 'GET']).default('POST').describe('How it is called.'),
    format: z.enum(['form', 'json', 'query']).default('form').describe('Where its parameters stand.'),
    params: params.describe('Its parameters; {access_token} is the one that is exchanged.'),
  })
  .optional()
  .describe('The first token is exchanged at once, and the answer to this second request is the credential.');

/** How a credential is renewed. */
export const refresh = z
  .strictObject({
    endpoint: url.optional().describe('When it is not the token endpoint.'),
    method: z.enum(['POST', 'GET']).optional().describe('When it is not that of token.'),
    params: params
      .default({})
      .describe(
        'Further parameters; with exchange_current {access_token} is the one that is exchanged. {redirect_uri} is the one of the flow, {nonce} fresh each time.',
      ),
    format: z.enum(['form', 'json', 'query']).optional().describe('When it is not that of token.'),
    how: z
      .enum(['refresh_token', 'exchange_current', 'reissue', 'none'])
      .optional()
      .describe(
        'refresh_token: RFC 6749 section 6, as authorization_code does by itself. exchange_current: the living token for the next one. reissue: asked for anew, as client_credentials, jwt_bearer and credential_exchange do. none: never.',
      ),
    token_endpoint_auth_method: clientAuthentication.optional().describe('When we authenticate otherwise than at the first request.'),
    rotation: z
      .enum(['none', 'single_use', 'grace'])
      .default('none')
      .describe(
        'For whoever reads it: single_use: each refresh token works once; grace: for a while longer. It changes nothing: every one is used as if it worked once.',
      ),
    not_before_expiry: z.boolean().default(false).describe('The provider refuses to refresh a living token.'),
    keep_alive: duration.optional().describe('Refresh at least this often, so that an idle refresh token does not end.'),
    response: ownPointers.default({}).describe('Where the answer to a refresh has its fields, when elsewhere than the first answer.'),
  })
  .prefault({});

/** How it is ended at the provider (RFC 7009, or its own way). */
export const revocation = z
  .strictObject({
    method: z.enum(['POST', 'DELETE', 'GET']).default('POST').describe('How revocation_endpoint is called.'),
    format: z.enum(['form', 'json', 'query', 'none']).default('form').describe('Where its parameters stand; none: it has none.'),
    params: params
      .optional()
      .describe(
        "Instead of RFC 7009's token and token_type_hint, and then one call; without it, one for the refresh token and one for the access token.",
      ),
    rename: z.record(param, param).default({}).describe('Standard name, as client_id, to the one that this provider wants here.'),
    headers: headers.default({}).describe('Further headers.'),
    authentication: z
      .enum(['client', 'client_secret_basic', 'access_token', 'none'])
      .default('client')
      .describe('client: as at the token endpoint; access_token: as at the API.'),
  })
  .prefault({});
