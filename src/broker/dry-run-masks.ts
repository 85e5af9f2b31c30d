import type { Method } from '../protocol/definition/schema.ts';

/** What a dry run shows in the place of what is secret, or different each time. */

/** A value for a secret input; it is shown as the name of the input in angle brackets. */
export const secretInput = (name: string): string => `SECRET_INPUT_${name}_END`;

const words: readonly [RegExp, string][] = [
  [/CLIENT_SECRET/g, '<client_secret>'],
  [/REFRESH_TOKEN/g, '<refresh_token>'],
  [/ACCESS_TOKEN/g, '<access_token>'],
  [/APPLICATION_TOKEN/g, '<application_token>'],
  [/SECRET_INPUT_(\w{1,64}?)_END/g, '<$1>'],
  [/OAUTH_TOKEN_SECRET/g, '<token secret>'],
  [/((?:code_verifier|state|code_challenge|oauth_nonce|oauth_timestamp|nonce)=)[A-Za-z0-9._~-]+/g, '$1<fresh>'],
  [/(oauth_signature=")[^"]+/g, '$1<signature>'],
  [/(oauth_nonce="|oauth_timestamp=")[^"]+/g, '$1<fresh>'],
  [/("(?:code_verifier)":")[^"]+/g, '$1<fresh>'],
];
const jwt = /eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+/g;

/** What a JWT says, so that it can be held against the provider's documentation. */
function saidBy(text: string): string {
  const [header, claims] = text
    .split('.')
    .slice(0, 2)
    .map((part): Record<string, unknown> => JSON.parse(Buffer.from(part, 'base64url').toString('utf8')));
  const fresh = Object.fromEntries(['jti', 'iat', 'exp'].filter((name) => claims?.[name] !== undefined).map((name) => [name, '<fresh>']));
  return `<signed JWT ${JSON.stringify(header)} ${JSON.stringify({ ...claims, ...fresh })}>`;
}

/** What is shown of a text that a request of this method holds. */
export function maskOf({ grant }: Pick<Method, 'grant'>): (text: string) => string {
  const basic = grant === 'basic' ? '<user name and password>' : '<client id and secret>';
  return (text) => {
    const plain = text.replace(/(authorization: ?)?(Basic) [A-Za-z0-9+/=]+/g, `$1$2 ${basic}`).replace(jwt, saidBy);
    return words.reduce((masked, [pattern, word]) => masked.replace(pattern, word), plain);
  };
}
