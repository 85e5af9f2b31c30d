import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { isGrantryError } from '../../../src/protocol/errors.ts';
import { pageHeaders } from '../../../src/web/pages/headers.ts';
import { stylesheet } from '../../../src/web/pages/stylesheet.ts';

const policy = (formAction: string[]) => pageHeaders({ formAction, https: true })['Content-Security-Policy'];

describe('the headers of a hosted page', () => {
  it('allow our stylesheet and our own form, and nothing else', () => {
    expect(policy([])).toBe("default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'");
  });

  it('keep the page out of frames, caches, referrers and guesses', () => {
    expect(pageHeaders({ formAction: [], https: false })).toMatchObject({
      'Content-Type': 'text/html; charset=utf-8',
      'X-Frame-Options': 'DENY',
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      'Cache-Control': 'no-store',
      'Cross-Origin-Opener-Policy': 'same-origin',
    });
  });

  it('ask for https for ever only where there is https', () => {
    expect(pageHeaders({ formAction: [], https: true })).toHaveProperty('Strict-Transport-Security');
    expect(pageHeaders({ formAction: [], https: false })).not.toHaveProperty('Strict-Transport-Security');
  });

  it('name each further form target once', () => {
    expect(policy(['https://a.example', 'https://b.example:8443', 'https://a.example'])).toContain(
      "form-action 'self' https://a.example https://b.example:8443;",
    );
    expect(policy(['https:'])).toContain("form-action 'self' https:;");
  });

  it.each([
    "https://a.example; script-src 'unsafe-inline'",
    'https://a.example script-src',
    'https://a.example/path',
    'https://*.example',
    '*',
    "'unsafe-inline'",
    'data:',
    'javascript:',
    'https://a.example,https://b.example',
    'https://a.example\r\nX-Other: 1',
    'https://user@a.example',
    'a.example',
    '',
  ])('refuse %j as a form target', (value) => {
    expect(() => policy([value])).toThrow(expect.toSatisfy((error) => isGrantryError(error, 'address_refused')));
  });
});

describe('the stylesheet', () => {
  it('has an address that changes with it', () => {
    expect(stylesheet.path).toBe(`/assets/${createHash('sha256').update(stylesheet.body).digest('base64url').slice(0, 16)}.css`);
  });

  it('loads nothing', () => {
    expect(stylesheet.body).not.toMatch(/url\(|@import|expression|javascript:/i);
  });
});
