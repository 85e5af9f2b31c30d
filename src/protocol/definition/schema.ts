import { z } from 'zod';

/**
 * The provider definition: one schema for shipped files and for what an admin sends.
 * Unknown fields are refused. Names are those of RFC 6749, 8414, 5849, 7009 and 7636 wherever one exists.
 * Strings described as templates may hold `{name}` (RFC 6570 level 1); `checks.ts` looks at them.
 */

const id = z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/, 'lower-case letters, digits and inner hyphens, 64 at most');
const name = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, 'a letter or _, then letters, digits or _');
const text = z.string().min(1).max(500);
const template = z.string().min(1).max(2000);
const url = template.describe('An absolute https URL; may hold {name} of a declared input.');
const param = z.string().min(1).max(200);
const params = z.record(param, z.string().max(2000));
const headerName = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/, 'a header name');
const headers = z.record(headerName, z.string().max(1000).regex(/^[\t\x20-\x7e]*$/, 'printable ASCII'));
const pointer = z.string().max(300).regex(/^(?:\/(?:[^~/]|~[01])*)+$/, 'a JSON pointer (RFC 6901)');
const duration = z
  .string()
  .regex(/^P(?=\d|T\d)(?:\d{1,5}D)?(?:T(?=\d)(?:\d{1,6}H)?(?:\d{1,6}M)?(?:\d{1,9}S)?)?$/, 'an ISO 8601 duration of days, hours, minutes and seconds');

export const inputSchema = z
  .strictObject({
    label: text,
    description: text.optional(),
    example: z.string().max(200).optional(),
    default: z.string().max(256).optional(),
    pattern: z.string().max(200).optional().describe('A regular expression over character classes; no groups.'),
    enum: z.array(z.string().max(256)).min(1).max(200).optional(),
    secret: z.boolean().default(false),
    optional: z.boolean().default(false),
    host: z.boolean().default(false).describe('The value is a full public host name.'),
    url: z.boolean().default(false).describe('The value is a whole https URL.'),
    asked_of: z.enum(['end_user', 'integration']).default('end_user'),
  })
  .describe('A value that completes the definition.');

const scopes = z
  .strictObject({
    default: z.array(z.string().min(1).max(300)).default([]),
    separator: z.string().min(1).max(3).default(' '),
    param: param.default('scope'),
    required: z.boolean().default(false).describe('At least one scope must be asked for.'),
  })
  .prefault({});

const response = z
  .strictObject({
    format: z.enum(['json', 'form']).default('json'),
    access_token: pointer.default('/access_token'),
    refresh_token: pointer.default('/refresh_token'),
    token_type: pointer.default('/token_type'),
    token_types: z.array(z.string().min(1).max(40)).default(['bearer']).describe('Accepted token types, in lower case.'),
    token_type_required: z.boolean().default(false).describe('RFC 6749 wants it; many providers leave it out.'),
    expires_in: pointer.default('/expires_in'),
    expires_unit: z.enum(['s', 'ms', 'epoch_s', 'epoch_ms', 'iso']).default('s'),
    refresh_token_expires_in: pointer.optional().describe('Seconds that the refresh token lives.'),
    lifetime: duration.optional().describe('How long an access token lives when the answer does not say.'),
    scope: pointer.default('/scope'),
    scope_separator: z.string().min(1).max(3).optional().describe('When the answer separates scopes otherwise than the request.'),
    error: pointer.default('/error').describe('An answer that has this is a failure whatever its HTTP status.'),
    error_codes: z
      .record(z.string().max(200), z.enum(['invalid_grant', 'invalid_client', 'provider_unavailable']))
      .default({})
      .describe("What the provider's own error values mean."),
    success: z.strictObject({ pointer, equals: z.union([z.string(), z.number(), z.boolean()]) }).optional(),
    keep: z.record(name, pointer).default({}).describe('Values to keep as extras, by the name they get.'),
  })
  .prefault({});

const tokenRequest = z
  .strictObject({
    method: z.enum(['POST', 'GET']).default('POST'),
    format: z.enum(['form', 'json', 'query']).default('form'),
    params: params.default({}),
    headers: headers.default({}),
    rename: z.record(param, param).default({}),
    omit: z.array(param).default([]),
  })
  .prefault({});

const refresh = z
  .strictObject({
    endpoint: url.optional().describe('When it is not the token endpoint.'),
    method: z.enum(['POST', 'GET']).optional(),
    params: params.default({}),
    format: z.enum(['form', 'json', 'query']).optional(),
    how: z.enum(['refresh_token', 'exchange_current', 'reissue', 'none']).optional(),
    rotation: z.enum(['none', 'single_use', 'grace']).default('none'),
    not_before_expiry: z.boolean().default(false),
    keep_alive: duration.optional().describe('Refresh at least this often, so that an idle refresh token does not end.'),
    response: z
      .strictObject({
        access_token: pointer.optional(),
        refresh_token: pointer.optional(),
        token_type: pointer.optional(),
        expires_in: pointer.optional(),
        refresh_token_expires_in: pointer.optional(),
        scope: pointer.optional(),
      })
      .default({})
      .describe('Where the answer to a refresh has its fields, when elsewhere than the first answer.'),
  })
  .prefault({});

const revocation = z
  .strictObject({
    method: z.enum(['POST', 'DELETE', 'GET']).default('POST'),
    format: z.enum(['form', 'json', 'query', 'none']).default('form'),
    params: params.optional().describe('Instead of RFC 7009\'s token and token_type_hint.'),
    headers: headers.default({}),
    authentication: z
      .enum(['client', 'client_secret_basic', 'access_token', 'none'])
      .default('client')
      .describe('client: as at the token endpoint; access_token: as at the API.'),
  })
  .prefault({});

const clientAuthentication = z.enum(['client_secret_basic', 'basic_raw', 'client_secret_post', 'private_key_jwt', 'none']);
const callbackSignature = z.strictObject({
  algorithm: z.enum(['hmac_sha256_hex']).describe('Over the other parameters, sorted, as name=value joined by &.'),
  param,
  key: z.enum(['client_secret']).default('client_secret'),
});
const state = z.enum(['echoed', 'not_echoed']).default('echoed');
const denied = z.array(z.string().min(1).max(100)).default([]).describe('error values that mean the end user declined, besides access_denied.');
const inputs = z.record(name, inputSchema).default({});
const common = { label: text.optional().describe('What the connect page calls this method.'), inputs };
const authorization = z
  .strictObject({
    params: params.default({}),
    rename: z.record(param, param).default({}),
    omit: z.array(param).default([]),
    fragment: z.string().max(100).optional().describe('Put behind the authorization URL, without #.'),
  })
  .prefault({});

export const authorizationCodeSchema = z.strictObject({
  grant: z.literal('authorization_code'),
  ...common,
  issuer: url.optional().describe('RFC 8414 issuer; when set, iss is enforced on the callback (RFC 9207).'),
  iss_parameter: z.enum(['required', 'optional']).default('optional').describe('required: the provider always sends iss.'),
  authorization_endpoint: url,
  token_endpoint: url,
  revocation_endpoint: url.optional(),
  introspection_endpoint: url.optional(),
  userinfo_endpoint: url.optional(),
  token_endpoint_auth_method: clientAuthentication.default('client_secret_basic'),
  code_challenge_method: z.enum(['S256', 'plain', 'none']).default('S256'),
  scopes,
  authorization,
  callback: z
    .strictObject({
      state,
      code: param.default('code'),
      response_mode: z.enum(['query', 'form_post']).default('query'),
      keep: z.array(param).default([]),
      denied,
      signature: callbackSignature.optional(),
    })
    .prefault({}),
  token: tokenRequest,
  refresh,
  revocation,
  response,
});

export const clientCredentialsSchema = z.strictObject({
  grant: z.literal('client_credentials'),
  ...common,
  issuer: url.optional(),
  token_endpoint: url,
  revocation_endpoint: url.optional(),
  token_endpoint_auth_method: clientAuthentication.default('client_secret_basic'),
  scopes,
  token: tokenRequest,
  refresh,
  revocation,
  response,
});

export const credentialExchangeSchema = z.strictObject({
  grant: z.literal('credential_exchange'),
  ...common,
  token_endpoint: url,
  revocation_endpoint: url.optional(),
  token_endpoint_auth_method: clientAuthentication.default('client_secret_post'),
  scopes,
  token: tokenRequest,
  refresh,
  revocation,
  response,
});

export const oauth1Schema = z.strictObject({
  grant: z.literal('oauth1'),
  ...common,
  request_token_endpoint: url,
  authorization_endpoint: url,
  authentication_endpoint: url.optional().describe('Used instead when the connect link says so.'),
  access_token_endpoint: url,
  signature_method: z.enum(['HMAC-SHA1', 'HMAC-SHA256', 'RSA-SHA1', 'PLAINTEXT']).default('HMAC-SHA1'),
  realm: z.string().max(200).optional(),
  scopes,
  authorization,
  request_token: z.strictObject({ params: params.default({}) }).prefault({}),
  callback: z
    .strictObject({
      mode: z.enum(['url', 'oob']).default('url'),
      verifier: z.enum(['required', 'absent']).default('required'),
      confirmed: z.enum(['required', 'absent']).default('required').describe('oauth_callback_confirmed (RFC 5849 section 2.1).'),
      state,
      keep: z.array(param).default([]),
      denied,
    })
    .prefault({}),
  response: z
    .strictObject({
      lifetime: duration.optional(),
      keep: z.record(name, pointer).default({}),
    })
    .prefault({}),
  reconnect: z.enum(['keeps_existing', 'invalidates_existing']).default('keeps_existing'),
});

export const apiKeySchema = z.strictObject({
  grant: z.literal('api_key'),
  ...common,
  value: template.default('{api_key}').describe('What is presented; by default the input api_key.'),
});

export const basicSchema = z.strictObject({
  grant: z.literal('basic'),
  ...common,
  username: template.default('{username}'),
  password: z.string().max(2000).default('{password}'),
});

export const methodSchema = z.discriminatedUnion('grant', [
  authorizationCodeSchema,
  clientCredentialsSchema,
  oauth1Schema,
  credentialExchangeSchema,
  apiKeySchema,
  basicSchema,
]);

const api = z
  .strictObject({
    base_url: url.optional(),
    token: z
      .strictObject({
        in: z.enum(['header', 'query']).default('header'),
        name: param.default('Authorization'),
        scheme: z.string().max(40).regex(/^[!-~]*$/, 'no spaces').default('Bearer').describe('Empty: the bare token.'),
      })
      .prefault({}),
    headers: headers.default({}).describe('What each call needs besides.'),
    probe: z
      .strictObject({
        method: z.enum(['GET', 'POST', 'HEAD']).default('GET'),
        path: z.string().min(1).max(500).describe('Below base_url, or a whole URL.'),
        methods: z.array(id).min(1).optional().describe('Only for credentials of these methods; all when left out.'),
      })
      .optional()
      .describe('A cheap call that proves that a credential works.'),
    account: pointer.optional().describe("Where the probe's answer names the account; a reconnect must name the same."),
  })
  .prefault({});

export const definitionSchema = z.strictObject({
  $schema: z.string().optional(),
  id,
  name: text,
  documentation: z.string().max(500).regex(/^https:\/\//, 'an https URL').optional(),
  status: z.enum(['live', 'legacy', 'retired']).default('live'),
  categories: z.array(id).default([]),
  aliases: z.array(z.string().max(64)).default([]),
  unverified: z.array(z.string().max(300)).default([]).describe('Facts that nobody has checked against the documentation.'),
  extends: id.optional(),
  inputs,
  api,
  methods: z.record(id, methodSchema).refine((methods) => Object.keys(methods).length > 0, 'at least one method'),
});

export type Definition = z.output<typeof definitionSchema>;
export type DefinitionInput = z.input<typeof definitionSchema>;
export type Input = z.output<typeof inputSchema>;
export type Method = z.output<typeof methodSchema>;
export type AuthorizationCodeMethod = z.output<typeof authorizationCodeSchema>;
export type ClientCredentialsMethod = z.output<typeof clientCredentialsSchema>;
export type CredentialExchangeMethod = z.output<typeof credentialExchangeSchema>;
export type OAuth1Method = z.output<typeof oauth1Schema>;
export type ApiKeyMethod = z.output<typeof apiKeySchema>;
export type BasicMethod = z.output<typeof basicSchema>;
export type ClientAuthenticationMethod = z.output<typeof clientAuthentication>;
export type TokenResponseMap = AuthorizationCodeMethod['response'];
