import { describe, expect, it } from 'vitest';
import { extendDefinition } from '../../../src/protocol/definition/extend.ts';
import { parseDefinition } from '../../../src/protocol/definition/parse.ts';
import type { Plain } from '../../../src/protocol/definition/plain.ts';
import { faultsOf } from './samples.ts';

const base = `
id: base
name: Base
aliases: [old-base]
categories: [a, b]
inputs:
  tenant: { label: Tenant, example: north }
api: { base_url: 'https://api.base.com', probe: { path: /me } }
methods:
  web:
    grant: authorization_code
    authorization_endpoint: https://base.com/authorize
    token_endpoint: https://base.com/token
    scopes: { default: [read, write] }
    authorization: { params: { prompt: consent, x: '1' } }
  app: { grant: client_credentials, token_endpoint: 'https://base.com/token' }
`;
const definitions = (all: Record<string, Plain>) => (id: string) => all[id];

describe('extends', () => {
  it('merges mappings, replaces lists and scalars, removes what is null', () => {
    const child = `
id: child
name: Child
extends: base
categories: [c]
api: { probe: null }
inputs: { tenant: { label: Realm } }
methods:
  app: null
  web:
    scopes: { default: [admin] }
    authorization: { params: { x: null, y: '2' } }
`;
    const parsed = parseDefinition(child, {
      allowPrivateHosts: false,
      base: (id) => (id === 'base' ? parseDefinition(base, { allowPrivateHosts: false }) : undefined),
    });
    expect(parsed).toMatchObject({
      id: 'child',
      name: 'Child',
      categories: ['c'],
      aliases: [],
      inputs: { tenant: { label: 'Realm', example: 'north' } },
    });
    expect(parsed.api).toMatchObject({ base_url: 'https://api.base.com' });
    expect(parsed.api.probe).toBeUndefined();
    expect(parsed).not.toHaveProperty('extends');
    expect(Object.keys(parsed.methods)).toEqual(['web']);
    expect(parsed.methods['web']).toMatchObject({
      token_endpoint: 'https://base.com/token',
      scopes: { default: ['admin'] },
      authorization: { params: { prompt: 'consent', y: '2' } },
    });
  });

  it('does not lend its id', () => {
    const base = { id: 'base', name: 'Base', methods: {} };
    expect(extendDefinition({ extends: 'base' }, definitions({ base }))).toEqual({ name: 'Base', methods: {} });
  });

  it('keeps null in the API of a method, which takes away what the methods share', () => {
    const base = { id: 'base', api: { probe: 'all' }, methods: { web: {}, app: { api: { probe: null, account: 'a' }, label: 'x' } } };
    const over = {
      extends: 'base',
      api: { probe: 'mine' },
      methods: { web: { api: { account: null } }, app: { api: { account: 'b' }, label: null } },
    };
    expect(extendDefinition(over, definitions({ base }))).toEqual({
      api: { probe: 'mine' },
      methods: { web: { api: { account: null } }, app: { api: { probe: null, account: 'b' } } },
    });
  });

  it('may take the id of what it extends', () => {
    const github = { id: 'github', name: 'GitHub' };
    expect(extendDefinition({ id: 'github', extends: 'github' }, definitions({ github }))).toEqual(github);
  });

  it('follows a chain of five, and no more', () => {
    const chain = (length: number) =>
      Object.fromEntries(
        Array.from({ length }, (_, i): [string, Plain] => [`b${i}`, { [`from${i}`]: i, ...(i + 1 < length ? { extends: `b${i + 1}` } : {}) }]),
      );
    expect(extendDefinition({ extends: 'b0' }, definitions(chain(5)))).toEqual({ from0: 0, from1: 1, from2: 2, from3: 3, from4: 4 });
    expect(faultsOf(() => extendDefinition({ extends: 'b0' }, definitions(chain(6))))).toEqual([
      { pointer: '/extends', detail: 'More than 5 definitions extend each other.' },
    ]);
  });

  it.each([
    ['itself', { a: { extends: 'a' } }],
    ['in a circle', { a: { extends: 'b' }, b: { extends: 'a' } }],
  ])('refuses what extends %s', (_, all) => {
    expect(faultsOf(() => extendDefinition({ extends: 'a' }, definitions(all)))).toEqual([
      { pointer: '/extends', detail: 'a extends itself in the end. Let one of the circle extend nothing.' },
    ]);
  });

  it.each(['nobody', '__proto__', 'constructor', 'toString'])('refuses a base that is not there: %s', (id) => {
    const value = { id: 'x', name: 'X', extends: id };
    expect(faultsOf(() => extendDefinition(value, (name) => (name === 'base' ? {} : undefined)))).toEqual([
      { pointer: '/extends', detail: `There is no provider ${id}. Name a shipped one, or write the definition out and leave extends out.` },
    ]);
  });

  it('refuses a base with names that reach a prototype', () => {
    const all = definitions({ a: JSON.parse('{"__proto__":{"polluted":1}}') });
    expect(faultsOf(() => extendDefinition({ extends: 'a' }, all))).toEqual([
      { pointer: '/__proto__', detail: 'This name is not allowed. Choose another.' },
    ]);
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
  });
});
