import { GrantryError } from './errors.ts';
import { parseExact } from './exact-json.ts';
import { pointerValue } from './pointer.ts';

/**
 * ID tokens (OpenID Connect Core section 2) that come with a token answer. They arrive over TLS straight from the token endpoint, which may stand in
 * for the check of the signature (section 3.1.3.7, step 6); one that came in any other way is never read.
 */

export type IdTokenRules = {
  /** Ours: the token has to be for us. */
  clientId: string;
  /** `iss`, where the method has an issuer. */
  issuer?: string | undefined;
  now: Date;
};

/** Characters; the door lets in 65,536 of all the answer. */
const longest = 32_768;
/** Seconds that clocks may differ. */
const skewS = 60;

const part = /^[A-Za-z0-9_-]+$/;

type Claims = Readonly<Record<string, unknown>>;

/**
 * The claims of an ID token, of which is checked what can be without its issuer's keys: form, `alg`, `iss`, `aud`, `azp`, `exp` and `sub` (section 3.1.3.7). Whole
 * numbers of more than 15 digits come as text. Throws `bad_provider_answer`.
 */
export function readIdToken(token: unknown, { clientId, issuer, now }: IdTokenRules): { subject: string; claims: Claims } {
  if (token === undefined || token === null)
    throw unusable('The answer holds no ID token, which the definition reads (response.id_token); most providers give one for the scope openid.');
  if (typeof token !== 'string' || token.length > longest) throw unusable('The ID token of the answer is too long or no text.');
  const parts = token.split('.');
  if (parts.length !== 3 || !parts.every((each) => part.test(each))) throw unusable('The ID token of the answer is no signed JWT.');
  const [header, claims] = [objectIn(parts[0]), objectIn(parts[1])];
  if (header === undefined || claims === undefined) throw unusable('The ID token of the answer is no signed JWT.');
  if (typeof header['alg'] !== 'string' || header['alg'].toLowerCase() === 'none') throw unusable('The ID token of the answer is not signed.');
  const { iss, aud, azp, exp, sub } = claims;
  if (issuer !== undefined && iss !== issuer) throw unusable('The ID token of the answer is of another issuer than the definition names.');
  if (aud !== clientId && !(Array.isArray(aud) && aud.includes(clientId))) throw unusable('The ID token of the answer is for another client.');
  if (azp !== undefined && azp !== clientId) throw unusable('The ID token of the answer is for another client.');
  if (typeof exp !== 'number' || exp <= now.getTime() / 1000 - skewS) throw unusable('The ID token of the answer has ended.');
  if (typeof sub !== 'string' || sub === '') throw unusable('The ID token of the answer names nobody.');
  return { subject: sub, claims };
}

/** The account that a claim names, as a text of at most 300 characters. Throws `bad_provider_answer` when it names none. */
export function claimedAccount(claims: Claims, pointer: string): string {
  const value = pointerValue(claims, pointer);
  const text = typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  if (text === '' || text.length > 300 || /[\p{Cc}\p{Surrogate}]/u.test(text))
    throw unusable(`The ID token of the answer does not name the account at ${pointer} (response.id_token.account).`);
  return text;
}

function objectIn(encoded = ''): Claims | undefined {
  try {
    const value = parseExact(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(encoded, 'base64url')));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value)) : undefined;
  } catch {
    return undefined;
  }
}

function unusable(detail: string): GrantryError {
  return new GrantryError('bad_provider_answer', { detail });
}
