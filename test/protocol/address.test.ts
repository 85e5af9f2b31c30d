import { describe, expect, it } from 'vitest';
import { isPublicAddress, isPublicHost, parseOutsideUrl } from '../../src/protocol/address.ts';
import { GrantryError } from '../../src/protocol/errors.ts';
import { privateAddresses, privateUrls } from './private-hosts.ts';

const codeOf = (act: () => unknown) => {
  try {
    act();
  } catch (error) {
    return error instanceof GrantryError ? error.code : error;
  }
  return 'nothing thrown';
};
const closed = { allowPrivateHosts: false };
const open = { allowPrivateHosts: true };

describe('isPublicAddress', () => {
  it.each(privateAddresses)('is false for %s', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it.each([
    '1.1.1.1',
    '8.8.8.8',
    '172.15.255.255',
    '172.32.0.1',
    '100.128.0.1',
    '198.20.0.1',
    '168.63.129.17',
    '2606:4700:4700::1111',
    '2a00:1450::1',
    '2001:4860::1',
  ])('is true for %s', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  it.each(['', 'example.org', '1.2.3.4.5', '1.1.1.1/8', '2606:4700::1%eth0'])('is false for what is not a plain address: %j', (text) => {
    expect(isPublicAddress(text)).toBe(false);
  });
});

describe('isPublicHost', () => {
  it.each([
    'example.org',
    'api.example.co.uk',
    'xn--bcher-kva.ch',
    'a.io',
    '1.1.1.1',
    '[2606:4700:4700::1111]',
    'mylocalhost.com',
    'internal.com',
    '1password.com',
  ])('is true for %s', (host) => {
    expect(isPublicHost(host)).toBe(true);
  });

  it.each([
    'localhost',
    'api',
    'a.localhost',
    'localhost.localdomain',
    'printer.local',
    'metadata.google.internal',
    'x.intranet',
    'nas.lan',
    'router.home.arpa',
    '1.0.0.127.in-addr.arpa',
    'kubernetes.default.svc',
    'x.svc.cluster.local',
    'x.onion',
    'x.test',
    'x.example',
    'x.invalid',
    'example.org.',
    'a..b.org',
    '.org',
    '-a.org',
    'a-.org',
    'a_b.org',
    'EXAMPLE.org',
    'example.123',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '127.1',
    '0x7f.1',
    '127.0.0.0x1',
    '0177.0.0.1',
    '',
    'a b.org',
    `${'a'.repeat(64)}.org`,
    `${'a.'.repeat(127)}org`,
  ])('is false for %j', (host) => {
    expect(isPublicHost(host)).toBe(false);
  });
});

describe('parseOutsideUrl', () => {
  it('gives back an https URL with a public host', () => {
    expect(parseOutsideUrl('https://example.org:8443/a/b?c=d', closed).href).toBe('https://example.org:8443/a/b?c=d');
    expect(parseOutsideUrl('https://example.org/@me?mail=a@b', closed).hostname).toBe('example.org');
  });

  it.each(privateUrls)('refuses %s', (url) => {
    expect(codeOf(() => parseOutsideUrl(url, closed))).toBe('address_refused');
  });

  it.each([
    'http://example.org/',
    'ftp://example.org/',
    'file:///etc/passwd',
    'data:text/plain,x',
    'javascript:alert(1)',
    'blob:https://example.org/x',
    'wss://example.org/',
    '',
    '/path',
    'example.org',
    '//example.org/',
    'https:example.org',
    'https:/example.org',
    'https:///example.org',
    'https://',
    'https://?x',
    'https://#x',
    'https://user@example.org/',
    'https://user:secret@example.org/',
    'https://@example.org/',
    'https://:@example.org/',
    'https://example.org/#',
    'https://example.org/#x',
    'https://example.org\\@evil.org/',
    'https:\\\\example.org/',
    ' https://example.org/',
    'https://example.org/ ',
    'https://exa\tmple.org/',
    'https://example.org/\r\nx',
    'https://example.org/\u0000',
    'https://ex\u00e4mple.org/',
    'https://example.org/\u00e4',
    'https://example.org:99999/',
    'https://exa%2fmple.org/',
    'https://%65xample',
  ])('refuses %j', (url) => {
    expect(codeOf(() => parseOutsideUrl(url, closed))).toBe('address_refused');
  });

  it('lets http and private hosts pass when that is allowed, and nothing else', () => {
    expect(parseOutsideUrl('http://127.0.0.1:3000/x', open).port).toBe('3000');
    expect(parseOutsideUrl('https://localhost/x', open).hostname).toBe('localhost');
    for (const url of ['ftp://localhost/', 'http://a@localhost/', 'http://localhost/#x', 'http://local host/']) {
      expect(codeOf(() => parseOutsideUrl(url, open))).toBe('address_refused');
    }
  });

  it('never repeats the address in its message', () => {
    expect(() => parseOutsideUrl('https://127.0.0.1/?client_secret=hush', closed)).toThrow(/^(?!.*(hush|127)).*$/);
  });
});
