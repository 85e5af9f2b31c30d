import { percentEncode } from '../template.ts';

export type Pair = readonly [name: string, value: string];

/** RFC 5849 section 3.6. A lone surrogate has no UTF-8 form: it becomes U+FFFD, as it does wherever a request is encoded. */
export function encodeParameter(text: string): string {
  return percentEncode(Buffer.from(text, 'utf8').toString('utf8'));
}

/**
 * RFC 5849 section 3.4.1.3.2: every pair encoded, sorted by encoded name and then by encoded value (bytes; what is encoded
 * is ASCII), duplicates kept. `oauth_signature` is left out; `realm` never comes here, being no parameter but part of the header.
 */
export function parameterString(pairs: readonly Pair[]): string {
  return pairs
    .filter(([name]) => name !== 'oauth_signature')
    .map(([name, value]): Pair => [encodeParameter(name), encodeParameter(value)])
    .sort(([a, x], [b, y]) => order(a, b) || order(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

function order(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
