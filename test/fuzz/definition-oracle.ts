import { templateInputs } from '../../src/protocol/definition/choices.ts';
import { completeInputs, declaredInputs } from '../../src/protocol/definition/inputs.ts';
import type { Definition, Input, Method } from '../../src/protocol/definition/schema.ts';
import { type Fault, isGrantryError } from '../../src/protocol/errors.ts';
import { expandUrl } from '../../src/protocol/template.ts';
import { must } from './property.ts';

/** What must be true of a definition that was accepted, and of the faults of one that was not. */

export function mustBeFaults(error: unknown): void {
  if (!isGrantryError(error)) throw error;
  must(error.code === 'invalid_definition', `refused as ${error.code}`);
  const errors: readonly Fault[] = error.details.errors ?? [];
  must(errors.length > 0, 'refused, and nothing is said against it');
  for (const { pointer, detail } of errors) {
    must(pointer === '' || pointer.startsWith('/'), `a fault at ${pointer}`);
    must(typeof detail === 'string' && detail.length > 3, `a fault that says ${detail}`);
  }
}

type Found = { path: string; template: string };

/** Every address of a definition, by the names of the fields. */
export function addressesOf(value: unknown, path = ''): Found[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]): Found[] => {
    const at = `${path}/${name}`;
    const isAddress =
      /(?:_endpoint|^endpoint|^issuer|^base_url)$/.test(name) &&
      !/\/(?:inputs|params|keep|rename|headers|json|form|sets|claims|assertion|client_assertion)\//.test(at);
    const isCall = name === 'path' && /\/(?:probe|after\/\d+)\/path$/.test(at);
    if (typeof inner === 'string') return isAddress || (isCall && !inner.startsWith('/')) ? [{ path: at, template: inner }] : [];
    return addressesOf(inner, at);
  });
}

const parts = /^https:\/\/([^/?#]+)/i;
const privateName = /(?:^|\.)(?:localhost|local|internal|intranet|private|corp|home|lan|arpa|onion|invalid|test|example)$/;

/** Somewhere that everybody can reach, as far as a name can tell. */
function isPublicName(hostname: string): boolean {
  if (/^\d+(?:\.\d+){3}$/.test(hostname)) {
    const [a = 0, b = 0] = hostname.split('.').map(Number);
    return !(
      a === 0 ||
      a === 10 ||
      a === 127 ||
      a >= 224 ||
      (a === 169 && b === 254) ||
      (a === 172 && b >= 16 && b < 32) ||
      (a === 192 && b === 168) ||
      (a === 100 && b >= 64 && b < 128)
    );
  }
  if (hostname.startsWith('[')) return /^\[[23]/.test(hostname);
  return hostname.includes('.') && !hostname.endsWith('.') && !privateName.test(hostname) && /[a-z][a-z0-9-]*$/.test(hostname);
}

/** Values that try to get out of where they stand. */
const hostile = [
  'evil.com',
  'evil.com/',
  'evil.com#',
  'a.b',
  '..',
  '.',
  '%2e%2e',
  'u@evil.com',
  'evil.com:1',
  'x?y',
  '127.0.0.1',
  '1',
  'https://evil.com',
  'http://evil.com',
  'https://10.0.0.1/',
  '',
  'a\r\nb',
  'x'.repeat(300),
];

/** The host that the definition wrote, with nothing in it that somebody else says. */
function mustBeWritten({ path, template }: Found): void {
  if (template.startsWith('{')) return;
  const authority = parts.exec(template)?.[1] ?? '';
  must(authority !== '', `${path} is ${template}`);
  must(!/[@\\\s]/.test(authority) && !template.includes('#') && /^[!-~]+$/.test(template), `${path} is ${template}`);
  const fixed = authority.replace(/\{[^}]*\}/g, 'x').replace(/:\d+$/, '');
  must(authority.includes('{') || isPublicName(new URL(`https://${fixed}`).hostname), `${path} leads to ${authority}`);
}

/** What comes of an address with values that somebody may give: an address of the very host that the definition means, or a refusal. */
function mustStay({ path, template }: Found, values: Record<string, string>, inputs: Readonly<Record<string, Input>>): void {
  let expanded: string;
  try {
    expanded = expandUrl(template, values, { inputs, allowPrivateHosts: false });
  } catch (error) {
    if (!isGrantryError(error, 'invalid_request', 'address_refused')) throw error;
    return;
  }
  const url = new URL(expanded);
  const where = `${path}, ${template}, becomes ${expanded}`;
  must(url.protocol === 'https:' && url.username === '' && url.password === '' && url.hash === '', where);
  must(isPublicName(url.hostname), where);
  if (template.startsWith('{')) return;
  const authority = (parts.exec(template)?.[1] ?? '').replace(/:\d+$/, '').toLowerCase();
  const names = [...authority.matchAll(/\{([^}]*)\}/g)].map(([, name = '']) => name);
  const isFree = (name: string) => inputs[name]?.enum === undefined && inputs[name]?.choices === undefined;
  const suffix = authority.slice(authority.lastIndexOf('}') + 1);
  must(names.length > 0 ? url.hostname.endsWith(suffix) : url.hostname === new URL(`https://${authority}`).hostname, where);
  if (names.length === 0 || names.some((name) => inputs[name.toLowerCase()]?.host === true || !isFree(name))) return;
  must(url.hostname.split('.').length === authority.split('.').length, `${where}: another number of labels`);
}

export function mustBeSound(definition: Definition, pick: (values: readonly string[]) => string): void {
  for (const found of addressesOf({ api: definition.api, methods: definition.methods })) mustBeWritten(found);
  for (const [name, method] of Object.entries(definition.methods)) {
    const inputs = templateInputs(definition, method);
    const given = Object.fromEntries(Object.keys(declaredInputs(definition, method)).map((input) => [input, pick(hostile)]));
    const { values } = completeInputs(definition, method, given);
    const kept = keptOf(method).map((each): [string, string] => [`extras.${each}`, pick(hostile)]);
    const all = {
      ...samples(definition, method),
      ...values,
      ...Object.fromEntries(kept),
      client_id: pick(['client', '../x', 'a/b?c#d']),
      access_token: 'at',
    };
    for (const found of addressesOf({ [name]: method })) mustStay(found, all, inputs);
  }
}

const keptOf = (method: Method): string[] => ('response' in method ? Object.keys(method.response.keep) : []);

/** Values as somebody would give them who means well. */
export function samples(definition: Definition, method: Method): Record<string, string> {
  return Object.fromEntries(
    Object.entries(declaredInputs(definition, method)).flatMap(([name, input]) => {
      const listed = input.enum?.find((value) => value !== '') ?? Object.keys(input.choices ?? {})[0];
      // The example of a free text need not fit where the text will stand.
      const free = input.pattern === undefined && !input.host && !input.url ? 'north' : undefined;
      const value =
        listed ?? free ?? input.example ?? input.default ?? (input.url ? 'https://login.acme.com' : input.host ? 'login.acme.com' : 'north');
      return value === '' ? [] : [[name, value]];
    }),
  );
}
