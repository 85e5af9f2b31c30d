import { failures } from '../../../src/web/pages/failures.ts';
import type { ConnectPage, Page, PageInput } from '../../../src/web/pages/page.ts';

const linkFailures = Object.keys(failures).filter((code): code is keyof typeof failures => code in failures);

const names = { project: 'Northwind Analytics', provider: 'Zendesk' };
const parties = { ...names, endUser: 'Ann Example (ann@northwind.test)' };
const form = { action: '/connect/Zm9vYmFy', csrf: 'csrf-value' };
const requestId = 'req_01JD3ZK7Q8';

const subdomain: PageInput = {
  name: 'subdomain',
  label: 'Subdomain',
  description: 'The first part of your Zendesk address.',
  example: 'acme',
  secret: false,
  optional: false,
};
const inputs: PageInput[] = [
  { ...subdomain, value: 'acme!', error: 'Only letters, digits and hyphens.' },
  {
    name: 'region',
    label: 'Region',
    secret: false,
    optional: true,
    choices: ['Europe', 'United States'].map((choice) => ({ value: choice, label: choice })),
    value: 'Mars',
  },
  { name: 'api_key', label: 'API key', description: 'Found in your account settings.', secret: true, optional: false, value: 'typed-before' },
];

const connect: ConnectPage = {
  kind: 'connect',
  purpose: 'connect',
  ...parties,
  ...form,
  scopes: ['tickets:read', 'users:read'],
  host: 'acme.zendesk.com',
  inputs: [],
  reconnect: 'first',
  sends: 'to_provider',
};

const outOfBand = {
  kind: 'out_of_band' as const,
  ...form,
  project: names.project,
  provider: 'Nexmo',
  host: 'dashboard.nexmo.com',
  authorizeUrl: 'https://dashboard.nexmo.com/oauth/authorize?oauth_token=abc',
};

const unbroken = 'Wwwwwwwwwmmmmmmmmm'.repeat(12);

/** One page of every kind and shape, by a name for the test's report. */
export const samples: Readonly<Record<string, Page>> = {
  connect,
  'connect, no scopes, again': { ...connect, scopes: [], reconnect: 'again' },
  'connect, ends present access': { ...connect, reconnect: 'invalidates_existing' },
  'connect, inputs asked': { ...connect, inputs: [subdomain] },
  'connect, inputs refused': { ...connect, inputs },
  'connect, a private key asked': {
    ...connect,
    inputs: [
      {
        name: 'private_key',
        label: 'Private key',
        description: 'private_key in the key file.',
        secret: true,
        lines: true,
        optional: false,
        value: 'typed-before',
      },
    ],
    sends: 'directly',
  },
  'connect, directly': { ...connect, inputs: inputs.map(({ error: _, ...input }) => input), sends: 'directly' },
  'connect, long words': {
    ...connect,
    project: unbroken,
    provider: unbroken,
    endUser: unbroken,
    host: `${unbroken}.example`,
    scopes: [`https://scopes.example/auth/${unbroken}`],
    inputs: [{ name: 'x', label: unbroken, description: unbroken, example: unbroken, error: unbroken, secret: false, optional: true }],
  },
  'out of band, code': { ...outOfBand, verifier: 'required' },
  'out of band, code refused': { ...outOfBand, verifier: 'required', error: 'That code is not the one that was shown.' },
  'out of band, no code': { ...outOfBand, verifier: 'absent' },
  confirmation: { kind: 'confirmation', ...parties, ...form, account: 'ann@northwind.test' },
  connected: { kind: 'connected', ...names, missing: [] },
  'connected, with less than was asked for': { kind: 'connected', ...names, missing: ['tickets:write', 'users:read'] },
  'connected, with a way back': { kind: 'connected', ...names, missing: [], returnTo: 'https://app.northwind.test/settings?tab=1' },
  'a test': { ...connect, purpose: 'test' },
  'test passed': { kind: 'tested', provider: parties.provider, integration: 'crm', outcome: 'passed' },
  'test failed': { kind: 'tested', provider: parties.provider, integration: 'crm', outcome: 'failed' },
  ...Object.fromEntries(
    linkFailures.map((code) => [
      `failed, ${code}`,
      { kind: 'failed', code, project: parties.project, provider: parties.provider, requestId, again: '/connect/Zm9vYmFy' } satisfies Page,
    ]),
  ),
  'failed, names unknown': { kind: 'failed', code: 'wrong_browser', requestId },
  'already used': { kind: 'already_used', project: parties.project, requestId },
  'open in another browser': { kind: 'wrong_browser_open', project: parties.project, requestId },
  'stale form': { kind: 'stale_form', again: '/connect/Zm9vYmFy', requestId },
  'not found': { kind: 'not_found', requestId },
  'too many requests': { kind: 'rate_limited', requestId },
  error: { kind: 'error', requestId },
};

/** One sample of every shape: the failure pages that are left out differ in our own words only. */
export const shapes = Object.entries(samples).filter(
  ([name]) => !name.startsWith('failed,') || ['failed, provider_error', 'failed, wrong_browser', 'failed, names unknown'].includes(name),
);

type Leaf = { path: string; replace: (value: string) => Page };

/** Fields that are members of a closed union, not text. */
const closed = new Set(['kind', 'purpose', 'outcome', 'code', 'reconnect', 'sends', 'verifier']);
export const addressFields = new Set(['action', 'authorizeUrl', 'returnTo', 'again']);

function replaced(node: unknown, path: readonly string[], value: string): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (Array.isArray(node)) return node.map((item, index) => (String(index) === key ? replaced(item, rest, value) : item));
  return Object.fromEntries(Object.entries(Object(node)).map(([name, item]) => [name, name === key ? replaced(item, rest, value) : item]));
}

function paths(node: unknown): string[][] {
  if (typeof node === 'string') return [[]];
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([key, item]) => (closed.has(key) ? [] : paths(item).map((rest) => [key, ...rest])));
}

/** Every place in a page where a string of somebody's choice stands. */
export function leaves(page: Page): Leaf[] {
  return paths(page).map((path) => ({ path: path.join('.'), replace: (value) => replaced(page, path, value) as Page }));
}
