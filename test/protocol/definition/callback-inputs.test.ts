import { describe, expect, it } from 'vitest';
import { fillFromCallback } from '../../../src/protocol/definition/callback-inputs.ts';
import { completeInputs } from '../../../src/protocol/definition/inputs.ts';
import { parseDefinitionValue } from '../../../src/protocol/definition/parse.ts';
import { faultsOf, put, type Tree } from './samples.ts';

const tree = (): Tree => ({
  id: 'acme',
  name: 'Acme',
  inputs: {
    store: { label: 'Store', pattern: '[a-z0-9-]+' },
    place: { label: 'Place', default: 'us', choices: { us: { sets: { login: 'acme.com' } }, eu: { sets: { login: 'acme.eu' } } } },
    note: { label: 'Note', optional: true, pattern: '[0-9]+' },
    key: { label: 'Key', secret: true },
    site: { label: 'Site', host: true },
    alias: { label: 'Alias', asked_of: 'integration' },
  },
  methods: {
    web: {
      grant: 'authorization_code',
      authorization_endpoint: 'https://{login}/authorize',
      token_endpoint: 'https://{store}.acme.com/token',
      redirect_uri: '{alias}',
      callback: {
        inputs: { store: { param: 'referer', behind: '.acme.com' }, place: { param: 'location' }, note: { param: 'scope', before: 'acme:' } },
      },
    },
  },
});
const faults = (changed: Tree) => faultsOf(() => parseDefinitionValue(changed, { allowPrivateHosts: false }));
const web = '/methods/web';

function fill(query: string, given: Record<string, string> = {}) {
  const definition = parseDefinitionValue(tree(), { allowPrivateHosts: false });
  const all = new URLSearchParams(query);
  const single = (name: string) => (all.getAll(name).length === 1 ? (all.get(name) ?? undefined) : undefined);
  const method = definition.methods['web'];
  if (method === undefined) throw new Error('There is no method.');
  const outcome = fillFromCallback(definition, method, { given, parameters: { has: (name) => all.has(name), single }, allowPrivateHosts: false });
  return outcome.kind === 'filled' ? outcome.values : outcome.kind;
}

describe('inputs that the callback fills in', () => {
  it('may be one label, a choice, or no part of a host', () => {
    expect(faults(tree())).toEqual([]);
  });

  it.each<[string, string, unknown, string]>([
    ['no input', `${web}/callback/inputs/shop`, { param: 'x' }, `${web}/callback/inputs/shop`],
    ['a secret', `${web}/callback/inputs/key`, { param: 'x' }, `${web}/callback/inputs/key`],
    ['a whole host', `${web}/callback/inputs/site`, { param: 'x' }, `${web}/callback/inputs/site`],
    ['the code', `${web}/callback/inputs/note/param`, 'code', `${web}/callback/inputs/note/param`],
    ['one that the sign-in page needs', `${web}/authorization_endpoint`, 'https://{store}.acme.com/authorize', `${web}/authorization_endpoint`],
    ['one that the sign-in page is told', `${web}/authorization`, { params: { x: '{store}' } }, `${web}/authorization/params/x`],
    ["an alias of the end user's", '/inputs/alias/asked_of', 'end_user', `${web}/redirect_uri`],
    ['a secret alias', `${web}/redirect_uri`, '{key}', `${web}/redirect_uri`],
  ])('must not be %s', (_, path, value, pointer) => {
    expect(faults(put(tree(), path, value)).map((fault) => fault.pointer)).toContain(pointer);
  });

  it('need a state', () => {
    const found = faults(put(tree(), `${web}/callback/state`, 'not_echoed'));
    expect(found.map(({ pointer }) => pointer)).toEqual(['store', 'place', 'note'].map((name) => `${web}/callback/inputs/${name}`));
  });

  it('are not asked for', () => {
    const definition = parseDefinitionValue(tree(), { allowPrivateHosts: false });
    const method = definition.methods['web'];
    if (method === undefined) throw new Error('There is no method.');
    expect(completeInputs(definition, method, {}).missing.map(({ name }) => name)).toEqual(['key', 'site', 'alias']);
  });

  it.each<[string, string, Record<string, string>, unknown]>([
    ['the part between what stands around it', 'referer=shop-1.acme.com', {}, { store: 'shop-1' }],
    ['a choice instead of the default', 'referer=a.acme.com&location=eu', {}, { store: 'a', place: 'eu' }],
    ['what was given and is said again', 'referer=a.acme.com', { store: 'a' }, { store: 'a' }],
    ['nothing where a value was given', '', { store: 'a' }, {}],
    ['an optional one', 'referer=a.acme.com&scope=acme:12', {}, { store: 'a', note: '12' }],
    ['nothing for an optional one that says something else', 'referer=a.acme.com&scope=acme:all', {}, { store: 'a' }],
    ['another one than was given', 'referer=b.acme.com', { store: 'a' }, 'refused'],
    ['another choice than was given', 'referer=a.acme.com&location=eu', { place: 'us' }, 'refused'],
    ['no choice at all', 'referer=a.acme.com&location=evil.com', {}, 'refused'],
    ['nothing', '', {}, 'refused'],
    ['two', 'referer=a.acme.com&referer=b.acme.com', {}, 'refused'],
    ['two, one of them given', 'referer=a.acme.com&referer=b.acme.com', { store: 'a' }, 'refused'],
    ['another domain', 'referer=a.evil.com', {}, 'refused'],
    ['another domain behind it', 'referer=a.acme.com.evil.com', {}, 'refused'],
    ['a path', 'referer=evil.com%2F.acme.com', {}, 'refused'],
    ['two labels', 'referer=a.b.acme.com', {}, 'refused'],
    ['no label', 'referer=.acme.com', {}, 'refused'],
    ['something else of an optional one that was given', 'referer=a.acme.com&scope=acme:all', { note: '1' }, 'refused'],
  ])('%s', (_, query, given, outcome) => {
    expect(fill(query, given)).toEqual(outcome);
  });
});
