import { GrantryError } from './errors.ts';
import { expandText } from './template.ts';

type Values = Readonly<Record<string, string>>;
type Templates = Readonly<Record<string, string>>;

/**
 * The parameters of a request, by the names that the provider knows: the standard ones (an absent value leaves its parameter out),
 * without those that it does not want, under its names; then the definition's own, which win over a standard one of the same name, but for
 * those that a template made empty (RFC 6749 section 3.1: a parameter without a value counts as left out).
 * Throws `invalid_request` when a template's value is missing.
 */
export function nameParameters(
  standard: Readonly<Record<string, string | undefined>>,
  { rename, omit, params, values }: { rename: Readonly<Record<string, string>>; omit: readonly string[]; params: Templates; values: Values },
): Map<string, string> {
  const named = new Map<string, string>();
  for (const [name, value] of Object.entries(standard)) {
    if (value === undefined || omit.includes(name)) continue;
    named.set(Object.hasOwn(rename, name) ? (rename[name] ?? name) : name, value);
  }
  for (const [name, value] of expandParameters(params, values)) named.set(name, value);
  return named;
}

/**
 * Expands header templates; one that a template made empty is left out. Throws `invalid_request` when a value is missing or would not
 * be one header line of printable ASCII.
 */
export function expandHeaders(templates: Templates, values: Values): Record<string, string> {
  const expanded = expandParameters(templates, values);
  const bad = expanded.find(([, value]) => !/^[\t\x20-\x7e]*$/.test(value));
  if (bad !== undefined) throw new GrantryError('invalid_request', { detail: `The value of the header ${bad[0]} is not printable ASCII.` });
  return Object.fromEntries(expanded);
}

/** Expands the values of parameters; one that a template made empty is left out. Throws `invalid_request` when a value is missing. */
export function expandParameters(templates: Templates, values: Values): [string, string][] {
  return Object.entries(templates)
    .map(([name, template]): [string, string] => [name, expandText(template, values)])
    .filter(([name, value]) => value !== '' || templates[name] === '');
}
