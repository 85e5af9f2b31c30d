/** application/x-www-form-urlencoded, as a provider answers it and as we send it. */

const wellFormed = /^(?:[\x21-\x24\x26-\x3b=\x3f-\x7e]|%[0-9A-Fa-f]{2})*$/;

/**
 * Reads a form-encoded text strictly: undefined when it holds anything that is not form encoding (white space inside, `<`, `>`, controls,
 * non-ASCII, broken percent-encoding, bytes that are not UTF-8, an encoded NUL), so that HTML or plain text never passes as a form. A name
 * without `=` has an empty value; of duplicates the last wins. A Map, so that `__proto__` is a name like any other.
 */
export function parseForm(text: string): ReadonlyMap<string, string> | undefined {
  const body = text.trim();
  if (!wellFormed.test(body)) return undefined;
  const fields = new Map<string, string>();
  for (const segment of body.split('&')) {
    if (segment === '') continue;
    const at = segment.indexOf('=');
    const name = decode(at === -1 ? segment : segment.slice(0, at));
    const value = at === -1 ? '' : decode(segment.slice(at + 1));
    if (name === undefined || value === undefined) return undefined;
    fields.set(name, value);
  }
  return fields;
}

function decode(text: string): string | undefined {
  try {
    const decoded = decodeURIComponent(text.replaceAll('+', ' '));
    return decoded.includes('\0') ? undefined : decoded;
  } catch {
    return undefined;
  }
}

/** Writes name-value pairs, in their order, as a form (WHATWG URL section 5.2: `+` for a space). A lone surrogate becomes U+FFFD. */
export function encodeForm(pairs: Iterable<readonly [string, string]>): string {
  const form = new URLSearchParams();
  for (const [name, value] of pairs) form.append(name, value);
  return form.toString();
}
