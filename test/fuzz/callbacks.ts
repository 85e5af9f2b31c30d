import { type Chance, createChance } from './chance.ts';
import type { Flow } from './flows.ts';
import { oddText as anyText, damaged, hostileNames } from './odd.ts';
import type { Draft } from './property.ts';

/** Callbacks: a true one, and what becomes of it under a few changes. */

export type Callback = {
  /** The flow whose true callback it was. */
  flow: Flow;
  /** Without `?`, as it is sent. */
  query: string;
  /** The address that was hit, without its query. */
  arrivedAt: string;
  browser: string | undefined;
  isPlain: boolean;
};

/** Of more than 16 KiB nothing is read. */
const longestQuery = 20_000;

type Draw = { flow: Flow; flows: readonly Flow[]; pairs: [string, string][]; arrivedAt: string; browser: string | undefined };

const oddText = (chance: Chance) => anyText(chance, { long: 0.005 });
const encoded = (text: string) => encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\ufffd'));
const flipped = (text: string) => text.replace(/[a-z]/gi, (c) => (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase()));
const wide = (text: string) => text.replace(/[!-~]/g, (c) => String.fromCharCode(c.charCodeAt(0) + 0xfee0));
const hex = (text: string) => [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');

/** A value that is nearly the one that it was, as it is sent. */
function nearly(whole: string, chance: Chance, { flow, flows }: Draw): string {
  // It grows with every change.
  const value = whole.slice(0, 1_000);
  const other = chance.pick(flows);
  const at = chance.below(value.length + 1);
  switch (chance.below(18)) {
    case 0:
      return value.slice(0, -1);
    case 1:
      return `${value}A`;
    case 2:
      return flipped(value);
    case 3:
      // The same value, written in another way.
      return hex(value);
    case 4:
      return hex(value).replaceAll('%', '%25');
    case 5:
      return encoded(wide(value));
    case 6:
      return `${value}${chance.pick(['%00', '%20', '+', '%0a', '%0d%0aX:%20y', '%E2%80%8B', '#', '?', ';', '%ff', '%', '%2'])}`;
    case 7:
      return `${chance.pick(['%00', '%20', '+', '\ufeff', '%EF%BB%BF'])}${value}`;
    case 8:
      return '';
    case 9:
      return other.state;
    case 10:
      return other.code;
    case 11:
      return chance.pick([flow.state, flow.code, flow.browser, other.browser]);
    case 12:
      return encoded(value.slice(0, at) + chance.pick([...'ABab01_-.~']) + value.slice(at + 1));
    case 13:
      return value.repeat(chance.pick([2, 200, 400]));
    case 14:
      return `${value}&${chance.pick(['state', 'code', 'iss', 'oauth_token'])}=${value}`;
    case 15:
      return encoded([...value].reverse().join(''));
    default:
      return chance.is(0.5) ? encoded(oddText(chance)) : oddText(chance);
  }
}

const names = [
  'state',
  'code',
  'iss',
  'error',
  'denied',
  'oauth_token',
  'oauth_verifier',
  'hmac',
  'home',
  'reason',
  'auth_code',
  'granted',
  'realmId',
  'scope',
  'error_description',
];
const values = [
  'access_denied',
  'deny',
  'x',
  '',
  'https://as.acme.com',
  'https://evil.com',
  'us.acme.com',
  'evil.com/.acme.com',
  'eu.acme.com',
  'verifier',
  'server_error',
];

function nameLike(name: string, chance: Chance): string {
  return chance.pick([
    name.toUpperCase(),
    `${name}[]`,
    `${name}[x]`,
    `${name}%00`,
    `${name}+`,
    `%20${name}`,
    hex(name),
    wide(name),
    `?${name}`,
    `${name}.x`,
    ...hostileNames.map(encoded),
  ]);
}

/** One change of the parameters, the browser or the address. */
function change(draw: Draw, chance: Chance): void {
  const { pairs, flows } = draw;
  const at = chance.below(pairs.length);
  const [name, value] = pairs[at] ?? ['state', ''];
  const n = chance.below(22);
  if (n < 6) pairs[at] = [name, nearly(value, chance, draw)];
  else if (n < 8) pairs.splice(at, 1);
  else if (n < 10) pairs.splice(chance.below(pairs.length + 1), 0, [name, chance.is(0.5) ? value : nearly(value, chance, draw)]);
  else if (n === 10) pairs[at] = [nameLike(name, chance), value];
  else if (n === 11) pairs.push([nameLike(name, chance), nearly(value, chance, draw)]);
  else if (n < 15)
    pairs.splice(chance.below(pairs.length + 1), 0, [
      chance.pick(names),
      chance.is(0.7) ? encoded(chance.pick(values)) : nearly(value, chance, draw),
    ]);
  else if (n === 15) pairs.push([encoded(oddText(chance)), encoded(oddText(chance))]);
  else if (n === 16) pairs.sort(() => chance.below(3) - 1);
  else if (n === 17)
    draw.browser = chance.pick([undefined, chance.pick(flows).browser, draw.flow.state, '', 'A'.repeat(43), flipped(draw.flow.browser)]);
  else if (n === 18) {
    const there = draw.arrivedAt;
    draw.arrivedAt = chance.pick([
      chance.pick(flows).link.redirect_uri,
      `${there}/`,
      there.replace(/[^/]*$/, ''),
      flipped(there),
      there.slice(0, -1) + hex(there.slice(-1)),
      there.replace('https', 'http'),
    ]);
  } else if (n === 19 && chance.is(0.3)) for (let more = 90 + chance.below(20); more > 0; more -= 1) pairs.push([`p${more}`, '1']);
  else if (n === 20) {
    // All of another flow, but for one thing.
    const other = chance.pick(flows);
    draw.pairs = other.truth.map(([each, its]): [string, string] => [each, encoded(its)]);
    draw.pairs.splice(chance.below(draw.pairs.length), 1, [name, value]);
  } else pairs[at] = [name, hex(value.slice(0, 1_000))];
}

/** The callback of a draft. */
export function callbackOf([base, changes]: Draft, flows: readonly Flow[]): Callback {
  const chance = createChance(base);
  const flow = chance.pick(flows);
  const draw: Draw = {
    flow,
    flows,
    pairs: flow.truth.map(([name, value]) => [name, encoded(value)]),
    arrivedAt: flow.link.redirect_uri,
    browser: flow.browser,
  };
  const damages: Chance[] = [];
  for (const seed of changes) {
    const own = createChance(seed);
    if (own.is(0.15)) damages.push(own);
    else change(draw, own);
  }
  const sent = draw.pairs.map(([name, value]) => `${name}=${value}`).join('&');
  // Letters beyond ASCII do not come like this over HTTP, and beside a broken percent sign Node cuts them off to their last byte.
  const query = damages
    .reduce(damaged, sent)
    .slice(0, longestQuery)
    .replace(/[^\0-\x7f]/gu, encoded);
  return { flow, query, arrivedAt: draw.arrivedAt, browser: draw.browser, isPlain: changes.length === 0 };
}
