import { GrantryError } from '../../protocol/errors.ts';

export type PageHeaderOptions = {
  /**
   * Where a form's POST may lead besides our own origin: origins (`https://host[:port]`), or the scheme sources
   * `https:` and `http:`. Empty for pages without a form.
   *
   * Chromium and Safari hold `form-action` against every hop of the redirects that a form's POST sets off, until a document
   * answers; Firefox does not. So with the provider's origin alone, a 303 to the provider works only while the provider
   * itself answers: it is blocked, on our page and without a word, as soon as the provider redirects on to its login host or
   * to a company's identity provider, and also when it remembers the consent and sends the browser straight back to the
   * callback, which then goes on to the integrator's return URL. None of these can be listed beforehand. Therefore a form
   * whose POST is answered by a 303 that leaves us gets `https:` (with `http:` where private hosts are allowed), and every
   * other page gets nothing but `'self'`. That the form itself is posted to us is seen to by the renderer: it refuses any
   * action that is not a path of our own.
   */
  formAction: readonly string[];
  /** True when the broker itself is reached over https. */
  https: boolean;
};

function source(value: string): string {
  if (value === 'https:' || value === 'http:') return value;
  if (/^https?:\/\/[a-z0-9.:[\]-]+$/.test(value) && URL.canParse(value) && new URL(value).origin === value) return value;
  throw new GrantryError('address_refused', { detail: 'form-action takes origins, or the schemes https: and http:.' });
}

const denied = [
  'accelerometer',
  'autoplay',
  'browsing-topics',
  'camera',
  'clipboard-read',
  'display-capture',
  'encrypted-media',
  'fullscreen',
  'geolocation',
  'gyroscope',
  'hid',
  'identity-credentials-get',
  'idle-detection',
  'local-fonts',
  'magnetometer',
  'microphone',
  'midi',
  'payment',
  'picture-in-picture',
  'publickey-credentials-get',
  'screen-wake-lock',
  'serial',
  'usb',
  'xr-spatial-tracking',
];

/**
 * The headers of every hosted page: no script, nothing from elsewhere, no framing, no referrer, never stored.
 * Throws `address_refused` for a form-action that is neither an origin nor a scheme.
 */
export function pageHeaders({ formAction, https }: PageHeaderOptions): Record<string, string> {
  const formSources = ["'self'", ...new Set(formAction.map(source))].join(' ');
  return {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': `default-src 'none'; style-src 'self'; form-action ${formSources}; frame-ancestors 'none'; base-uri 'none'`,
    'X-Frame-Options': 'DENY',
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Permissions-Policy': denied.map((feature) => `${feature}=()`).join(', '),
    'X-Robots-Tag': 'noindex, nofollow',
    ...(https ? { 'Strict-Transport-Security': 'max-age=31536000' } : {}),
  };
}
