import type { Recorded } from './provider-server.ts';

/** What was sent, written down for a person who compares it with the provider's documentation. */

type Mask = readonly [RegExp, string];

const indented = (lines: readonly string[], by = '  '): string[] => lines.map((line) => by + line);

function parametersOf(params: Iterable<readonly [string, string]>, masked: (text: string) => string): string[] {
  return [...params].map(([name, value]) => `${name} = ${masked(value)}`);
}

/** Values that are drawn anew each time, by where they stand. */
const fresh = /^(?:state|code_challenge|code_verifier|oauth_nonce|oauth_timestamp|oauth_signature|nonce|timestamp|sign|signature)$/;

function authorizationOf(value: string, masked: (text: string) => string): string[] {
  const [, scheme = '', rest = ''] = /^(\S+) (.*)$/s.exec(value) ?? [];
  if (scheme === 'Basic') return [`Basic, of ${Buffer.from(rest, 'base64').toString('utf8')}`];
  // Some providers call the scheme of a bearer token OAuth as well.
  if (scheme !== 'OAuth' || !rest.includes('oauth_')) return [masked(value)];
  const members = [...rest.matchAll(/([A-Za-z_]+)="([^"]*)"/g)].map(([, name = '', text = '']) => [name, decodeURIComponent(text)] as const);
  return [
    'OAuth',
    ...indented(
      parametersOf(
        members.map(([name, text]) => [name, fresh.test(name) ? `<${name}>` : text]),
        masked,
      ),
    ),
  ];
}

function bodyOf({ headers, body }: Omit<Recorded, 'step'>, masked: (text: string) => string): string[] {
  if (body === '') return [];
  if (headers['content-type']?.startsWith('application/x-www-form-urlencoded'))
    return ['form', ...indented(parametersOf(freshened(new URLSearchParams(body)), masked))];
  const value: unknown = JSON.parse(body);
  if (typeof value !== 'object' || value === null) return [masked(body)];
  const members = Object.entries(value).map(([name, inner]): [string, string] => [name, typeof inner === 'string' ? inner : JSON.stringify(inner)]);
  return ['json', ...indented(parametersOf(freshened(members), masked))];
}

const freshened = (params: Iterable<readonly [string, string]>): [string, string][] =>
  [...params].map(([name, value]) => [name, fresh.test(name) ? `<${name}>` : value]);

/** A signed JWT by what it says; what differs from run to run is left out. */
function jwtOf(text: string): string {
  const [header, claims] = text
    .split('.')
    .slice(0, 2)
    .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString('utf8')));
  const { iat: _, exp, jti: __, ...lasting } = claims;
  return `<JWT ${JSON.stringify(header)} ${JSON.stringify({ ...lasting, ...(exp !== undefined && { exp: '<soon>' }) })}>`;
}
const jwt = /\beyJ[\w-]+\.eyJ[\w-]+\.[\w-]+/g;

/** Instants near now: in text, and in seconds and milliseconds since 1970. */
const instant = /\d{4}-\d\d-\d\dT[\d:.]+Z|\d{4}-\d\d-\d\dT[\d%A.]+Z|(?<!\d)1\d{9}(?:\d{3})?(?!\d)/g;

/** One request, its parameters one a line. `masks`: what differs from run to run, and the word for it. */
export function written(step: string, request: Omit<Recorded, 'step'>, masks: readonly Mask[]): string {
  const masked = (text: string) => masks.reduce((left, [value, word]) => left.replace(value, word), text.replace(jwt, jwtOf));
  const [address = '', fragment] = request.url.split('#');
  const [place = '', query = ''] = address.split('?');
  const { authorization, ...headers } = request.headers;
  const lines = [
    `${request.method} ${masked(place)}${fragment === undefined ? '' : ` #${fragment}`}`,
    ...(query === '' ? [] : ['query', ...indented(parametersOf(freshened(new URLSearchParams(query)), masked))]),
    ...(authorization === undefined
      ? []
      : authorizationOf(authorization, masked).map((line, index) => (index === 0 ? `authorization: ${line}` : line))),
    ...Object.entries(headers)
      .sort()
      .map(([name, value]) => `${name}: ${masked(value)}`),
    ...bodyOf(request, masked),
    ...(request.answer === undefined || request.answer === '{}' ? [] : [`answered ${masked(request.answer).replace(instant, '<instant>')}`]),
  ];
  return [step, ...indented(lines)].join('\n');
}
