import { z } from 'zod';
import { duration, headers, name, param, params, pointer, url } from './fields.ts';

/** How scopes are asked for. */
export const scopes = z
  .strictObject({
    default: z.array(z.string().min(1).max(300)).default([]),
    separator: z.string().min(1).max(3).default(' '),
    param: param.default('scope'),
    required: z.boolean().default(false).describe('At least one scope must be asked for.'),
  })
  .prefault({});

/** Where an answer has what we need: RFC 6901 pointers. */
export const response = z
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

/** The request to the token endpoint. */
export const tokenRequest = z
  .strictObject({
    method: z.enum(['POST', 'GET']).default('POST'),
    format: z.enum(['form', 'json', 'query']).default('form'),
    params: params.default({}),
    headers: headers.default({}),
    rename: z.record(param, param).default({}),
    omit: z.array(param).default([]),
  })
  .prefault({});

/** How a credential is renewed. */
export const refresh = z
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

/** How it is ended at the provider (RFC 7009, or its own way). */
export const revocation = z
  .strictObject({
    method: z.enum(['POST', 'DELETE', 'GET']).default('POST'),
    format: z.enum(['form', 'json', 'query', 'none']).default('form'),
    params: params.optional().describe("Instead of RFC 7009's token and token_type_hint."),
    headers: headers.default({}),
    authentication: z
      .enum(['client', 'client_secret_basic', 'access_token', 'none'])
      .default('client')
      .describe('client: as at the token endpoint; access_token: as at the API.'),
  })
  .prefault({});

/** How we authenticate ourselves (RFC 6749 section 2.3, RFC 7523). */
export const clientAuthentication = z.enum(['client_secret_basic', 'basic_raw', 'client_secret_post', 'private_key_jwt', 'none']);
