import { parseForm } from './form.ts';
import { percentEncode } from './template.ts';

/**
 * Puts parameters into a URL's query. What is there already stays byte for byte, unless a parameter has the same name: then it goes,
 * so that no parameter appears twice (RFC 6749 section 3.1). Of duplicates among `params` the last wins.
 */
export function withQuery(url: string, params: Iterable<readonly [string, string]>): string {
  const added = new Map(params);
  const [rest = '', ...fragment] = url.split('#');
  const at = rest.indexOf('?');
  const base = at === -1 ? rest : rest.slice(0, at);
  const kept = (at === -1 ? '' : rest.slice(at + 1)).split('&').filter((segment) => segment !== '' && !added.has(nameOf(segment)));
  const query = [...kept, ...[...added].map(([name, value]) => `${encode(name)}=${encode(value)}`)].join('&');
  return base + (query === '' ? '' : `?${query}`) + fragment.map((text) => `#${text}`).join('');
}

function nameOf(segment: string): string {
  const text = segment.split('=', 1)[0] ?? '';
  const [name] = parseForm(text)?.keys() ?? [];
  return name ?? text;
}

/** A lone surrogate becomes U+FFFD, as in a form. */
function encode(text: string): string {
  return percentEncode(text.replace(/\p{Surrogate}/gu, '\uFFFD'));
}
