import { parseOutsideUrl } from './address.ts';
import { optionsOf } from './definition/choices.ts';
import type { Input } from './definition/schema.ts';
import { GrantryError } from './errors.ts';
import { withoutEnd } from './without-end.ts';

type Values = Readonly<Record<string, string>>;

const expression = /\{([^{}]*)\}/g;
const variable = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)?$/;
const hostLabel = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const hostName = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;
const dotSegment = /^(?:\.|%2e){1,2}$/i;

const invalid = (detail: string) => new GrantryError('invalid_request', { detail });
const refused = (detail: string) => new GrantryError('address_refused', { detail });

/**
 * The names in a template, in order (RFC 6570 level 1; `extras.x` names a kept value).
 * Throws `invalid_request` when a brace stands alone or a name is not one.
 */
export function templateNames(template: string): string[] {
  const names = [...template.matchAll(expression)].map((match) => match[1] ?? '');
  const rest = template.replace(expression, '');
  if (/[{}]/.test(rest)) throw invalid('A brace in the template stands alone.');
  const bad = names.find((name) => !variable.test(name));
  if (bad !== undefined) throw invalid(`{${bad}} is not a variable name.`);
  return names;
}

function required(values: Values, name: string): string {
  const value = Object.hasOwn(values, name) ? values[name] : undefined;
  if (value === undefined) throw invalid(`The value of {${name}} is missing.`);
  return value;
}

/** Replaces `{name}` as it is: for parameters and headers, which are encoded later. Throws `invalid_request` when a value is missing. */
export function expandText(template: string, values: Values): string {
  return template.replace(expression, (_, name: string) => required(values, name));
}

/**
 * RFC 3986 percent-encoding of everything but the unreserved characters, as RFC 6570 section 3.2.2 and RFC 5849
 * section 3.6 want it. Throws `invalid_request` for half a surrogate pair, which UTF-8 cannot say.
 */
export function percentEncode(value: string): string {
  if (/\p{Surrogate}/u.test(value)) throw invalid('A value is not valid Unicode text.');
  return encodeURIComponent(value).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/**
 * Expands path and query. A value stays inside its path segment: percent-encoded, and neither empty nor a dot segment,
 * also not together with its neighbours (RFC 3986 section 5.2.4 would remove another segment for it).
 */
function expandRest(template: string, values: Values): string {
  const encode = (text: string) => text.replace(expression, (_, name: string) => percentEncode(required(values, name)));
  const [path = ''] = template.split(/[?#]/, 1);
  const segments = path.split('/').map((segment) => {
    const expanded = encode(segment);
    if (dotSegment.test(expanded)) throw invalid('A path segment must not be . or ..');
    if (expanded === '' && segment !== '') throw invalid(`${segment} must not be empty in a path.`);
    return expanded;
  });
  return segments.join('/') + encode(template.slice(path.length));
}

/** A value in the host part: what the definition lists, one host label, or a whole host name where its input says `host: true` or where it was kept from an answer. */
function hostValue(
  value: string,
  {
    name,
    input,
    whole,
    allowPrivateHosts,
  }: { name: string; input: Input | undefined /** Nothing else stands in the host part. */; whole: boolean; allowPrivateHosts: boolean },
): string {
  const options = input === undefined ? undefined : optionsOf(input);
  if (options !== undefined) {
    if (!options.includes(value) || !/^[A-Za-z0-9.-]*$/.test(value)) throw invalid(`{${name}} must be one of the values that the definition lists.`);
    return value;
  }
  const open = input?.host === true || (whole && name.startsWith('extras.'));
  const local = allowPrivateHosts && /^[a-z0-9.-]+(?::\d{1,5})?$/.test(value);
  if (open ? !hostName.test(value) && !local : !hostLabel.test(value)) {
    throw invalid(`{${name}} must be ${open ? 'a host name' : 'one host label (a-z, 0-9, -)'} in lower case.`);
  }
  return value;
}

/** A URL that is a value as a whole, and what follows it; it keeps its own origin and its own path. */
function expandBehind(base: string, rest: string, { values, allowPrivateHosts }: { values: Values; allowPrivateHosts: boolean }): string {
  const { origin, search } = parseOutsideUrl(base, { allowPrivateHosts });
  if (rest === '') return base;
  if (search !== '' || base.endsWith('?')) throw refused('The address must not hold a query here.');
  const joined = withoutEnd(base, '/') + expandRest(rest, values);
  if (parseOutsideUrl(joined, { allowPrivateHosts }).origin !== origin) throw refused('The expanded address leaves its host.');
  return joined;
}

/**
 * Expands a URL template. A value in the host part must be one host label, or a whole host name where its input says
 * `host: true`; one from a closed list may be any part of it. An input with `url: true`, or a kept value (`extras.x`), may stand for scheme and host at the very
 * beginning; a kept value also for the whole host behind https://. Afterwards the fixed parts of the host and the rules of `parseOutsideUrl` are checked again.
 * Throws `invalid_request` (a value does not fit) or `address_refused` (the address is not one to call).
 */
export function expandUrl(
  template: string,
  values: Values,
  { inputs, allowPrivateHosts }: { inputs: Readonly<Record<string, Input>>; allowPrivateHosts: boolean },
): string {
  templateNames(template);
  const input = (name: string) => (Object.hasOwn(inputs, name) ? inputs[name] : undefined);

  const [, leading, behind = ''] = /^\{([^{}]+)\}(.*)$/s.exec(template) ?? [];
  if (leading !== undefined && (leading.startsWith('extras.') || input(leading)?.url === true)) {
    return expandBehind(required(values, leading), behind, { values, allowPrivateHosts });
  }

  const authority = /^https?:\/\/[^/?#]+/i.exec(template)?.[0];
  if (authority === undefined) throw refused('The address must begin with https://.');
  const whole = /\/\{[^{}]*\}$/.test(authority);
  const expandedAuthority = authority.replace(expression, (_, name: string) =>
    hostValue(required(values, name), { name, input: input(name), whole, allowPrivateHosts }),
  );
  const expanded = expandedAuthority + expandRest(template.slice(authority.length), values);
  const { hostname } = parseOutsideUrl(expanded, { allowPrivateHosts });

  const fixedSuffix = authority
    .slice(authority.lastIndexOf('}') + 1)
    .replace(/:\d+$/, '')
    .toLowerCase();
  if (authority.includes('{') && !hostname.endsWith(fixedSuffix)) throw refused('The expanded host does not end as the definition says.');
  return expanded;
}
