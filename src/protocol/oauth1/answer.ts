import type { DoorResponse } from '../door.ts';
import { GrantryError } from '../errors.ts';
import { parseForm } from '../form.ts';
import { mayHoldToken } from '../success.ts';
import { isTokenText } from '../token-text.ts';

export type TokenAnswer = {
  token: string;
  secret: string;
  /** `oauth_callback_confirmed=true` was there (RFC 5849 section 2.1). */
  confirmed: boolean;
  /** All that the provider said, as own properties of an object without prototype or of parsed JSON; for the definition's pointers. */
  document: object;
};

/**
 * Reads the answer to a request for temporary or token credentials (RFC 5849 sections 2.1 and 2.3): form-encoded, or JSON, which
 * some providers send instead. Throws `bad_provider_answer` unless the status is 2xx with a whole body, and token and secret are proper ones.
 */
export function readTokenAnswer({ status, body }: Pick<DoorResponse, 'status' | 'body'>): TokenAnswer {
  const document = mayHoldToken(status) ? readDocument(body) : undefined;
  if (document === undefined) throw new GrantryError('bad_provider_answer', { detail: 'The provider did not answer with a token.' });
  const own = (name: string): unknown => Object.getOwnPropertyDescriptor(document, name)?.value;
  const token = own('oauth_token');
  const secret = own('oauth_token_secret');
  if (!isTokenText(token) || !isTokenText(secret))
    throw new GrantryError('bad_provider_answer', { detail: "The provider's token or token secret cannot be used." });
  const confirmed = own('oauth_callback_confirmed');
  return { token, secret, confirmed: confirmed === 'true' || confirmed === true, document };
}

function readDocument(body: string): object | undefined {
  const text = body.replace(/^\uFEFF/, '').trim();
  if (text.startsWith('{')) return readObject(text);
  const fields = parseForm(text);
  if (fields === undefined) return undefined;
  const document: Record<string, string> = Object.create(null);
  for (const [name, value] of fields) document[name] = value;
  return document;
}

function readObject(text: string): object | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
