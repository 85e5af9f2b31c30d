import { z } from 'zod';
import { after, api, methodApi } from './api-schema.ts';
import { duration, id, methodId, name, param, params, pointer, template, text, url } from './fields.ts';
import {
  applicationToken,
  assertion,
  clientAssertion,
  clientAuthentication,
  expires_unit,
  refresh,
  response,
  revocation,
  scopes,
  secondExchange,
  tokenRequest,
} from './token-schema.ts';

/**
 * The provider definition: one schema for shipped files and for what an admin sends.
 * Unknown fields are refused. Names are those of RFC 6749, 8414, 5849, 7009 and 7636 wherever one exists.
 * Strings described as templates may hold `{name}` (RFC 6570 level 1); `checks.ts` looks at them.
 */

export const inputSchema = z
  .strictObject({
    label: text.describe('What the form calls it.'),
    description: text.optional().describe('Where to find it, for who fills in the form.'),
    example: z.string().max(200).optional().describe('Shown in the form; it must fit.'),
    default: z.string().max(256).optional().describe('Taken when nothing is given.'),
    pattern: z.string().max(200).optional().describe('A regular expression over character classes; no groups.'),
    enum: z.array(z.string().max(256)).min(1).max(200).optional().describe('The values to choose from.'),
    choices: z
      .record(
        z.string().min(1).max(100),
        z.strictObject({
          label: text.optional().describe('What the form calls it; its own name without.'),
          sets: z.record(name, z.string().max(500)).describe('Values by the name that {name} stands for; every choice sets the same ones.'),
        }),
      )
      .optional()
      .describe('The values to choose from, and what each of them brings along, as the hosts of a region.'),
    secret: z.boolean().default(false).describe('Typed as a password, sealed, and never shown again.'),
    private_key: z
      .boolean()
      .default(false)
      .describe('The value is a private key in PEM form, without a passphrase; it has a larger field. secret as well.'),
    optional: z.boolean().default(false).describe('It may be left out: no page asks for it, and what is made of it alone is left out as well.'),
    host: z
      .boolean()
      .default(false)
      .describe('The value is a full public host name; unless it is chosen from a list, only an admin may set one in an endpoint of a method.'),
    url: z.boolean().default(false).describe('The value is a whole https URL; in an endpoint of a method only an admin may set it.'),
    asked_of: z
      .enum(['end_user', 'caller', 'integration'])
      .default('end_user')
      .describe(
        'caller: it comes with the link or the connection, and no page asks for it. integration: only an admin may set it. Where our registration is the only proof, what says in whose name is asked of the caller by itself.',
      ),
  })
  .describe('A value that completes the definition.');

const callbackSignature = z.strictObject({
  algorithm: z.enum(['hmac_sha256_hex']).describe('Made with the client secret, over the other parameters, sorted, as name=value joined by &.'),
  param: param.describe('The parameter that holds the signature.'),
});
const state = z
  .enum(['echoed', 'not_echoed'])
  .default('echoed')
  .describe('not_echoed: the provider sends no state back; the flow is found by its cookie, on an own callback.');
const denied = z.array(z.string().min(1).max(100)).default([]).describe('error values that mean the end user declined, besides access_denied.');
const deniedBy = z
  .record(param, z.string().max(300))
  .default({})
  .describe('Parameters that mean the same without an error: the callback holds all of them, with these values.');
const filled = z
  .record(
    name,
    z.strictObject({
      param: param.describe('The parameter that holds it.'),
      before: z.string().max(100).default('').describe('What stands before the value there, and is cut off.'),
      behind: z.string().max(100).default('').describe('What stands behind it.'),
    }),
  )
  .default({})
  .describe(
    'Inputs that the callback fills in, by name: nobody is asked for them. One that was given must agree with the callback. What decides a host is one label or from a list.',
  );
const inputs = z.record(name, inputSchema).default({}).describe('Values that complete the definition, by the name that {name} stands for.');
const common = { label: text.optional().describe('What the connect page calls this method.'), inputs, api: methodApi, after };
const authorization = z
  .strictObject({
    params: params.default({}).describe('Further parameters of the authorization URL; may hold {name} of an input.'),
    rename: z.record(param, param).default({}).describe('Standard name to the one that this provider wants.'),
    omit: z.array(param).default([]).describe('Standard parameters that this provider must not get.'),
    order: z.array(param).default([]).describe('Parameters that stand first, in this order, for a page that looks at it.'),
    fragment: z.string().max(100).optional().describe('Put behind the authorization URL, without #.'),
  })
  .prefault({});

export const authorizationCodeSchema = z.strictObject({
  grant: z.literal('authorization_code'),
  ...common,
  issuer: url.optional().describe('RFC 8414 issuer; when set, iss is enforced on the callback (RFC 9207).'),
  iss_parameter: z
    .enum(['required', 'optional'])
    .default('required')
    .describe('With an issuer: whether its callbacks always hold iss (RFC 9207). One that comes is compared in any case.'),
  authorization_endpoint: url,
  token_endpoint: url,
  revocation_endpoint: url.optional().describe('RFC 7009; called when a connection is deleted.'),
  introspection_endpoint: url.optional().describe('RFC 7662; for the record, it is not called.'),
  userinfo_endpoint: url.optional().describe('OpenID Connect; for the record, it is not called.'),
  token_endpoint_auth_method: clientAuthentication
    .default('client_secret_basic')
    .describe(
      'How we authenticate there (RFC 6749 section 2.3). basic_raw: Basic without the encoding that the RFC asks for; client_id_basic: Basic with an empty secret; private_key_jwt: RFC 7523.',
    ),
  client_assertion: clientAssertion,
  code_challenge_method: z.enum(['S256', 'plain', 'none']).default('S256').describe('PKCE (RFC 7636); none only where the provider refuses it.'),
  code_challenge_encoding: z
    .enum(['base64url', 'hex', 'base64url_hex'])
    .default('base64url')
    .describe('How the hash of S256 is written, where not as in RFC 7636; base64url_hex: the base64url of its hexadecimal text.'),
  redirect_uri: template
    .optional()
    .describe('Sent instead of the address of our callback, where the provider has another name for it; made of inputs that the admin gives.'),
  scopes,
  authorization,
  callback: z
    .strictObject({
      state,
      code: param.default('code').describe('The parameter that holds the code.'),
      response_mode: z.enum(['query', 'form_post']).default('query').describe('form_post: the answer arrives as a POST.'),
      keep: z.array(param).default([]).describe('Parameters to keep as extras.'),
      denied,
      denied_by: deniedBy,
      scope: param.optional().describe('The parameter that says which scopes were granted; the token answer does not.'),
      inputs: filled,
      signature: callbackSignature.optional().describe('The provider signs its callbacks.'),
    })
    .prefault({}),
  application_token: applicationToken,
  token: tokenRequest,
  second_exchange: secondExchange,
  refresh,
  revocation,
  response,
});

export const clientCredentialsSchema = z.strictObject({
  grant: z.literal('client_credentials'),
  ...common,
  issuer: url.optional().describe('RFC 8414 issuer; the audience of private_key_jwt.'),
  token_endpoint: url,
  revocation_endpoint: url.optional().describe('RFC 7009; called when a connection is deleted.'),
  token_endpoint_auth_method: clientAuthentication
    .default('client_secret_basic')
    .describe(
      'How we authenticate there (RFC 6749 section 2.3). basic_raw: Basic without the encoding that the RFC asks for; client_id_basic: Basic with an empty secret; private_key_jwt: RFC 7523.',
    ),
  client_assertion: clientAssertion,
  scopes,
  application_token: applicationToken,
  token: tokenRequest,
  refresh,
  revocation,
  response,
});

export const jwtBearerSchema = z.strictObject({
  grant: z.literal('jwt_bearer'),
  ...common,
  issuer: url.optional().describe('RFC 8414 issuer; the audience of the assertion.'),
  token_endpoint: url,
  revocation_endpoint: url.optional().describe('RFC 7009; called when a connection is deleted.'),
  token_endpoint_auth_method: clientAuthentication
    .default('none')
    .describe(
      'How we authenticate there (RFC 6749 section 2.3), besides the assertion. basic_raw: Basic without the encoding that the RFC asks for; client_id_basic: Basic with an empty secret; private_key_jwt: RFC 7523 section 2.2.',
    ),
  client_assertion: clientAssertion,
  assertion,
  scopes,
  application_token: applicationToken,
  token: tokenRequest,
  refresh,
  revocation,
  response,
});

export const credentialExchangeSchema = z.strictObject({
  grant: z.literal('credential_exchange'),
  ...common,
  token_endpoint: url,
  revocation_endpoint: url.optional().describe('RFC 7009; called when a connection is deleted.'),
  token_endpoint_auth_method: clientAuthentication
    .default('client_secret_post')
    .describe(
      'How we authenticate there (RFC 6749 section 2.3). basic_raw: Basic without the encoding that the RFC asks for; client_id_basic: Basic with an empty secret; private_key_jwt: RFC 7523.',
    ),
  client_assertion: clientAssertion,
  scopes,
  application_token: applicationToken,
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
  token_method: z.enum(['POST', 'GET']).default('POST').describe('How both token endpoints are called; with GET parameters stand in the query.'),
  revocation_endpoint: url.optional().describe('Called, signed, when a connection is deleted; {access_token} may stand in its path or query.'),
  revocation: z
    .strictObject({ method: z.enum(['POST', 'DELETE', 'GET']).default('POST').describe('How revocation_endpoint is called.') })
    .prefault({}),
  signature_method: z.enum(['HMAC-SHA1', 'HMAC-SHA256', 'RSA-SHA1', 'PLAINTEXT']).default('HMAC-SHA1').describe('RFC 5849 section 3.4.'),
  realm: z.string().max(200).optional().describe('RFC 5849 section 3.5.1.'),
  scopes,
  authorization,
  request_token: z.strictObject({ params: params.default({}).describe('Further parameters.') }).prefault({}),
  callback: z
    .strictObject({
      mode: z.enum(['url', 'oob']).default('url').describe('oob: out of band; nobody is sent back, the end user returns by herself.'),
      verifier: z
        .enum(['required', 'absent'])
        .default('required')
        .describe('absent: OAuth 1.0 without the verifier of RFC 5849 section 2.2; weak, see docs/connect-flow.md.'),
      confirmed: z.enum(['required', 'absent']).default('required').describe('oauth_callback_confirmed (RFC 5849 section 2.1).'),
      state,
      keep: z.array(param).default([]).describe('Parameters to keep as extras.'),
      denied: denied.describe('error values, or values of oauth_verifier, that mean the end user declined, besides access_denied.'),
    })
    .prefault({}),
  response: z
    .strictObject({
      expires_in: pointer.optional().describe('When the token ends; in expires_unit.'),
      expires_unit,
      lifetime: duration.optional().describe('How long a token lives when the answer does not say; without it, for good.'),
      api_key: pointer
        .optional()
        .describe('What the API takes as a key, as /oauth_token or /oauth_token_secret: it is presented as `api.token` says, and no call is signed.'),
      keep: z.record(name, pointer).default({}).describe('Values to keep as extras, by the name they get.'),
    })
    .prefault({}),
  reconnect: z
    .enum(['keeps_existing', 'invalidates_existing'])
    .default('keeps_existing')
    .describe('invalidates_existing: asking for a request token ends the access token that is in use; the page warns.'),
});

export const apiKeySchema = z.strictObject({
  grant: z.literal('api_key'),
  ...common,
  value: template.default('{api_key}').describe('What is presented; by default the input api_key.'),
});

export const basicSchema = z.strictObject({
  grant: z.literal('basic'),
  ...common,
  username: template.default('{username}').describe('By default the input username.'),
  password: z.string().max(2000).default('{password}').describe('By default the input password.'),
});

export const methodSchema = z.discriminatedUnion('grant', [
  authorizationCodeSchema,
  clientCredentialsSchema,
  jwtBearerSchema,
  oauth1Schema,
  credentialExchangeSchema,
  apiKeySchema,
  basicSchema,
]);

export const definitionSchema = z.strictObject({
  $schema: z.string().optional(),
  id: id.describe('How integrations name it, and the name of its file.'),
  name: text.describe('What people call it.'),
  documentation: z
    .string()
    .max(500)
    .regex(/^https:\/\//, 'an https URL, as in https://acme.com/docs')
    .optional()
    .describe('Where these facts can be checked.'),
  status: z.enum(['live', 'legacy', 'retired']).default('live').describe('retired: the service has ended.'),
  categories: z.array(id).default([]).describe('For finding it in the catalogue.'),
  aliases: z.array(z.string().max(64)).default([]).describe('Other names that people search for.'),
  unverified: z.array(z.string().max(300)).default([]).describe('Facts that nobody has checked against the documentation.'),
  extends: id.optional().describe('Another definition; this one is merged over it, and null removes a field.'),
  inputs,
  api,
  methods: z
    .record(methodId, methodSchema)
    .refine((methods) => Object.keys(methods).length > 0, 'at least one method')
    .describe('Ways to obtain a credential, by name; the first is the default.'),
});

export type Definition = z.output<typeof definitionSchema>;
export type DefinitionInput = z.input<typeof definitionSchema>;
export type Api = z.output<typeof api>;
export type Input = z.output<typeof inputSchema>;
export type Method = z.output<typeof methodSchema>;
export type AuthorizationCodeMethod = z.output<typeof authorizationCodeSchema>;
export type ClientCredentialsMethod = z.output<typeof clientCredentialsSchema>;
export type JwtBearerMethod = z.output<typeof jwtBearerSchema>;
export type CredentialExchangeMethod = z.output<typeof credentialExchangeSchema>;
export type OAuth1Method = z.output<typeof oauth1Schema>;
export type ApiKeyMethod = z.output<typeof apiKeySchema>;
export type BasicMethod = z.output<typeof basicSchema>;
export type ClientAuthenticationMethod = z.output<typeof clientAuthentication>;
export type TokenResponseMap = AuthorizationCodeMethod['response'];
