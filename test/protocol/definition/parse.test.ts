import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDefinition, parseDefinitionValue } from '../../../src/protocol/definition/parse.ts';
import { faultsOf, put, sample } from './samples.ts';

const options = { allowPrivateHosts: false };
const told = (value: unknown) => faultsOf(() => parseDefinitionValue(value, options)).map(({ pointer, detail }) => `${pointer} ${detail}`);

describe('parseDefinition', () => {
  it('needs an id, a name and one method with its endpoints; the rest is what the standards say', () => {
    const text =
      'id: a\nname: A\nmethods:\n  web:\n    grant: authorization_code\n    authorization_endpoint: https://a.com/authorize\n    token_endpoint: https://a.com/token\n';
    const parsed = parseDefinition(text, options);
    expect(parsed.api.token).toEqual({ in: 'header', name: 'Authorization', scheme: 'Bearer' });
    expect(parsed.methods['web']).toMatchObject({
      token_endpoint_auth_method: 'client_secret_basic',
      code_challenge_method: 'S256',
      scopes: { default: [], separator: ' ', param: 'scope' },
      callback: { state: 'echoed', code: 'code' },
      token: { method: 'POST', format: 'form' },
      response: { access_token: '/access_token', expires_in: '/expires_in', expires_unit: 's' },
    });
  });

  it('gives the same for YAML, JSON and a value, and for what it gave', () => {
    const parsed = parseDefinitionValue(sample(), options);
    expect(parseDefinition(JSON.stringify(sample()), options)).toEqual(parsed);
    expect(parseDefinitionValue(parsed, options)).toEqual(parsed);
    expect(parseDefinition(JSON.stringify(parsed), options)).toEqual(parsed);
  });

  it('tells all faults at once, of the schema and of what is behind it', () => {
    const tree = sample();
    put(tree, '/nmae', 'Acme');
    put(tree, '/methods/web/token/parms', {});
    put(tree, '/methods/web/token_endpoint', 'http://10.0.0.1/{nobody}');
    put(tree, '/methods/web/revocation_endpoint', 'http://10.0.0.1/');
    put(tree, '/methods/signed/signature_method', 'MD5');
    put(tree, '/inputs/tenant/pattern', '(a)');
    expect(told(tree)).toEqual([
      '/methods/web/token/parms There is no field of this name here. Did you mean params?',
      '/methods/signed/signature_method Must be one of HMAC-SHA1, HMAC-SHA256, RSA-SHA1, PLAINTEXT.',
      '/nmae There is no field of this name here. Did you mean name?',
      '/inputs/tenant/pattern "(" is not allowed in a pattern at this place; no groups, alternatives or references.',
      '/methods/web/token_endpoint {nobody} is not a declared input, or has no value here. Declare it under inputs, or write the value itself.',
      '/methods/web/revocation_endpoint The address must begin with https://.',
    ]);
  });

  it('does not blame the API for a method that could not be looked at', () => {
    const tree = put(put(sample(), '/api/base_url', '{extras.home}'), '/methods/web/grant', 'oauth2');
    expect(told(tree)).toEqual([
      '/methods/web/grant Must be one of authorization_code, client_credentials, jwt_bearer, oauth1, credential_exchange, api_key, basic. Did you mean oauth1?',
    ]);
  });

  it.each<[string, unknown, string]>([
    ['/id', 'Acme Inc', '/id Must be: lower-case letters, digits and inner hyphens, 64 at most, as in acme-crm.'],
    ['/name', undefined, '/name Is required.'],
    ['/name', '', '/name Must not be empty.'],
    ['/name', 'x'.repeat(501), '/name Holds too much: at most 500 characters.'],
    ['/name', 7, '/name Must be a text (in YAML, put it in quotes).'],
    ['/status', 'dead', '/status Must be one of live, legacy, retired.'],
    ['/documentation', 'http://x.com', '/documentation Must be: an https URL, as in https://acme.com/docs.'],
    ['/methods', {}, '/methods Must be: at least one method.'],
    ['/methods', [], '/methods Must be a mapping of names to values.'],
    [
      '/methods/Web',
      { grant: 'api_key' },
      '/methods/Web This name must be: lower-case letters, digits and inner hyphens or _, 64 at most, as in web-app.',
    ],
    [
      '/methods/web/grant',
      undefined,
      '/methods/web/grant Is required. Must be one of authorization_code, client_credentials, jwt_bearer, oauth1, credential_exchange, api_key, basic.',
    ],
    ['/methods/web/token_endpoint', undefined, '/methods/web/token_endpoint Is required.'],
    ['/methods/web/callback/keep', 'realm', '/methods/web/callback/keep Must be a list, as in [one, two].'],
    [
      '/methods/web/response/access_token',
      'access_token',
      '/methods/web/response/access_token Must be: a JSON pointer (RFC 6901), as in /data/access_token.',
    ],
    [
      '/methods/web/response/lifetime',
      '1h',
      '/methods/web/response/lifetime Must be: an ISO 8601 duration of days, hours, minutes and seconds, as in PT1H or P30D.',
    ],
    [
      '/methods/web/response/success',
      { pointer: '/ok', equals: null },
      '/methods/web/response/success/equals Must be a text, a number, or true or false.',
    ],
    [
      '/methods/web/token/headers',
      { 'a b': 'x' },
      '/methods/web/token/headers/a b This name must be: a header name: letters, digits and hyphens, as in Acme-Version.',
    ],
    ['/methods/web/token/headers', { a: 'x\r\ny: z' }, '/methods/web/token/headers/a Must be: printable ASCII, without accents and line breaks.'],
    ['/inputs/a~b', { label: 'x' }, '/inputs/a~0b This name must be: a letter or _, then letters, digits or _, as in tenant_id.'],
    ['/inputs/a', { label: 'x', secret: 'yes' }, '/inputs/a/secret Must be true or false.'],
    ['/api', 'x', '/api Must be a mapping of fields: base_url, token, headers, params, sign, probe, account.'],
    ['/extends', 7, '/extends Must be a text (in YAML, put it in quotes).'],
    ['/extends', 'nobody', '/extends There is no provider nobody. Name a shipped one, or write the definition out and leave extends out.'],
  ])('says of %s in words what is wrong', (path, value, expected) => {
    expect(told(put(sample(), path, value))).toContain(expected);
  });

  it.each([null, 1, 'x', true, [], [sample()]])('refuses %j as a whole', (value) => {
    expect(told(value)).toEqual([expect.stringMatching(/^ Must be a mapping of fields: .*methods\.$/)]);
  });
});

describe('whatever comes', () => {
  const harmless = (action: () => unknown): void => {
    faultsOf(action);
  };

  it('nothing but a refusal is thrown for text', () => {
    const yaml = fc
      .array(
        fc.constantFrom(
          'id',
          ': ',
          '\n',
          '  ',
          '- ',
          '[',
          ']',
          '{',
          '}',
          ',',
          '"',
          "'",
          '&a',
          '*a',
          '!!',
          '|',
          '>',
          '#',
          '?',
          '---',
          '%',
          '__proto__',
          'methods',
          '1',
          '\t',
          '\u0000',
          '\ud800',
        ),
      )
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), yaml), (text) => harmless(() => parseDefinition(text, options))),
      { seed: 20_261, numRuns: 300 },
    );
  });

  it('nothing but a refusal is thrown for values', () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withObjectString: true, withSparseArray: true }),
        (value) => harmless(() => parseDefinitionValue(value, options)),
      ),
      { seed: 20_261, numRuns: 300 },
    );
  });

  it('nothing but a refusal is thrown for a definition with one thing replaced', () => {
    const paths: string[] = [];
    const walk = (value: unknown, path: string) => {
      if (path !== '') paths.push(path);
      if (typeof value === 'object' && value !== null && !Array.isArray(value))
        for (const [name, inner] of Object.entries(value)) walk(inner, `${path}/${name}`);
    };
    walk(parseDefinitionValue(sample(), options), '');
    const value = fc.oneof(
      fc.anything(),
      fc
        .array(fc.constantFrom('https://', '{tenant}', '{', '}', '.', '/', '@', '#', '?', ':', 'com', '[::1]', '{extras.home}', '%', '\\', 'a'))
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(fc.constantFrom(...paths), value, fc.boolean(), (path, replaced, allowPrivateHosts) =>
        harmless(() => parseDefinitionValue(put(sample(), path, replaced), { allowPrivateHosts })),
      ),
      { seed: 20_261, numRuns: 300 },
    );
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
  });
});
