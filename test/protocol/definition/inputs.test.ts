import { describe, expect, it } from 'vitest';
import { completeInputs, declaredInputs, hasOpenHost } from '../../../src/protocol/definition/inputs.ts';
import { parseDefinitionValue } from '../../../src/protocol/definition/parse.ts';
import type { Definition, Method } from '../../../src/protocol/definition/schema.ts';
import { faultsOf, put, sample } from './samples.ts';

function parsed(inputs: Record<string, unknown>, methodInputs: Record<string, unknown> = {}): { definition: Definition; method: Method } {
  const definition = parseDefinitionValue(
    { id: 'a', name: 'A', inputs, methods: { m: { grant: 'api_key', value: 'x', inputs: methodInputs } } },
    { allowPrivateHosts: false },
  );
  const method = definition.methods['m'];
  if (method === undefined) throw new Error('no method');
  return { definition, method };
}

function complete(input: Record<string, unknown>, value: string, allowPrivateHosts = false) {
  const { definition, method } = parsed({ x: { label: 'X', ...input } });
  return completeInputs(definition, method, { x: value }, { allowPrivateHosts });
}

describe('completeInputs', () => {
  it('takes what is given, fills in defaults, and says what is missing', () => {
    const { definition, method } = parsed(
      {
        given: { label: 'G' },
        filled: { label: 'F', default: 'eu' },
        optional: { label: 'O', optional: true },
        missing: { label: 'M' },
        both: { label: 'Provider' },
      },
      { both: { label: 'Method' }, own: { label: 'Own' } },
    );
    const completed = completeInputs(definition, method, { given: '1', own: '2' });
    expect(completed.values).toEqual({ given: '1', filled: 'eu', own: '2' });
    expect(completed.missing.map(({ name, input }) => [name, input.label])).toEqual([
      ['missing', 'M'],
      ['both', 'Method'],
    ]);
    expect(completed.faults).toEqual([]);
    expect(declaredInputs(definition, method)['both']?.label).toBe('Method');
  });

  it('lets a given value win over the default, and an empty one count as not given', () => {
    const { definition, method } = parsed({ a: { label: 'A', default: 'eu' }, b: { label: 'B' }, c: { label: 'C', optional: true } });
    expect(completeInputs(definition, method, { a: 'us', b: 'x' }).values).toEqual({ a: 'us', b: 'x' });
    expect(completeInputs(definition, method, { a: '', b: '', c: '' })).toMatchObject({ values: { a: 'eu' }, missing: [{ name: 'b' }], faults: [] });
  });

  it.each(['nobody', 'toString', 'constructor', '__proto__', 'a/b'])('tells of a name that is no input: %s', (name) => {
    const { definition, method } = parsed({ a: { label: 'A', optional: true } });
    const given = Object.fromEntries([[name, 'x']]);
    expect(completeInputs(definition, method, given)).toEqual({
      values: {},
      missing: [],
      faults: [{ pointer: `/inputs/${name.replace('/', '~1')}`, detail: 'There is no input of this name.' }],
    });
  });

  it('refuses a query in what addresses go on behind, in a value as in the definition', () => {
    const tree = () => put(sample(), '/methods/web/token_endpoint', '{server}/token');
    const definition = parseDefinitionValue(tree(), { allowPrivateHosts: false });
    const { web, signed } = definition.methods;
    if (web === undefined || signed === undefined) throw new Error('no method');
    const given = { server: 'https://login.acme.com/base?x=1' };
    const detail = 'Must not hold a query: addresses go on behind it.';
    expect(completeInputs(definition, web, given).faults).toEqual([{ pointer: '/inputs/server', detail }]);
    expect(completeInputs(definition, web, { server: 'https://login.acme.com/base' }).faults).toEqual([]);
    expect(completeInputs(definition, signed, given).faults).toEqual([]);
    const check = (broken: ReturnType<typeof tree>) => faultsOf(() => parseDefinitionValue(broken, { allowPrivateHosts: false }));
    expect(check(put(tree(), '/inputs/server/example', given.server))).toEqual([{ pointer: '/inputs/server/example', detail }]);
    expect(check(put(tree(), '/methods/web/token_endpoint', '{server}'))).toEqual([]);
    const based = put(put(sample(), '/api/base_url', '{server}'), '/inputs/server/example', given.server);
    expect(check(based)).toEqual([{ pointer: '/inputs/server/example', detail }]);
  });

  it('does not take inherited members for given values', () => {
    const { definition, method } = parsed({ toString: { label: 'T' } });
    expect(completeInputs(definition, method, {})).toMatchObject({ values: {}, missing: [{ name: 'toString' }] });
  });

  it.each<[string, Record<string, unknown>, string, RegExp]>([
    ['a pattern', { pattern: '[a-z]+', example: 'acme' }, 'Acme', /as in acme/],
    ['a pattern without an example', { pattern: '[a-z]+' }, 'a b', /expected form/],
    ['a choice', { enum: ['eu', 'us'] }, 'cn', /one of eu, us/],
    ['a host', { host: true }, 'localhost', /public host/],
    ['a host in capitals', { host: true }, 'Acme.com', /public host/],
    ['a private host', { host: true }, '192.168.1.1', /public host/],
    ['a host with a path', { host: true }, 'acme.com/x', /public host/],
    ['a host with a port', { host: true }, 'acme.com:8443', /public host/],
    ['a URL', { url: true }, 'acme.com', /absolute URL/],
    ['a plain http URL', { url: true }, 'http://acme.com/', /https/],
    ['a private URL', { url: true }, 'https://127.0.0.1/', /public/],
    ['a URL with user info', { url: true }, 'https://a:b@acme.com/', /user name/],
    ['control characters', {}, 'a\r\nX: y', /control characters/],
    ['control characters in a secret', { secret: true }, 'a\u0000', /control characters/],
    ['half a surrogate pair', {}, 'a\ud800', /control characters/],
    ['the length', {}, 'a'.repeat(257), /at most 256/],
    ['the length of a secret', { secret: true }, 'a'.repeat(2_001), /at most 2000/],
  ])('checks %s', (_, input, value, words) => {
    expect(complete(input, value)).toEqual({ values: {}, missing: [], faults: [{ pointer: '/inputs/x', detail: expect.stringMatching(words) }] });
  });

  it('never repeats the value of a secret', () => {
    for (const value of ['hunter2 hunter2', `hunter2${'x'.repeat(2_000)}`, 'hunter2\n']) {
      expect(JSON.stringify(complete({ secret: true, pattern: '[a-z]{3}' }, value))).not.toContain('hunter2');
    }
  });

  it.each<[Record<string, unknown>, string]>([
    [{}, 'a'.repeat(256)],
    [{ secret: true }, 'a'.repeat(2_000)],
    [{ host: true }, 'eu1.login.acme.com'],
    [{ url: true }, 'https://login.acme.com/realm?x=1'],
    [{ pattern: '[a-z]+' }, 'acme'],
  ])('takes a value that fits %j', (input, value) => {
    expect(complete(input, value)).toEqual({ values: { x: value }, missing: [], faults: [] });
  });

  it.each<[Record<string, unknown>, string]>([
    [{ host: true }, '127.0.0.1:4000'],
    [{ host: true }, 'localhost'],
    [{ url: true }, 'http://127.0.0.1:4000/x'],
  ])('takes a private host where they are allowed: %j', (input, value) => {
    expect(complete(input, value).faults).toHaveLength(1);
    expect(complete(input, value, true).values).toEqual({ x: value });
    expect(complete({ host: true }, 'a/b', true).faults).toHaveLength(1);
    expect(complete({ url: true }, 'ftp://a/', true).faults).toHaveLength(1);
  });
});

describe('hasOpenHost', () => {
  const open = (path: string, value: unknown, name = 'web') => {
    const definition = parseDefinitionValue(put(sample(), path, value), { allowPrivateHosts: false });
    const method = definition.methods[name];
    if (method === undefined) throw new Error('no method');
    return hasOpenHost(definition, method);
  };

  it.each<[string, unknown, boolean]>([
    ['/name', 'Acme', false],
    ['/methods/web/token_endpoint', 'https://{site}/token', true],
    ['/methods/web/authorization_endpoint', '{server}/authorize', true],
    ['/methods/web/userinfo_endpoint', '{server}', true],
    ['/api/base_url', 'https://{site}/api', true],
    ['/api/base_url', '{extras.home}', false],
    ['/methods/signed/access_token_endpoint', 'https://{site}/token', false],
    ['/methods/web/token/params', { audience: '{server}' }, false],
  ])('%s: %j makes it %s', (path, value, expected) => {
    expect(open(path, value)).toBe(expected);
  });

  it('looks at the method that is asked about', () => {
    expect(open('/methods/signed/access_token_endpoint', 'https://{site}/token', 'signed')).toBe(true);
  });
});
