import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Input, inputSchema } from '../../src/protocol/definition/schema.ts';
import { GrantryError, isGrantryError } from '../../src/protocol/errors.ts';
import { expandText, expandUrl, percentEncode, templateNames } from '../../src/protocol/template.ts';

const input = (given: { host?: boolean; url?: boolean } = {}): Input => inputSchema.parse({ label: 'x', ...given });
const inputs = { label: input(), tenant: input(), shop: input({ host: true }), base: input({ url: true }) };
const closed = { inputs, allowPrivateHosts: false };
const open = { inputs, allowPrivateHosts: true };

const codeOf = (act: () => unknown) => {
  try {
    act();
  } catch (error) {
    return error instanceof GrantryError ? error.code : error;
  }
  return 'nothing thrown';
};

describe('templateNames', () => {
  it('gives the names in order, kept values too', () => {
    expect(templateNames('https://{a}.example.org/{extras.b}?c={a}')).toEqual(['a', 'extras.b', 'a']);
    expect(templateNames('none')).toEqual([]);
  });

  it.each(['{', '}', '{a', 'a}', '{{a}}', '{a}}', '{}', '{ a}', '{a-b}', '{1a}', '{+a}', '{a.b.c}', '{a/b}'])('refuses %s', (template) => {
    expect(codeOf(() => templateNames(template))).toBe('invalid_request');
  });
});

describe('expandText', () => {
  it('puts values in as they are, once', () => {
    expect(expandText('{a} & {b}', { a: '{b}', b: '$&' })).toBe('{b} & $&');
  });

  it.each(['{missing}', '{constructor}', '{__proto__}'])('refuses %s', (template) => {
    expect(codeOf(() => expandText(template, {}))).toBe('invalid_request');
  });
});

describe('percentEncode', () => {
  it('leaves only the unreserved characters of RFC 3986', () => {
    expect(percentEncode("aZ0-._~ !'()*/?#[]@:&=+,;%{}\u00e4\u{1f600}")).toBe(
      'aZ0-._~%20%21%27%28%29%2A%2F%3F%23%5B%5D%40%3A%26%3D%2B%2C%3B%25%7B%7D%C3%A4%F0%9F%98%80',
    );
  });

  it('refuses half a surrogate pair', () => {
    expect(codeOf(() => percentEncode('\ud83d'))).toBe('invalid_request');
  });
});

describe('expandUrl: host', () => {
  it('takes one label', () => {
    expect(expandUrl('https://{label}.example.org/x', { label: 'acme-1' }, closed)).toBe('https://acme-1.example.org/x');
    expect(expandUrl('https://{label}.Example.ORG:8443/x', { label: 'acme' }, closed)).toBe('https://acme.Example.ORG:8443/x');
  });

  it.each([
    '',
    'a.b',
    'evil.org/',
    'evil.org#',
    'evil.org?',
    'a@evil.org',
    'a:1',
    'a\\',
    'A',
    '-a',
    'a-',
    'a_b',
    ' a',
    'a\n',
    '\u0430',
    'a%2eb',
    'a'.repeat(64),
    '{tenant}',
    '[',
    '..',
  ])('refuses %j as a label', (label) => {
    expect(codeOf(() => expandUrl('https://{label}.example.org/', { label, tenant: 'x' }, closed))).toBe('invalid_request');
    expect(codeOf(() => expandUrl('https://{label}.example.org/', { label, tenant: 'x' }, open))).toBe('invalid_request');
  });

  it('takes a whole host name where the input says so', () => {
    expect(expandUrl('https://{shop}/x', { shop: 'shop.acme.org' }, closed)).toBe('https://shop.acme.org/x');
    expect(expandUrl('https://{shop}.example.org/x', { shop: 'a.b' }, closed)).toBe('https://a.b.example.org/x');
  });

  it.each(['127.0.0.1', '2130706433', '0x7f000001', 'localhost', 'metadata.google.internal', 'intranet', '10.1'])(
    'refuses the private host %s',
    (shop) => {
      expect(codeOf(() => expandUrl('https://{shop}/', { shop }, closed))).toBe('address_refused');
    },
  );

  it.each(['[::1]', 'a/b', 'a?b', 'a#b', 'u@evil.org', 'a:80', 'a..b', '.a', 'a.', 'A.org', ''])('refuses %j as a host name', (shop) => {
    expect(codeOf(() => expandUrl('https://{shop}/', { shop }, closed))).toBe('invalid_request');
  });

  it('takes a port only where private hosts are allowed', () => {
    expect(expandUrl('http://{shop}/x', { shop: 'localhost:4000' }, open)).toBe('http://localhost:4000/x');
    expect(codeOf(() => expandUrl('http://{shop}.example.org/x', { shop: 'localhost:4000' }, open))).not.toBe('nothing thrown');
  });

  it('does not let numbers make an address of a host', () => {
    expect(codeOf(() => expandUrl('https://{label}.0.0.1/', { label: '127' }, closed))).toBe('address_refused');
    // A suffix that is a number: the URL parser folds the host into 127.0.0.1, which ends otherwise.
    expect(codeOf(() => expandUrl('http://{label}.0x1/', { label: '127' }, open))).toBe('address_refused');
  });

  it.each([
    '{label}://example.org/',
    '{label}/x',
    'ftp://{label}.example.org/',
    '//{label}.example.org/',
    'https:/{label}',
    'https://',
    'https://{label}.example.org\\.evil.org/',
  ])('refuses the template %s', (template) => {
    expect(codeOf(() => expandUrl(template, { label: 'https' }, open))).toBe('address_refused');
  });
});

describe('expandUrl: path and query', () => {
  it('encodes values', () => {
    expect(expandUrl('https://example.org/{tenant}/t?q={tenant}', { tenant: 'a/b?c#d&e=f ..' }, closed)).toBe(
      'https://example.org/a%2Fb%3Fc%23d%26e%3Df%20../t?q=a%2Fb%3Fc%23d%26e%3Df%20..',
    );
  });

  it('does not encode or expand twice', () => {
    expect(expandUrl('https://example.org/{tenant}', { tenant: '%2e%2e' }, closed)).toBe('https://example.org/%252e%252e');
    expect(expandUrl('https://example.org/{tenant}', { tenant: '{label}', label: 'x' }, closed)).toBe('https://example.org/%7Blabel%7D');
  });

  it.each([
    ['/a/{tenant}/b', '.'],
    ['/a/{tenant}/b', '..'],
    ['/a/{tenant}', '..'],
    ['/a/{tenant}?x', '..'],
    ['/a/{tenant}{tenant}/b', '.'],
    ['/a/.{tenant}/b', '.'],
    ['/a/%2e{tenant}/b', '.'],
    ['/a/../{tenant}', 'x'],
    ['/a/{tenant}/b', ''],
  ])('refuses to leave the segment: %s with %j', (path, tenant) => {
    expect(codeOf(() => expandUrl(`https://example.org${path}`, { tenant }, closed))).toBe('invalid_request');
  });

  it('lets dots be where they are harmless', () => {
    expect(expandUrl('https://example.org/v{tenant}/x?y={tenant}', { tenant: '..' }, closed)).toBe('https://example.org/v../x?y=..');
    expect(expandUrl('https://example.org/x?y={tenant}', { tenant: '' }, closed)).toBe('https://example.org/x?y=');
  });

  it('refuses missing values, stray braces and fragments', () => {
    expect(codeOf(() => expandUrl('https://example.org/{toString}', {}, closed))).toBe('invalid_request');
    expect(codeOf(() => expandUrl('https://example.org/{tenant', { tenant: 'x' }, closed))).toBe('invalid_request');
    expect(codeOf(() => expandUrl('https://example.org/#{tenant}', { tenant: 'x' }, closed))).toBe('address_refused');
    expect(codeOf(() => expandUrl('https://example.org/{tenant}', { tenant: '\ud800' }, closed))).toBe('invalid_request');
  });
});

describe('expandUrl: a URL as a value', () => {
  it('may be all of it, or its beginning', () => {
    expect(expandUrl('{base}', { base: 'https://as.acme.org/t?x=1' }, closed)).toBe('https://as.acme.org/t?x=1');
    expect(expandUrl('{base}/oauth/{tenant}', { base: 'https://as.acme.org/t/', tenant: 'a b' }, closed)).toBe('https://as.acme.org/t/oauth/a%20b');
    expect(expandUrl('{extras.instance_url}/services', { 'extras.instance_url': 'https://eu5.acme.org' }, closed)).toBe(
      'https://eu5.acme.org/services',
    );
  });

  it('a kept value is the whole host of an address', () => {
    const url = (host: string) => expandUrl('https://{extras.host}/api/{tenant}', { 'extras.host': host, tenant: 'a b' }, closed);
    expect(url('app-eu.acme.org')).toBe('https://app-eu.acme.org/api/a%20b');
    for (const host of ['', 'acme.org/', 'acme.org:80', 'a@acme.org', 'ACME.org', '..', 'https://acme.org', 'acme.org#', '{tenant}', 'a b'])
      expect([host, codeOf(() => url(host))]).toEqual([host, 'invalid_request']);
    for (const host of ['localhost', '127.0.0.1', '169.254.169.254', 'metadata.internal'])
      expect([host, codeOf(() => url(host))]).toEqual([host, 'address_refused']);
  });

  it.each([
    'http://acme.org',
    'https://127.0.0.1',
    'https://localhost',
    'https://a@acme.org',
    'https://acme.org/#x',
    'acme.org',
    '',
    'https://acme.org/ x',
  ])('refuses %j as a base', (base) => {
    for (const template of ['{base}', '{base}/x', '{extras.base}', '{extras.base}/x']) {
      expect(codeOf(() => expandUrl(template, { base, 'extras.base': base }, closed))).toBe('address_refused');
    }
  });

  it.each([
    ['{base}.evil.org/', 'https://acme.org'],
    ['{base}@evil.org/', 'https://acme.org'],
    ['{base}0/', 'https://acme.org:8'],
    ['{base}/x', 'https://acme.org/?y='],
    ['{base}/x', 'https://acme.org/?'],
    ['{base}#x', 'https://acme.org/'],
  ])('keeps to the origin and path of the base: %s', (template, base) => {
    expect(codeOf(() => expandUrl(template, { base }, closed))).toBe('address_refused');
  });

  it('keeps values behind it in their segment', () => {
    expect(codeOf(() => expandUrl('{base}/{tenant}/x', { base: 'https://acme.org/a', tenant: '..' }, closed))).toBe('invalid_request');
  });

  it('is not taken where the input does not say so', () => {
    expect(codeOf(() => expandUrl('{tenant}', { tenant: 'https://acme.org' }, closed))).toBe('address_refused');
    expect(codeOf(() => expandUrl('https://{base}/', { base: 'https://acme.org' }, closed))).toBe('invalid_request');
    expect(codeOf(() => expandUrl('https://{extras.sub}.example.org/', { 'extras.sub': 'evil.org/' }, closed))).toBe('invalid_request');
    expect(codeOf(() => expandUrl('https://{extras.sub}.example.org/', { 'extras.sub': 'evil.org' }, closed))).toBe('invalid_request');
  });
});

describe('expandUrl, whatever the values are', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.string({
      unit: fc.constantFrom(
        '.',
        '/',
        '\\',
        '@',
        '?',
        '#',
        ':',
        '%',
        '2',
        'e',
        'f',
        'a',
        '[',
        ']',
        '-',
        '0',
        'x',
        '\t',
        '\n',
        '{',
        '}',
        '\uff0e',
        '\u3002',
      ),
      maxLength: 8,
    }),
    fc.constantFrom(
      'evil.org',
      'evil.org/',
      'a.evil.org',
      '..',
      '.',
      '%2e%2e',
      'evil.org?',
      'u@evil.org',
      'evil.org:1',
      '127.0.0.1',
      '1',
      'acme',
      'a-b',
      'acme.shop',
    ),
  );
  const templates = [
    { template: 'https://{label}.example.org/a/{tenant}/b?c={shop}', suffix: '.example.org', path: /^\/a\/[^/]+\/b$/ },
    { template: 'https://{label}-{tenant}.eu.example.org:8443/a?c={shop}', suffix: '.eu.example.org', path: /^\/a$/ },
    { template: 'https://{shop}.example.org/{label}{tenant}/x', suffix: '.example.org', path: /^\/[^/]+\/x$/ },
    { template: 'https://x{shop}.example.org/{label}', suffix: '.example.org', path: /^\/[^/]+$/ },
    { template: 'https://api.example.org/v1/{shop}/{tenant}', suffix: 'api.example.org', path: /^\/v1\/[^/]+\/[^/]+$/ },
  ];

  it.each([true, false])('stays below the fixed suffix and on the fixed path (private hosts allowed: %s)', (allowPrivateHosts) => {
    let expanded = 0;
    const property = fc.property(fc.constantFrom(...templates), hostile, hostile, hostile, ({ template, suffix, path }, label, tenant, shop) => {
      let text: string;
      try {
        text = expandUrl(template, { label, tenant, shop }, { inputs, allowPrivateHosts });
      } catch (error) {
        return isGrantryError(error, 'invalid_request', 'address_refused');
      }
      expanded += 1;
      const url = new URL(text);
      return url.protocol === 'https:' && url.username === '' && url.hash === '' && url.hostname.endsWith(suffix) && path.test(url.pathname);
    });
    fc.assert(property, { seed: 20261121, numRuns: 5_000 });
    expect(expanded).toBeGreaterThan(300);
  });
});
