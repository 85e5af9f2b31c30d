import OAuth from 'oauth-1.0a';
import { GrantryError } from '../errors.ts';
import { encodeParameter, type Pair, parameterString } from './parameters.ts';
import { parseRequestUrl } from './request-url.ts';
import { type SigningKey, signatureOf } from './signature.ts';

/** A request as it will be sent. */
export type SignableRequest = {
  method: string;
  url: string;
  /** The pairs of a single-part form-encoded body; a body of any other kind is not signed (RFC 5849 section 3.4.1.3.1). */
  form?: readonly Pair[] | undefined;
};

export type Signing = {
  consumerKey: string;
  key: SigningKey;
  token?: { key: string; secret: string } | undefined;
  /** Further protocol parameters: `oauth_callback`, `oauth_verifier`. */
  extra?: Readonly<Record<`oauth_${string}`, string>>;
  realm?: string | undefined;
  nonce: string;
  /** Seconds since 1970. */
  timestampS: number;
};

/**
 * oauth-1.0a for one request. Its key, base string and header are used; what it gets wrong is replaced: it splits the URL by hand,
 * decodes and encodes twice, keeps parameters in plain objects keyed by the user's names, draws nonces from Math.random and lets
 * a realm break out of its quotes.
 */
class RequestSigner extends OAuth {
  readonly #request: SignableRequest;
  readonly #signing: Signing;

  constructor(request: SignableRequest, signing: Signing) {
    const { key } = signing;
    super({
      consumer: { key: signing.consumerKey, secret: key.method === 'RSA-SHA1' ? '' : key.secret },
      signature_method: key.method,
      hash_function: (baseString, sharedKey) => signatureOf(baseString, sharedKey, key),
    });
    this.#request = request;
    this.#signing = signing;
  }

  /** The library's header also brings the timestamp, which is a number. */
  override percentEncode(text: string | number): string {
    return encodeParameter(String(text));
  }

  override getNonce(): string {
    return this.#signing.nonce;
  }

  override getTimeStamp(): number {
    const { timestampS } = this.#signing;
    if (!Number.isSafeInteger(timestampS) || timestampS <= 0)
      throw new GrantryError('internal_error', { detail: 'The clock gives no OAuth timestamp.' });
    return timestampS;
  }

  override getBaseUrl(url: string): string {
    return parseRequestUrl(url).baseUri;
  }

  override getParameterString(request: OAuth.RequestOptions, protocol: OAuth.Data): string {
    const own = Object.entries(protocol).map(([name, value]): Pair => [name, String(value)]);
    return parameterString([...own, ...parseRequestUrl(request.url).query, ...(this.#request.form ?? [])]);
  }

  /** The protocol parameters of this request, signed. The arguments of the library are not used: one signer signs one request. */
  override authorize(): OAuth.Authorization {
    const { token, extra } = this.#signing;
    const protocol: OAuth.Data = {
      oauth_consumer_key: this.consumer.key,
      oauth_nonce: this.getNonce(),
      oauth_signature_method: this.#signing.key.method,
      oauth_timestamp: this.getTimeStamp(),
      oauth_version: '1.0',
      ...(token === undefined ? {} : { oauth_token: token.key }),
      ...extra,
    };
    const { method, url } = this.#request;
    return { ...protocol, oauth_signature: this.getSignature({ method, url }, token?.secret, protocol) };
  }

  override toHeader(signed: OAuth.Authorization): OAuth.Header {
    const { Authorization } = super.toHeader(signed);
    const { realm } = this.#signing;
    return { Authorization: realm === undefined ? Authorization : Authorization.replace(/^OAuth /, () => `OAuth realm=${quoted(realm)}, `) };
  }
}

/** RFC 9110 section 5.6.4. Throws `invalid_request` for anything but printable ASCII. */
function quoted(text: string): string {
  if (!/^[\x20-\x7e]*$/.test(text)) throw new GrantryError('invalid_request', { detail: 'A realm is printable ASCII.' });
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

const methodToken = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}$/;

/**
 * Signs one request (RFC 5849 section 3). Send exactly the returned `url`, with the returned `Authorization` header.
 * Throws `invalid_request` for a URL, method or realm that cannot be signed, or a request that already holds a protocol parameter.
 */
export function signRequest(request: SignableRequest, signing: Signing): { url: string; authorization: string } {
  if (!methodToken.test(request.method)) throw new GrantryError('invalid_request', { detail: 'The method is not an HTTP method.' });
  const { href, query } = parseRequestUrl(request.url);
  const signer = new RequestSigner({ ...request, url: href }, signing);
  const signed = signer.authorize();
  const twice = [...query, ...(request.form ?? [])].find(([name]) => Object.hasOwn(signed, name));
  if (twice !== undefined) throw new GrantryError('invalid_request', { detail: `The request already holds ${twice[0]}.` });
  return { url: href, authorization: signer.toHeader(signed).Authorization };
}

/** The signature base string (RFC 5849 section 3.4.1) of a request with these protocol parameters; for those who look for a difference. */
export function baseStringOf(request: SignableRequest, signing: Signing, protocol: Readonly<Record<`oauth_${string}`, string>>): string {
  const { method, url } = request;
  return new RequestSigner(request, signing).getBaseString({ method, url }, protocol as unknown as OAuth.Data);
}

/** 128 bits from the given source, as 32 hexadecimal digits, which every provider's storage can hold (RFC 5849 section 3.3). */
export function freshNonce(random: (bytes: number) => Buffer): string {
  return random(16).toString('hex');
}
