import { parseOutsideUrl } from './address.ts';
import type { Input } from './definition/schema.ts';
import { GrantryError } from './errors.ts';

type Values = Readonly<Record<string, string>>;

const expression = /\{([^{}]*)\}/g;
const variable = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)?$/;
const hostLabel = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const hostName = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;

/**
 * The names in a template, in order (RFC 6570 level 1; `extras.x` names a kept value).
 * Throws `invalid_request` when a brace stands alone or a name is not one.
 */
export function templateNames(template: string): string[] {
  const names = [...template.matchAll(expression)].map((match) => match[1] ?? '');
  const rest = template.replace(expression, '');
  if (/[{}]/.test(rest)) throw new GrantryError('invalid_request', { detail: 'A brace in the template stands alone.' });
  const bad = names.find((name) => !variable.test(name));
  if (bad !== undefined) throw new GrantryError('invalid_request', { detail: `{${bad}} is not a variable name.` });
  return names;
}

function valueOf(values: Values, name: string): string {
  const value = Object.hasOwn(values, name) ? values[name] : undefined;
  if (value === undefined) throw new GrantryError('invalid_request', { detail: `The value of {${name}} is missing.` });
  return value;
}

/** Replaces `{name}` as it is: for parameters and headers, which are encoded later. Throws `invalid_request` when a value is missing. */
export function expandText(template: string, values: Values): string {
  return template.replace(expression, (_, name: string) => valueOf(values, name));
}

/** RFC 3986 percent-encoding of everything but the unreserved characters, as RFC 6570 section 3.2.2 wants it. */
export function percentEncode(value: string): string {
  return encodeURIComponent(value).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Where the authority of an absolute URL template ends. */
function authorityEnd(template: string): number {
  const start = template.indexOf('://') + 3;
  const end = template.slice(start).search(/[/?#]/);
  return end === -1 ? template.length : start + end;
}

/**
 * Expands a URL template. A value in the host part must be one host label, or a whole host name where its input says
 * `host: true`; an input with `url: true` must be the whole template. Afterwards the scheme, the fixed parts of the host
 * and the rules of `parseOutsideUrl` are checked again. Throws `invalid_request` or `address_refused`.
 */
export function expandUrl(
  template: string,
  values: Values,
  { inputs, allowPrivateHosts }: { inputs: Readonly<Record<string, Input>>; allowPrivateHosts: boolean },
): string {
  const whole = /^\{([^{}]+)\}$/.exec(template)?.[1];
  const isUrl = (name: string) => name.startsWith('extras.') || (Object.hasOwn(inputs, name) && inputs[name]?.url === true);
  const leading = /^\{([^{}]+)\}(.*)$/s.exec(template);
  if (whole !== undefined && isUrl(whole)) {
    const value = valueOf(values, whole);
    parseOutsideUrl(value, { allowPrivateHosts });
    return value;
  }
  if (leading?.[1] !== undefined && isUrl(leading[1])) {
    const base = valueOf(values, leading[1]);
    const origin = parseOutsideUrl(base, { allowPrivateHosts }).origin;
    const rest = (leading[2] ?? '').replace(expression, (_, name: string) => percentEncode(valueOf(values, name)));
    const joined = base.replace(/\/+$/, '') + rest;
    if (parseOutsideUrl(joined, { allowPrivateHosts }).origin !== origin) {
      throw new GrantryError('address_refused', { detail: 'The expanded address leaves its host.' });
    }
    return joined;
  }

  const end = authorityEnd(template);
  const authority = template.slice(0, end).replace(expression, (_, name: string) => {
    const value = valueOf(values, name);
    const open = Object.hasOwn(inputs, name) && inputs[name]?.host === true;
    const fits = open ? hostName.test(value) || (allowPrivateHosts && /^[a-z0-9.-]+(?::\d{1,5})?$/.test(value)) : hostLabel.test(value);
    if (!fits) {
      throw new GrantryError('invalid_request', { detail: `{${name}} must be ${open ? 'a host name' : 'one host label (a-z, 0-9, -)'} in lower case.` });
    }
    return value;
  });
  const rest = template.slice(end).replace(expression, (_, name: string) => percentEncode(valueOf(values, name)));
  const url = parseOutsideUrl(authority + rest, { allowPrivateHosts });

  const fixedSuffix = template.slice(template.lastIndexOf('}', end - 1) + 1, end).replace(/:\d+$/, '').toLowerCase();
  if (template.slice(0, end).includes('{') && fixedSuffix !== '' && !url.hostname.endsWith(fixedSuffix)) {
    throw new GrantryError('address_refused', { detail: 'The expanded host does not end as the definition says.' });
  }
  return authority + rest;
}
