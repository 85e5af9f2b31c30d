import type { Definition, TokenResponseMap } from '../../src/protocol/definition/schema.ts';
import type { AnswerRules } from '../../src/protocol/token-answer.ts';
import { type Chance, createChance } from './chance.ts';
import { type JsonNode, literal, nodeOf, nodesOf, text, writeJson } from './json-text.ts';
import { damaged, hostileNames, oddNode, oddText } from './odd.ts';
import type { Draft } from './property.ts';

/** Answers of token endpoints: such as a definition describes, and what becomes of them under a few changes. */

export type Rules = Pick<AnswerRules, 'response' | 'separator'>;
export type TokenAnswer = { status: number; headers: Record<string, string>; bytes: Buffer; rules: Rules; isPlain: boolean };

/** A little more than the door lets in. */
const mostLetters = 66_000;

/** In the tokens of every answer; it must never be in a message. */
export const mark = 'SECRETMARK';

/** How the answers of all these definitions are read, each way once. */
export function rulesOf(definitions: Iterable<Definition>): Rules[] {
  const all = [...definitions].flatMap(({ methods }) =>
    Object.values(methods).flatMap((method): Rules[] => {
      if (!('token' in method)) return [];
      const separator = method.scopes.separator;
      const own = Object.fromEntries(Object.entries(method.refresh.response).filter(([, pointer]) => pointer !== undefined));
      return [
        { response: method.response, separator },
        { response: { ...method.response, ...own }, separator },
      ];
    }),
  );
  // Few providers answer with a form, and it is read in another way altogether.
  const fits = ({ success }: TokenResponseMap, written: string) => success === undefined && !/"\/[^"]*\//.test(written);
  const forms = all.flatMap(({ response, separator }): Rules[] =>
    fits(response, JSON.stringify(response)) ? [{ separator, response: { ...response, format: 'form' } }] : [],
  );
  // Where nothing of the answer stands, but something of every object.
  const keep = { made: '/constructor/name', behind: '/__proto__/constructor/name', long: '/length', own: '/access_token_owner' };
  const odd = all.slice(0, 8).map(({ response, separator }) => ({ separator, response: { ...response, keep } }));
  return [...new Map([...all, ...forms, ...odd].map((rules) => [JSON.stringify(rules), rules])).values()];
}

const visible = 'aZ0!b-Y1#c_X2$d.W3%e~V4&f+U5(g/T6)h=S7*i,R8:j;Q9<k>?P@l[O]m^N`n{M|o}L~p';
function tokenText(chance: Chance): string {
  const from = chance.below(visible.length);
  return mark + visible.slice(from, from + chance.below(60));
}

function lifetimeIn(unit: TokenResponseMap['expires_unit'], chance: Chance, now: Date): string | number {
  const seconds = chance.pick([60, 3_600, 86_400, 5_184_000]);
  const at = new Date(now.getTime() + seconds * 1_000);
  const number = { s: seconds, ms: seconds * 1_000, epoch_s: Math.floor(at.getTime() / 1_000), epoch_ms: at.getTime() };
  if (unit === 'iso') return at.toISOString();
  return chance.is(0.3) ? String(number[unit]) : number[unit];
}

/** Members by pointer, as the definition wants them. */
function membersOf({ response, separator }: Rules, chance: Chance, now: Date): [pointer: string, value: unknown][] {
  const { token_types, scope_separator = separator } = response;
  const type = token_types[0] ?? 'bearer';
  const scopes = ['read', 'write', 'a:b', 'https://x.com/scope'].slice(0, 1 + chance.below(4));
  const all: [string | undefined, unknown][] = [
    [response.access_token, tokenText(chance)],
    [response.token_type, chance.is(0.5) ? type : type.toUpperCase()],
    ...(chance.is(0.6) ? [[response.refresh_token, tokenText(chance)] satisfies [string, unknown]] : []),
    ...(chance.is(0.7) ? [[response.expires_in, lifetimeIn(response.expires_unit, chance, now)] satisfies [string, unknown]] : []),
    ...(chance.is(0.5)
      ? [[response.refresh_token_expires_in, lifetimeIn(response.refresh_token_expires_unit, chance, now)] satisfies [string | undefined, unknown]]
      : []),
    ...(chance.is(0.6)
      ? [[response.scope, chance.is(0.7) || response.format === 'form' ? scopes.join(scope_separator) : scopes] satisfies [string, unknown]]
      : []),
    // Some keep what has a meaning already.
    ...Object.values(response.keep).flatMap((pointer): [string, unknown][] =>
      Object.values(response).includes(pointer) ? [] : [[pointer, chance.pick(['kept', 7, true, 'https://x.com'])]],
    ),
    ...(response.success === undefined ? [] : [[response.success.pointer, response.success.equals] satisfies [string, unknown]]),
  ];
  return all.flatMap(([pointer, value]) => (pointer?.startsWith('/') ? [[pointer, value]] : []));
}

const segments = (pointer: string) =>
  pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));

/** Puts a value where the pointer says; a place that is held by something else already stays as it is. */
function put(document: JsonNode & { kind: 'object' }, pointer: string, value: unknown): void {
  const parts = segments(pointer);
  let at: JsonNode = document;
  for (const [n, part] of parts.entries()) {
    if (at.kind !== 'object') return;
    const there: [string, JsonNode] | undefined = at.members.find(([name]) => name === part);
    if (n === parts.length - 1) {
      if (there === undefined) at.members.push([part, nodeOf(value)]);
      return;
    }
    const next: JsonNode = there?.[1] ?? { kind: 'object', members: [] };
    if (there === undefined) at.members.push([part, next]);
    at = next;
  }
}

type Shape = {
  status: number;
  headers: Record<string, string>;
  document: JsonNode;
  format: 'json' | 'form' | 'text';
  /** What stands before the JSON. */
  prefix: string;
  written: string;
  isPlain: boolean;
};

function shapeOf(rules: Rules, chance: Chance, now: Date): Shape {
  const { response } = rules;
  const document: JsonNode & { kind: 'object' } = { kind: 'object', members: [] };
  const within = response.format === 'json' && response.within !== undefined && chance.is(0.5) ? response.within : '';
  for (const [pointer, value] of membersOf(rules, chance, now)) put(document, within + pointer, value);
  if (chance.is(0.3)) document.members.push(['id_token', text('eyJ.eyJ.sig')], ['more', nodeOf({ a: [1, { b: null }] })]);
  const shape: Shape = { status: 200, headers: {}, document, format: response.format, prefix: response.prefix ?? '', written: '', isPlain: true };
  const kind = chance.below(16);
  if (kind < 13) return shape;
  // Something else altogether, or the right members in the wrong language.
  if (kind === 13) return { ...shape, isPlain: false, format: response.format === 'json' ? 'form' : 'json' };
  if (kind === 14)
    return {
      ...shape,
      isPlain: false,
      status: chance.pick([200, 400, 401, 429, 503]),
      document: nodeOf({ error: chance.pick(['invalid_grant', 'invalid_client', 'slow_down', 'x', 5]) }),
    };
  const bytes = chance.bytes(chance.below(200)).toString('latin1');
  return {
    ...shape,
    isPlain: false,
    format: 'text',
    written: chance.pick(['', bytes, '<html>access_token', '[]', 'null', '5', `"${mark}"`, `access_token ${mark}`]),
  };
}

const statuses = [
  100, 101, 199, 201, 202, 204, 226, 299, 300, 301, 302, 304, 307, 399, 400, 401, 403, 404, 408, 409, 418, 425, 429, 499, 500, 502, 503, 599, 600,
  999,
];
const waits = [
  '0',
  '5',
  '-1',
  '1e9',
  '999999999999999',
  '9999999999999999',
  ' 7 ',
  'soon',
  'Fri, 20 Nov 2026 12:00:00 GMT',
  'Fri, 99 Nov 2026 99:00:00 GMT',
  '',
  '5, 5',
];
const errors = [
  'invalid_grant',
  'invalid_client',
  'temporarily_unavailable',
  'slow_down',
  'constructor',
  '__proto__',
  mark,
  '',
  ' ',
  'invalid_grant ',
];

/** One change of the document's grammar, the status or the headers. */
function change(shape: Shape, chance: Chance): void {
  if (chance.is(0.12)) shape.status = chance.is(0.9) ? chance.pick(statuses) : chance.below(1_000);
  else if (chance.is(0.05)) shape.headers = { 'retry-after': chance.pick(waits), 'content-type': oddText(chance) };
  else changeDocument(shape, chance);
}

function changeDocument(shape: Shape, chance: Chance): void {
  const holders = nodesOf(shape.document).filter((node) => node.kind === 'object' || node.kind === 'list');
  const holder = chance.pick(holders);
  if (holder === undefined || chance.is(0.01)) {
    shape.document = oddNode(chance);
    return;
  }
  if (holder.kind === 'list') {
    if (chance.is(0.5)) holder.items.push(oddNode(chance));
    else holder.items[chance.below(holder.items.length + 1)] = oddNode(chance);
    return;
  }
  const { members } = holder;
  const at = chance.below(members.length);
  const [name, value] = members[at] ?? ['a', literal('1')];
  switch (chance.below(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
      members[at] = [name, oddNode(chance)];
      break;
    case 4:
      members.splice(chance.below(members.length + 1), 0, [name, oddNode(chance)]);
      break;
    case 5:
      members.splice(at, 1);
      break;
    case 6:
      members[at] = [chance.pick([name.toUpperCase(), `${name} `, `${name}\u0000`, `\ufeff${name}`, `${name}s`, ...hostileNames]), value];
      break;
    case 7:
      members[at] = [name, chance.is(0.5) ? { kind: 'list', items: [value] } : { kind: 'object', members: [[name, value]] }];
      break;
    case 8:
      members.push([
        chance.pick(hostileNames),
        chance.is(0.5) ? oddNode(chance) : { kind: 'object', members: [...members, ['polluted', literal('true')]] },
      ]);
      break;
    case 9:
      members.push(['error', chance.is(0.5) ? text(chance.pick(errors)) : oddNode(chance)]);
      break;
    case 10:
      // What stood there becomes longer than anybody may keep.
      members[at] = [name, text((value.kind === 'text' ? value.value || 'x' : 'x').repeat(chance.pick([2, 50, 300, 1_000])).slice(0, 10_000))];
      break;
    default:
      if (chance.is(0.004)) for (let n = 0; n < 6_000; n += 1) members.push([`k${n}`, literal('1')]);
      else members.sort(() => chance.below(3) - 1);
  }
}

const byteNames = Array.from({ length: 256 }, (_, byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`);
const formLetters = byteNames.map((name, byte) => {
  const letter = String.fromCharCode(byte);
  return letter === ' ' ? '+' : /[A-Za-z0-9._~-]/.test(letter) ? letter : name;
});

/** A form with the outermost members; what is no text is written as JSON. */
function writeForm(document: JsonNode, chance: Chance): string {
  if (document.kind !== 'object') return writeJson(document, chance);
  const isOdd = chance.is(0.2);
  const encode = (value: string) => {
    let encoded = '';
    for (const byte of Buffer.from(value)) encoded += isOdd && chance.is(0.1) ? byteNames[byte]?.toLowerCase() : formLetters[byte];
    return encoded;
  };
  const valueIn = (node: JsonNode) => (node.kind === 'text' ? node.value : node.kind === 'literal' ? node.text : writeJson(node, chance));
  return document.members.map(([name, value]) => `${encode(name)}=${encode(valueIn(value))}`).join('&');
}

function bytesOf(written: string, chance: Chance): Buffer {
  const bytes = Buffer.from(written);
  if (!chance.is(0.03)) return bytes;
  const how = chance.below(4);
  if (how === 0) return Buffer.from(written, 'utf16le');
  if (how === 1) return Buffer.from(written, 'latin1');
  if (how === 2) return Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]);
  for (let n = 0; n < 3 && bytes.length > 0; n += 1) bytes[chance.below(bytes.length)] = chance.pick([0x00, 0x80, 0xc0, 0xed, 0xff]);
  return bytes;
}

/** The answer of a draft. */
export function tokenAnswerOf([base, changes]: Draft, all: readonly Rules[], now: Date): TokenAnswer {
  const chance = createChance(base);
  const rules = chance.pick(all);
  const shape = shapeOf(rules, chance, now);
  const made = changes.map(createChance);
  const damages: Chance[] = [];
  for (const own of made) {
    if (own.is(0.3)) damages.push(own);
    else change(shape, own);
  }
  const written =
    shape.format === 'text'
      ? shape.written
      : shape.format === 'form'
        ? writeForm(shape.document, chance)
        : shape.prefix + writeJson(shape.document, chance);
  const whole = damages.reduce(damaged, written).slice(0, mostLetters);
  const bytes = changes.length === 0 ? Buffer.from(whole) : bytesOf(whole, chance);
  return { status: shape.status, headers: shape.headers, bytes, rules, isPlain: shape.isPlain && changes.length === 0 };
}
