import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readDocument } from '../../src/protocol/definition/document.ts';
import type { Plain } from '../../src/protocol/definition/plain.ts';
import { type Chance, createChance } from './chance.ts';
import { hostileNames, oddText } from './odd.ts';
import type { Draft } from './property.ts';

/** Provider definitions: shipped ones, and such as the schema describes, and what becomes of them under a few changes. */

type Tree = { [name: string]: unknown };
type Schema = {
  type?: string;
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  $ref?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema | boolean;
  items?: Schema;
  pattern?: string;
  minItems?: number;
};

const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value);

const inputNames = ['tenant', 'site', 'server', 'region', 'base', 'key', 'zone', 'username', 'password', 'api_key', 'missing', 'client_id'];
const hosts = [
  'as.acme.com',
  'as.acme.com:8443',
  '{tenant}.acme.com',
  '{site}',
  '{region}.acme.com',
  '{base}.acme.com',
  'login-{region}.acme.com',
  'x.{tenant}.eu.acme.com',
  '{tenant}.{region}.acme.com',
  '{cluster}.acme.com',
];
const badHosts = ['{key}.acme.com', '{tenant}.co.uk', '{tenant}', 'x{tenant}.acme.com', '{server}', 'localhost'];
const paths = ['', '/', '/token', '/{tenant}/token', '/a?b={tenant}', '/a?client_id=evil&x=1', '/{tenant}{region}'];
const urlOf = (chance: Chance) =>
  chance.is(0.1)
    ? `{server}${chance.pick(['', '/token', '/{tenant}'])}`
    : `https://${chance.pick(chance.is(0.05) ? badHosts : hosts)}${chance.pick(paths)}`;

/** What the fields of a definition hold, by their names; of others a word will do. */
function textFor(name: string, pattern: string | undefined, chance: Chance): string {
  if (/(?:endpoint|^issuer|^base_url)$/.test(name)) return urlOf(chance);
  if (pattern?.startsWith('^P(')) return chance.pick(['PT1H', 'P30D', 'PT0S', 'P1DT2H3M4S', 'PT999999999S']);
  if (pattern?.startsWith('^(?:\\/'))
    return chance.pick(['/access_token', '/data/0/token', '/a~1b', '/scope', '/id', '/constructor', '/__proto__/x', '/expires_in']);
  if (pattern?.startsWith('^[a-z0-9](?:[a-z0-9-')) return chance.pick(['crm', 'dev-tools']);
  if (pattern === '^https:\\/\\/') return chance.pick(['https://acme.com/docs', 'https://']);
  if (name === 'pattern')
    return chance.pick(['^[a-z0-9-]{1,40}$', '[a-z]+', '.*', '\\d{4}', '(a+)+$', '[', 'a{2000}', '.*.*.*', '^$', '\\p{L}+', '[^a]*b?']);
  if (name === 'path') return chance.pick(['/me', '/{extras.account}/me', 'https://api.acme.com/me', urlOf(chance)]);
  if (name === 'separator' || name === 'scope_separator') return chance.pick([' ', ',', '+', '; ', '|']);
  if (name === 'redirect_uri') return chance.pick(['{tenant}', 'https://x.acme.com/cb', 'acme-{region}']);
  if (name === 'example' || name === 'default' || name === 'enum')
    return chance.pick(['north', 'com', 'eu', 'login.acme.com', 'https://login.acme.com', '', 'a.b', '..', 'evil.com/']);
  return chance.pick([
    'scope',
    'state',
    'code',
    'x',
    'acme',
    'refresh_token',
    '{tenant}',
    'a b',
    'Bearer',
    'y',
    'z',
    chance.pick(['{access_token}', 'a {key} b', '{scope}', '{extras.account}', 'authorization']),
  ]);
}

/** A value as the schema describes it; most of what may be left out is left out. */
function made(schema: Schema, name: string, root: Schema & { $defs?: Record<string, Schema> }, chance: Chance, depth = 0): unknown {
  const { $ref, anyOf, oneOf, properties = {}, required = [], additionalProperties: more } = schema;
  if (depth > 8) return null;
  const inner = (part: Schema, as: string) => made(part, as, root, chance, depth + 1);
  if ($ref !== undefined) return inner(root.$defs?.[$ref.split('/').at(-1) ?? ''] ?? {}, name);
  const options = oneOf ?? anyOf;
  if (options !== undefined) return inner(chance.pick(options), name);
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return chance.pick(schema.enum);
  switch (schema.type) {
    case 'string':
      return textFor(name, schema.pattern, chance);
    case 'boolean':
      return chance.is(0.4);
    case 'number':
    case 'integer':
      return chance.below(10);
    case 'array':
      return Array.from({ length: (schema.minItems ?? 0) + chance.below(3) }, () => inner(schema.items ?? {}, name));
    case 'object': {
      const own = Object.entries(properties)
        .filter(([each]) => required.includes(each) || chance.is(depth < 2 ? 0.2 : 0.05))
        .map(([each, part]): [string, unknown] => [each, inner(part, each)]);
      if (typeof more !== 'object') return Object.fromEntries(own);
      const names =
        name === 'inputs' || name === 'sets'
          ? inputNames
          : name === 'methods'
            ? ['web', 'machine', 'other-1']
            : ['scope', 'x', 'audience', 'client_id', 'tenant', 'X-App', 'prompt'];
      const count = name === 'methods' || name === 'inputs' ? 1 + chance.below(3) : chance.below(3);
      return Object.fromEntries([
        ...own,
        ...Array.from({ length: count }, (): [string, unknown] => {
          const each = chance.pick(names);
          return [each, inner(more, name === 'inputs' ? 'input' : each)];
        }),
      ]);
    }
    default:
      return chance.pick([null, 'x', 7, true, {}, []]);
  }
}

/** What the addresses of a definition may be turned into. */
const tricks: ((url: string, chance: Chance) => string)[] = [
  (url) => url.replace('https:', 'http:'),
  (url) => url.replace('https://', 'https://user:pw@'),
  (url) => url.replace('https://', '//'),
  (url) => url.replace('https://', 'https:'),
  (url) => url.replace('https://', 'HTTPS://'),
  (url) => url.replace('https://', 'https:///'),
  (url, chance) =>
    url.replace(
      /\/\/[^/?#]*/,
      `//${chance.pick(['127.0.0.1', 'localhost', '169.254.169.254', '[::1]', '10.0.0.1', '2130706433', 'metadata.google.internal', '0x7f.1', '127.0.0.1.nip.io', 'a', 'acme.local', 'acme.com.', '１２７.0.0.1', '*.acme.com', 'xn--a.com', '[::ffff:10.0.0.1]'])}`,
    ),
  (url, chance) =>
    url.replace(
      /\/\/[^/?#]*/,
      (host) =>
        `${host}${chance.pick([':0', ':443', ':99999', ':x', '.evil.com', '@evil.com', '\\@evil.com', '#@evil.com', '%2eevil.com', '{tenant}', '.{tenant}', ':{tenant}', '.'])}`,
    ),
  (url, chance) =>
    url.replace(
      '//',
      `//${chance.pick(['{tenant}', '{tenant}.', '{site}.', '{server}', '{region}', '{tenant}@', '{extras.home}', '{client_id}.', '{'])}`,
    ),
  (url, chance) =>
    url +
    chance.pick([
      '#x',
      '{tenant}',
      '/{tenant}',
      '/..',
      '/../x',
      '/%2e%2e',
      '\\x',
      '\t',
      ' ',
      '?{tenant}',
      '}',
      '{}',
      '{a b}',
      '{{tenant}}',
      '{tenant',
      '\u0000',
      '?x=#',
      '/{extras.home}',
      '/{access_token}',
      '{client_secret}',
    ]),
  (url, chance) =>
    url.slice(0, chance.below(url.length + 1)) +
    chance.pick(['{tenant}', '@', '\\', '#', '?', '/', ' ', '\n', '。', '%00']) +
    url.slice(chance.below(url.length + 1)),
];

/** As structuredClone for what a definition holds, at a tenth of its cost. */
function copyOf<T>(value: T): T;
function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf);
  if (!isTree(value)) return value;
  const copy: Tree = {};
  for (const [name, inner] of Object.entries(value)) set(copy, name, copyOf(inner));
  return copy;
}

type Holder = Tree | unknown[];
type Place = [holder: Holder, name: string | number];

/** A place of a tree that holds something, found by going down. */
function placeIn(tree: Tree, chance: Chance): Place {
  let place: Place = [tree, 'id'];
  for (let at: unknown = tree; typeof at === 'object' && at !== null; at = Reflect.get(...place)) {
    const names = Array.isArray(at) ? at.length : Object.keys(at);
    if (names === 0 || (typeof names !== 'number' && names.length === 0)) break;
    place = [at as Holder, typeof names === 'number' ? chance.below(names) : chance.pick(names)];
    if (chance.is(0.15)) break;
  }
  return place;
}

/** The places that hold an address. */
function addressesIn(tree: unknown): Place[] {
  if (typeof tree !== 'object' || tree === null) return [];
  return Object.entries(tree).flatMap(([name, value]): Place[] => {
    if (typeof value === 'string') return /^(?:https?:|\{)/.test(value) ? [[tree as Holder, name]] : [];
    return addressesIn(value);
  });
}

/** Defines rather than assigns, so that `__proto__` is a name as any other. */
const set = (holder: Tree | unknown[], name: string | number, value: unknown) =>
  void Object.defineProperty(holder, name, { value, enumerable: true, writable: true, configurable: true });

function deep(levels: number): unknown {
  let inner: unknown = 'x';
  for (let level = 0; level < levels; level += 1) inner = level % 2 === 0 ? { a: inner } : [inner];
  return inner;
}

function oddValue(chance: Chance): unknown {
  switch (chance.below(12)) {
    case 0:
      return null;
    case 1:
      return chance.pick([0, -1, 1.5, 1e300, Number.MAX_SAFE_INTEGER, Number.NaN, Number.POSITIVE_INFINITY]);
    case 2:
      return chance.is(0.5);
    case 3:
      return chance.pick([[], {}, [[]], [null], { '': '' }]);
    case 4:
      return deep(chance.pick([3, 14, 15, 16, 17, 18, 50, 300]));
    case 5:
      return Object.fromEntries(Array.from({ length: chance.is(0.05) ? 6_000 : 5 }, (_, n) => [`k${n}`, 'v']));
    case 6:
      return chance.pick([
        () => 1,
        Symbol('x'),
        10n,
        new Date(0),
        new Map([['a', 1]]),
        /x/,
        undefined,
        new Array(3),
        Object.create({ inherited: 'x' }),
      ]);
    case 7:
      return JSON.parse('{"__proto__":{"polluted":true}}');
    default:
      return oddText(chance, { long: 0.02 });
  }
}

type Made = { value: Tree; asText: boolean };

function change(draft: Made, chance: Chance, other: () => Tree): void {
  const [holder, name] = placeIn(draft.value, chance);
  const value: unknown = Reflect.get(holder, name);
  const n = chance.below(16);
  if (n < 4) {
    // Addresses are what all of this is about.
    const [at, url] = chance.pick(addressesIn(draft.value)) ?? [holder, name];
    set(at, url, chance.pick(tricks)(String(Reflect.get(at, url)), chance));
  } else if (n < 6) set(holder, name, oddValue(chance));
  else if (n === 6 && typeof value === 'string') set(holder, name, textFor(String(name), undefined, chance));
  else if (n === 7) {
    if (Array.isArray(holder)) holder.splice(Number(name), 1);
    else Reflect.deleteProperty(holder, name);
  } else if (n === 8 && isTree(holder))
    set(holder, chance.pick([...hostileNames, ...inputNames, `${name}s`, String(name).toUpperCase(), 'client_secret', '1']), value);
  else if (n === 9 && isTree(holder)) set(holder, chance.pick(hostileNames), oddValue(chance));
  else if (n === 10) {
    // A part of another definition.
    const [from, at] = placeIn(other(), chance);
    set(holder, name, copyOf(Reflect.get(from, at)));
  } else if (n === 11)
    set(draft.value, 'inputs', { ...(isTree(draft.value.inputs) ? draft.value.inputs : {}), [chance.pick(inputNames)]: inputOf(chance) });
  else if (n === 12 && typeof value === 'string')
    set(
      holder,
      name,
      value + chance.pick([...inputNames.map((each) => `{${each}}`), '{extras.account}', '{access_token}', '{state}', '{nonce}', '{', '}']),
    );
  else if (n === 13) set(draft.value, 'extends', chance.pick(['github', 'google', 'okta', 'acme', 'nowhere', '__proto__', 'salesforce']));
  else if (Array.isArray(value)) value.push(chance.is(0.5) ? copyOf(value[0]) : oddValue(chance));
  else if (typeof value === 'boolean') set(holder, name, !value);
  else set(holder, name, oddText(chance, { long: 0.02 }));
}

const inputOf = (chance: Chance): Tree =>
  chance.pick<Tree>([
    { label: 'A', example: 'north' },
    { label: 'A', host: true, example: 'login.acme.com' },
    { label: 'A', url: true, example: 'https://login.acme.com' },
    { label: 'A', enum: ['eu', 'us', 'evil.com/', 'a.b'] },
    { label: 'A', enum: ['eu', 'us'] },
    { label: 'A', secret: true },
    { label: 'A', optional: true },
    { label: 'A', default: 'north', pattern: '[a-z]+' },
    { label: 'A', choices: { eu: { sets: { cluster: 'eu' } }, us: { sets: { cluster: 'us.x' } } } },
  ]);

const standard: Readonly<Record<string, Tree>> = {
  tenant: { label: 'Tenant', example: 'north' },
  site: { label: 'Site', host: true, example: 'login.acme.com' },
  server: { label: 'Server', url: true, example: 'https://login.acme.com' },
  region: { label: 'Region', enum: ['eu', 'us'] },
  base: { label: 'Base', enum: ['a', 'b.c'] },
  key: { label: 'Key', secret: true },
  zone: { label: 'Zone', choices: { eu: { sets: { cluster: 'eu' } }, us: { sets: { cluster: 'us.x' } } } },
};

export type DefinitionMaker = {
  of(draft: Draft): { value: Tree; isPlain: boolean; damage: Chance[]; asText: boolean };
  base(id: string): Plain | undefined;
};

/** Definitions of drafts, from the shipped ones and the schema in `packageRoot`. */
export function definitionMaker(packageRoot: string, ids: readonly string[]): DefinitionMaker {
  const read = new Map<string, Plain>();
  const base = (id: string): Plain | undefined => {
    if (!ids.includes(id)) return undefined;
    const known = read.get(id) ?? readDocument(readFileSync(join(packageRoot, 'providers', `${id}.yaml`), 'utf8'));
    read.set(id, known);
    return known;
  };
  const schema: Schema = JSON.parse(readFileSync(join(packageRoot, 'providers', 'schema.json'), 'utf8'));
  const shipped = (chance: Chance): Tree => {
    const found = base(chance.pick(ids));
    return isTree(found) ? copyOf(found) : {};
  };
  const generated = (chance: Chance): Tree => {
    const value = made(schema, 'definition', schema, chance);
    if (!isTree(value)) return {};
    // Most of what it names is declared.
    const declared = Object.fromEntries(
      inputNames.slice(0, -2).map((name): [string, Tree] => [name, chance.is(0.9) ? copyOf(standard[name] ?? { label: 'Some' }) : inputOf(chance)]),
    );
    const { extends: _, ...own } = value;
    return { ...own, id: 'acme', name: 'Acme', ...(chance.is(0.9) && { inputs: declared }) };
  };
  return {
    base,
    of([first, changes]) {
      const chance = createChance(first);
      const isShipped = chance.is(0.6);
      const draft: Made = { value: isShipped ? shipped(chance) : generated(chance), asText: chance.is(0.06) };
      const damage: Chance[] = [];
      // One fault hides another.
      for (const seed of changes.slice(0, 1 + (first % 4))) {
        const own = createChance(seed);
        if (draft.asText && own.is(0.5)) damage.push(own);
        else change(draft, own, () => shipped(own));
      }
      return { value: draft.value, isPlain: isShipped && changes.length === 0, damage, asText: draft.asText };
    },
  };
}
