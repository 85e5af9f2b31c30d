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

/** By what rules a granted scope is the requested one; see the definition's fields of the same names. */
export type GrantedRules = {
  implied: Readonly<Record<string, readonly string[]>>;
  unreturned: readonly string[];
  prefix?: string | undefined;
  ignore_case: boolean;
};

/** The requested scopes that were not granted; without rules, letter by letter. */
export function missingScopes(requested: readonly string[], granted: readonly string[], rules?: GrantedRules): string[] {
  const { implied = {}, unreturned = [], prefix = '', ignore_case = false } = rules ?? {};
  const plain = (scope: string) => {
    const bare = prefix !== '' && scope.startsWith(prefix) ? scope.slice(prefix.length) : scope;
    return ignore_case ? bare.toLowerCase() : bare;
  };
  const covers = new Map(Object.entries(implied).map(([scope, covered]) => [plain(scope), covered.map(plain)]));
  const held = new Set<string>();
  // Grows while it is walked: what is implied may imply more.
  const open = [...granted, ...unreturned].map(plain);
  for (const scope of open) {
    if (held.has(scope)) continue;
    held.add(scope);
    open.push(...(covers.get(scope) ?? []));
  }
  return requested.filter((scope) => !held.has(plain(scope)));
}

/** Both lists without duplicates, in their order. */
export const unionOf = (first: readonly string[], second: readonly string[]): string[] => [...new Set([...first, ...second])];

/** True for a text that may be asked for as a scope: not too long, and without control characters. */
export function isScope(scope: string): boolean {
  return scope.length <= longest && printable.test(scope);
}
