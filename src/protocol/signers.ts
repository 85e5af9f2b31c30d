import { createHash, createHmac, createPrivateKey, sign as signWith } from 'node:crypto';
import type { Api } from './definition/schema.ts';
import { GrantryError } from './errors.ts';
import type { ClientRegistration } from './grant.ts';
import { withQuery } from './query.ts';

type Pairs = readonly (readonly [string, string])[];
export type Sign = NonNullable<Api['sign']>;

/** What a signer works on: decoded parameters without the signature, and the token where there is one. */
type Signable = { path: string; pairs: Pairs; accessToken: string; client: ClientRegistration };

type Signer = {
  /** How the token is signed: as what the signature is made of, as a parameter like any other, or not at all. */
  token: 'needed' | 'parameter' | 'unsigned';
  /** What it signs with. */
  needs: 'secret' | 'key';
  make(request: Signable): string;
};

/** The closed set of signatures that single providers want. */
const signers: Readonly<Record<Sign['signer'], Signer>> = {
  token_hmac_sha256: {
    token: 'needed',
    needs: 'secret',
    make: ({ accessToken, client }) => createHmac('sha256', secretOf(client)).update(accessToken).digest('hex'),
  },
  path_pairs_hmac_sha256: {
    token: 'unsigned',
    needs: 'secret',
    make({ path, pairs, client }) {
      const secret = secretOf(client);
      return createHmac('sha256', secret)
        .update(`${secret}${path}${joined(pairs, '', '')}${secret}`)
        .digest('hex');
    },
  },
  pairs_token_md5: {
    token: 'needed',
    needs: 'secret',
    make: ({ pairs, accessToken, client }) => md5(joined(pairs, '=', '') + md5(accessToken + secretOf(client))),
  },
  pairs_rsa_sha256: {
    token: 'parameter',
    needs: 'key',
    make({ pairs, client }) {
      const text = joined(
        pairs.filter(([, value]) => value !== ''),
        '=',
        '&',
      );
      return rsaSha256(text, client);
    },
  },
};

/** What this signature is made with, of our registration. */
export const signatureNeeds = ({ signer }: Pick<Sign, 'signer'>): Signer['needs'] => signers[signer].needs;

/** True when nothing can be signed before there is an access token. */
export const signsToken = ({ signer }: Pick<Sign, 'signer'>): boolean => signers[signer].token === 'needed';

const md5 = (text: string): string => createHash('md5').update(text).digest('hex');

function secretOf({ client_secret }: ClientRegistration): string {
  if (client_secret === undefined)
    throw new GrantryError('invalid_client', { detail: 'Requests are signed, and the integration has no client secret.' });
  return client_secret;
}

function rsaSha256(text: string, { private_key_jwk }: ClientRegistration): string {
  const detail = 'Requests are signed, and the integration has no RSA key that can sign.';
  if (private_key_jwk?.['kty'] !== 'RSA') throw new GrantryError('invalid_client', { detail });
  try {
    return signWith('sha256', Buffer.from(text, 'utf8'), createPrivateKey({ key: { ...private_key_jwk }, format: 'jwk' })).toString('base64');
  } catch (cause) {
    throw new GrantryError('invalid_client', { detail, cause });
  }
}

/** Sorted by name, and by value where a name is there twice. */
function joined(pairs: Pairs, between: string, behind: string): string {
  return [...pairs]
    .sort(([a, x], [b, y]) => (a === b ? order(x, y) : order(a, b)))
    .map(([name, value]) => `${name}${between}${value}`)
    .join(behind);
}

const order = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** China has one time, eight hours before UTC all the year. */
const chinaTime = (now: Date): string => new Date(now.getTime() + 8 * 3_600_000).toISOString().slice(0, 19).replace('T', ' ');

/**
 * The parameters that a signed request has besides: the time where the provider wants one, and the signature over all.
 * Throws `invalid_client` when the registration has nothing to sign with.
 *
 * @param pairs decoded, as they are sent
 * @param tokenParam the one of them that holds the token, if one does
 */
export function signatureOf(
  { signer, param, timestamp_param, timestamp_format }: Sign,
  {
    path,
    pairs,
    accessToken = '',
    tokenParam,
    client,
    now,
  }: { path: string; pairs: Pairs; accessToken?: string; tokenParam?: string; client: ClientRegistration; now: Date },
): [string, string][] {
  const { token, make } = signers[signer];
  const time = timestamp_format === 'china_time' ? chinaTime(now) : String(Math.floor(now.getTime() / 1000));
  const added: [string, string][] = timestamp_param === undefined ? [] : [[timestamp_param, time]];
  const others = pairs.filter(([name]) => name !== param && name !== timestamp_param && (token === 'parameter' || name !== tokenParam));
  return [...added, [param, make({ path, pairs: [...others, ...added], accessToken, client })]];
}

/** The URL of an API call with its signature in the query. What is signed are the path, the query and the parameters of a form. Throws as `signatureOf`. */
export function signUrl(
  url: string,
  sign: Sign,
  { form, ...made }: { client: ClientRegistration; accessToken: string; tokenParam?: string; form: Pairs; now: Date },
): string {
  const { pathname, searchParams } = new URL(url);
  return withQuery(url, signatureOf(sign, { ...made, path: pathname, pairs: [...searchParams, ...form] }));
}
