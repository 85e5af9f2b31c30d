import type { Method } from '../definition/schema.ts';
import type { DoorResponse } from '../door.ts';
import { parseForm } from '../form.ts';
import { pointerValue } from '../pointer.ts';
import { isStandardError } from '../token-error.ts';
import type { Masks } from './masks.ts';

export type ShownMember = {
  /** JSON pointer (RFC 6901). */
  at: string;
  type: 'text' | 'number' | 'boolean' | 'null' | 'list' | 'object';
  /** Characters of a text, items of a list. */
  length: number | null;
  /** Only of what is known to hold no secret. */
  value: string | null;
};

/** An answer as a trace shows it: of its body the shape, and what the definition says is an error, a lifetime, a type or a scope. */
export type ShownAnswer = {
  status: number;
  headers: Record<string, string>;
  body: { written: 'json' | 'form' | 'html' | 'other' | 'nothing'; characters: number; members: ShownMember[]; more: boolean };
};

const mostMembers = 60;
const deepest = 6;
const longestName = 60;
const longestValue = 500;

/** The names of headers whose values say something and are no secret, and the form that they must have. */
const httpDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;
const headerForms: Readonly<Record<string, RegExp>> = {
  'content-type':
    /^(?:application|text)\/(?:json|x-www-form-urlencoded|html|plain|xml|javascript|[a-z.]{1,20}\+json)(?: ?; ?charset="?[A-Za-z0-9-]{1,12}"?)?$/i,
  'retry-after': new RegExp(`^\\d{1,10}$|${httpDate.source}`),
  date: httpDate,
};

/** What an error code looks like: words of the standards and of providers, no text that somebody wrote for people. */
const errorWord = /^(?=.{1,40}$)[a-z]{1,14}(?:_[a-z]{1,14})*$/;
/** True for what may be shown as an error code, where one stands. */
export const isErrorCode = (text: string): boolean => isStandardError(text) || errorWord.test(text) || /^-?\d{1,6}$/.test(text);

/** Where an answer holds what may be shown, and which values may be. */
function showables(method: Method): Map<string, (text: string) => boolean> {
  const time = (text: string) => /^[\dTZ:.+-]{1,35}$/.test(text);
  const known = new Map<string, (text: string) => boolean>([
    ['/error', isErrorCode],
    ['/oauth_problem', isErrorCode],
    ['/oauth_callback_confirmed', (text) => text === 'true' || text === 'false'],
  ]);
  if (!('response' in method) || method.grant === 'oauth1') return known;
  const { response } = method;
  known.set(response.error, (text) => Object.hasOwn(response.error_codes, text) || isErrorCode(text));
  known.set(response.expires_in, time);
  if (response.refresh_token_expires_in !== undefined) known.set(response.refresh_token_expires_in, time);
  known.set(response.token_type, (text) => response.token_types.includes(text.toLowerCase()) || /^[A-Za-z]{1,20}$/.test(text));
  known.set(response.scope, () => true);
  if (response.success !== undefined) known.set(response.success.pointer, (text) => text === String(response.success?.equals));
  return known;
}

const typeOf = (value: unknown): ShownMember['type'] => {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'list';
  if (typeof value === 'object') return 'object';
  return typeof value === 'number' ? 'number' : typeof value === 'boolean' ? 'boolean' : 'text';
};

/** Control characters and the like as \u escapes. */
const escaped = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]/gu, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

function textOf(value: unknown): string | undefined {
  if (Array.isArray(value)) return value.every((item) => typeof item === 'string') ? value.join(' ') : undefined;
  return typeof value === 'object' || value === undefined ? undefined : String(value);
}

function* membersOf(document: unknown, { masks, known, at = '', depth = 0 }: Walk): Generator<ShownMember> {
  if (typeof document !== 'object' || document === null || depth >= deepest) return;
  for (const [key, value] of Object.entries(document)) {
    const name = masks.secretIn(key) === undefined && key.length <= longestName ? escaped(key) : masks.hide(key);
    const pointer = `${at}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    const text = textOf(value);
    const isShown = text !== undefined && known.get(pointer)?.(text) === true && masks.secretIn(text) === undefined;
    const type = typeOf(value);
    const length = typeof value === 'string' || Array.isArray(value) ? value.length : null;
    yield { at: pointer, type, length, value: isShown ? escaped(text).slice(0, longestValue) : null };
    if (!isShown) yield* membersOf(value, { masks, known, at: pointer, depth: depth + 1 });
  }
}
type Walk = { masks: Masks; known: ReturnType<typeof showables>; at?: string; depth?: number };

function read(body: string): { written: ShownAnswer['body']['written']; document: unknown } {
  const text = body.replace(/^\uFEFF/, '').trim();
  if (text === '') return { written: 'nothing', document: undefined };
  try {
    const document: unknown = JSON.parse(text);
    if (typeof document === 'object') return { written: 'json', document };
  } catch {
    // Then it is something else.
  }
  if (text.startsWith('<')) return { written: 'html', document: undefined };
  const form = /^[\w.-]+=[^\s<>{}]*$/.test(text) ? parseForm(text) : undefined;
  return form === undefined ? { written: 'other', document: undefined } : { written: 'form', document: Object.fromEntries(form) };
}

/** The tokens in an answer, as the definition finds them: secret from now on, wherever they are sent. */
export function learnTokens(masks: Masks, method: Method, { body }: DoorResponse): void {
  const { document } = read(body);
  const learn = (label: string, pointer: string | undefined) => {
    const value = pointer === undefined ? undefined : pointerValue(document, pointer);
    if (typeof value === 'string') masks.learn(label, value);
  };
  for (const name of ['access_token', 'refresh_token', 'id_token', 'oauth_token', 'oauth_token_secret']) learn(name, `/${name}`);
  if (!('response' in method) || method.grant === 'oauth1') return;
  learn('access_token', method.response.access_token);
  learn('refresh_token', method.response.refresh_token);
  learn('access_token', method.refresh.response.access_token);
  learn('refresh_token', method.refresh.response.refresh_token);
  learn('token of the application', method.application_token?.response.access_token);
}

/** What came back, secrets masked. Learn its tokens before. */
export function showAnswer(masks: Masks, method: Method, { status, headers, body }: DoorResponse): ShownAnswer {
  const { written, document } = read(body);
  const members: ShownMember[] = [];
  let more = false;
  for (const member of membersOf(document, { masks, known: showables(method) })) {
    more = members.length >= mostMembers;
    if (more) break;
    members.push(member);
  }
  const shown = Object.entries(headerForms).flatMap(([name, form]) => {
    const value = headers[name];
    return value !== undefined && value.length <= longestValue && form.test(value) && masks.secretIn(value) === undefined ? [[name, value]] : [];
  });
  return { status, headers: Object.fromEntries(shown), body: { written, characters: body.length, members, more } };
}
