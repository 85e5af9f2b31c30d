import { createHash, createHmac } from 'node:crypto';
import type { Api } from './definition/schema.ts';
import { withQuery } from './query.ts';

/** What a signer works on: decoded parameters, without the signature and without the token. */
type Signable = { path: string; pairs: readonly (readonly [string, string])[]; accessToken: string; secret: string };

type Signer = NonNullable<Api['sign']>['signer'];

/** The closed set of signers for API calls that single providers want. Each takes the client secret and gives lower-case hexadecimal. */
const signers: Readonly<Record<Signer, (request: Signable) => string>> = {
  token_hmac_sha256: ({ accessToken, secret }) => createHmac('sha256', secret).update(accessToken).digest('hex'),
  path_pairs_hmac_sha256: ({ path, pairs, secret }) =>
    createHmac('sha256', secret)
      .update(`${secret}${path}${joined(pairs, '')}${secret}`)
      .digest('hex'),
  pairs_token_md5: ({ pairs, accessToken, secret }) => md5(joined(pairs, '=') + md5(accessToken + secret)),
};

const md5 = (text: string): string => createHash('md5').update(text).digest('hex');

/** Sorted by name, and by value where a name is there twice. */
function joined(pairs: Signable['pairs'], between: string): string {
  return [...pairs]
    .sort(([a, x], [b, y]) => (a === b ? order(x, y) : order(a, b)))
    .map(([name, value]) => `${name}${between}${value}`)
    .join('');
}

const order = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/**
 * The URL of an API call with the provider's signature, and the time where it wants one, in the query. What is signed are the path, the query
 * and the parameters of a form; the token never is.
 *
 * @param tokenParam the query parameter that holds the token, if one does
 */
export function signUrl(
  url: string,
  sign: NonNullable<Api['sign']>,
  { secret, accessToken, tokenParam, form, now }: { secret: string; accessToken: string; tokenParam?: string; form: Signable['pairs']; now: Date },
): string {
  const { signer, param, timestamp_param } = sign;
  const timed = timestamp_param === undefined ? url : withQuery(url, [[timestamp_param, String(Math.floor(now.getTime() / 1000))]]);
  const { pathname, searchParams } = new URL(timed);
  const pairs = [...searchParams, ...form].filter(([name]) => name !== param && name !== tokenParam);
  return withQuery(timed, [[param, signers[signer]({ path: pathname, pairs, accessToken, secret })]]);
}
