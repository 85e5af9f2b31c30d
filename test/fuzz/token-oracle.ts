import type { CredentialFields } from '../../src/protocol/credential.ts';
import type { DoorResponse } from '../../src/protocol/door.ts';
import { GrantryError } from '../../src/protocol/errors.ts';
import { must } from './property.ts';
import { mark, type Rules } from './token-answers.ts';

/** What must be true of whatever is taken for a token, whoever read it: written from docs and RFCs, and sharing nothing with the code that reads it. */

const tenYearsS = 315_360_000;

export function isSaneToken(value: unknown): value is string {
  if (typeof value !== 'string' || value.length < 1 || value.length > 8_192) return false;
  for (let at = 0; at < value.length; at += 1) {
    const code = value.charCodeAt(at);
    if (code <= 0x20 || code >= 0x7f) return false;
  }
  return true;
}

const isLifetime = (value: unknown) => value === null || (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= tenYearsS);

const members = new Set(['kind', 'access_token', 'token_type', 'refresh_token', 'secret', 'scopes', 'lifetimeS', 'refreshLifetimeS', 'extras']);

const isControl = (code: number) => code < 0x20 || (code >= 0x7f && code < 0xa0);
/** True when it holds a control character or half a surrogate pair. */
function isBroken(value: string): boolean {
  for (const letter of value) {
    const code = letter.codePointAt(0) ?? 0;
    if (isControl(code) || (code >= 0xd800 && code <= 0xdfff)) return true;
  }
  return false;
}

/** Own members of a plain object, and nothing behind it. */
function mustBePlain(value: object, what: string): void {
  must(Object.getPrototypeOf(value) === Object.prototype, `${what} has another prototype`);
  for (const name of Reflect.ownKeys(value)) must(name !== '__proto__', `${what} has a member __proto__`);
}

/** What holds of a credential whatever the answer was. */
export function mustBeSane(fields: CredentialFields, keep: readonly string[]): void {
  mustBePlain(fields, 'the credential');
  for (const name of Object.keys(fields)) must(members.has(name), `foreign member ${name}`);
  must(isSaneToken(fields.access_token), 'an access token that is none', 'bad token');
  must(fields.refresh_token === undefined || isSaneToken(fields.refresh_token), 'a refresh token that is none', 'bad token');
  must(fields.secret === undefined || isSaneToken(fields.secret), 'a token secret that is none', 'bad token');
  must(typeof fields.token_type === 'string' && fields.token_type !== '', 'no token type', 'bad token');
  must(isLifetime(fields.lifetimeS), `a lifetime of ${fields.lifetimeS}`, 'bad token');
  must(isLifetime(fields.refreshLifetimeS), `a refresh lifetime of ${fields.refreshLifetimeS}`, 'bad token');
  must(Array.isArray(fields.scopes) && fields.scopes.length <= 1_000, 'too many scopes');
  must(new Set(fields.scopes).size === fields.scopes.length, 'a scope twice');
  for (const scope of fields.scopes)
    must(typeof scope === 'string' && scope.length > 0 && scope.length <= 300 && !isBroken(scope), 'a scope that is none');
  mustBePlain(fields.extras, 'extras');
  for (const [name, value] of Object.entries(fields.extras)) {
    must(keep.includes(name), `foreign extra ${name}`);
    must(typeof value === 'string' && value.length <= 2_000 && !isBroken(value), `extra ${name} is not a line of text`);
  }
}

/** What the pointer names, by hand. */
function at(document: unknown, pointer: string): unknown {
  if (!pointer.startsWith('/')) return undefined;
  let inner: unknown = document;
  for (const part of pointer.slice(1).split('/')) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof inner !== 'object' || inner === null || !Object.hasOwn(inner, name)) return undefined;
    inner = Reflect.get(inner, name);
  }
  return inner;
}

/** A form, by hand; of duplicates the last. */
function formOf(body: string): Record<string, string> {
  const fields: [string, string][] = body
    .trim()
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const [name = '', ...value] = part.split('=');
      return [decoded(name), decoded(value.join('='))];
    });
  return Object.fromEntries(fields);
}
function decoded(encoded: string): string {
  if (!/[%+]/.test(encoded)) return encoded;
  const bytes: number[] = [];
  for (let n = 0; n < encoded.length; n += 1) {
    const hex = encoded[n] === '%' ? encoded.slice(n + 1, n + 3) : '';
    if (hex !== '') n += 2;
    bytes.push(...(hex === '' ? Buffer.from(encoded[n] === '+' ? ' ' : (encoded[n] ?? '')) : [Number.parseInt(hex, 16)]));
  }
  return Buffer.from(bytes).toString();
}

/** The credential is of an answer that says just that: a success, of its own token, type and extras. */
export function mustBeSaid(fields: CredentialFields, { status, body }: DoorResponse, { response }: Rules): void {
  must(status >= 200 && status <= 299, `taken from an answer with status ${status}`, 'bad token');
  const { prefix = '' } = response;
  const json = body.startsWith('\ufeff') ? body.slice(1) : body;
  const whole: unknown = response.format === 'form' ? formOf(body) : JSON.parse(json.startsWith(prefix) ? json.slice(prefix.length) : json);
  const document = (response.within === undefined ? undefined : at(whole, response.within)) ?? whole;
  must(at(document, response.access_token) === fields.access_token, 'another access token than the answer holds', 'bad token');
  const refreshToken = at(document, response.refresh_token);
  must(fields.refresh_token === undefined || refreshToken === fields.refresh_token, 'another refresh token than the answer holds', 'bad token');
  must(fields.refresh_token !== undefined || ['', null, undefined].includes(refreshToken as string), 'a refresh token was passed over', 'bad token');
  for (const name of Object.keys(fields.extras)) must(at(document, response.keep[name] ?? '') !== undefined, `extra ${name} is not in the answer`);
  const type = at(document, response.token_type);
  must(
    type === undefined || type === null || (typeof type === 'string' && type.toLowerCase() === fields.token_type),
    'another token type',
    'bad token',
  );
  must([...response.token_types, 'bearer'].includes(fields.token_type), `a token type ${fields.token_type}`, 'bad token');
  const error = at(document, response.error);
  const saysError = typeof error === 'object' && error !== null ? Object.keys(error).length > 0 : Boolean(error);
  must(!saysError, 'taken from an answer that holds an error', 'bad token');
  if (response.success !== undefined)
    must(at(document, response.success.pointer) === response.success.equals, 'taken without its sign of success', 'bad token');
}

const refusals = ['bad_provider_answer', 'provider_unavailable', 'provider_error', 'invalid_grant', 'invalid_client'];

/** A refusal is one of the closed table, and holds nothing of the answer. Anything else that was thrown is thrown on: a crash. */
export function mustBeRefusal(error: unknown): GrantryError {
  if (!(error instanceof GrantryError)) throw error;
  must(refusals.includes(error.code), `refused as ${error.code}`);
  const { retryAfterS } = error.details;
  must(retryAfterS === undefined || (Number.isInteger(retryAfterS) && retryAfterS >= 0 && retryAfterS <= 86_400), `a wait of ${retryAfterS} s`);
  const told = `${error.message} ${JSON.stringify(error.details)} ${String(error.cause ?? '')}`;
  must(!told.includes(mark), 'a message that holds a token');
  return error;
}

const builtIn = [Object.prototype, Array.prototype, String.prototype, Number.prototype, Function.prototype];
const own = (prototype: object) => Object.getOwnPropertyNames(prototype).length;
const before = builtIn.map(own);

/** Nobody has put anything into the prototypes that all objects share. */
export function mustBeUnpolluted(): void {
  // What was assigned is enumerable.
  for (const name in []) must(false, `${name} was put into a prototype`);
  for (const name in () => {}) must(false, `${name} was put into a prototype`);
  must(own(Object.prototype) === before[0], 'Object.prototype was changed');
}

/** The same of whatever was defined rather than assigned; costs more. */
export function mustBeUnpollutedAtLast(): void {
  for (const [n, prototype] of builtIn.entries()) must(own(prototype) === before[n], 'a prototype was changed');
}
