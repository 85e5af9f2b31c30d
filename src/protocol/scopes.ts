import { GrantryError } from './errors.ts';

type ScopeRules = { separator: string; required: boolean };

const longest = 300;
const most = 1_000;
const printable = /^[^\p{Cc}\p{Surrogate}]+$/u;

/**
 * The scopes of a request as one text (RFC 6749 section 3.3), undefined when there are none. Throws `invalid_request` when the provider
 * requires one, and when a scope is empty, holds the separator or a control character, or is longer than 300 characters.
 */
export function joinScopes(scopes: readonly string[], { separator, required }: ScopeRules): string | undefined {
  if (scopes.length === 0) {
    if (required) throw new GrantryError('invalid_request', { detail: 'This provider needs at least one scope.' });
    return undefined;
  }
  if (!scopes.every((scope) => isScope(scope) && !scope.includes(separator))) {
    throw new GrantryError('invalid_request', { detail: 'A scope holds characters that do not belong in one.' });
  }
  return scopes.join(separator);
}

/**
 * The scopes that an answer names, as text or as an array, without duplicates and in their order; `requested` when it names none
 * (absent or null: RFC 6749 section 5.1), an empty list when it says that none was granted. undefined when it makes no sense.
 */
export function readScopes(
  value: unknown,
  { separator, requested }: { separator: string; requested: readonly string[] },
): readonly string[] | undefined {
  if (value === undefined || value === null) return requested;
  const given: unknown[] | undefined = typeof value === 'string' ? value.split(separator) : Array.isArray(value) ? value : undefined;
  if (given === undefined || given.length > most) return undefined;
  const scopes = new Set<string>();
  for (const scope of given) {
    if (typeof scope !== 'string') return undefined;
    const trimmed = scope.trim();
    if (trimmed === '') continue;
    if (!isScope(trimmed)) return undefined;
    scopes.add(trimmed);
  }
  return [...scopes];
}

/** The requested scopes that were not granted. */
export function missingScopes(requested: readonly string[], granted: readonly string[]): string[] {
  return requested.filter((scope) => !granted.includes(scope));
}

function isScope(scope: string): boolean {
  return scope.length <= longest && printable.test(scope);
}
