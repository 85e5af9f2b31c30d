import { z } from 'zod';
import { param } from './fields.ts';

/** Signatures of a provider's own: a closed set, so that a definition stays data. */
export const sign = z.strictObject({
  signer: z
    .enum(['token_hmac_sha256', 'path_pairs_hmac_sha256', 'pairs_token_md5', 'pairs_rsa_sha256'])
    .describe(
      'token_hmac_sha256: HMAC of the access token. path_pairs_hmac_sha256: HMAC of secret, path, sorted names and values, secret. pairs_token_md5: MD5 of sorted name=value and the MD5 of access token and secret. These with the client secret, in hexadecimal. pairs_rsa_sha256: with the private key of the integration, over all parameters that are not empty, sorted, as name=value joined by &; in base64.',
    ),
  param: param.describe('The parameter that holds the signature.'),
  timestamp_param: param.optional().describe('A parameter that gets the time, and is signed as well.'),
  timestamp_format: z
    .enum(['epoch_s', 'china_time'])
    .optional()
    .describe('epoch_s, which holds without: seconds since 1970. china_time: 2026-01-31 23:59:59, as it is in China.'),
});
