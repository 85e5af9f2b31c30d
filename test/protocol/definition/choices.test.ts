import { expect, test } from 'vitest';
import { endpointUrl } from '../../../src/grants/endpoint.ts';
import { completeInputs, hasOpenHost } from '../../../src/protocol/definition/inputs.ts';
import { parseDefinitionValue } from '../../../src/protocol/definition/parse.ts';
import { contextOf } from '../../grants/context.ts';

const declared = {
  region: {
    label: 'Region',
    choices: { eu: { label: 'Europe', sets: { login: 'eu.login.acme.com', api: '.eu' } }, us: { sets: { login: 'www.acme.com', api: '' } } },
    default: 'us',
  },
};
const method = { grant: 'client_credentials', token_endpoint: 'https://{login}/token' };
const urlFor = (template: string, inputs: Record<string, string>, more: Record<string, unknown> = {}) =>
  endpointUrl(contextOf(method, { declared: { ...declared, ...more }, inputs }), template);

test('one choice says several values', () => {
  expect(urlFor('https://{login}/token', { region: 'eu' })).toBe('https://eu.login.acme.com/token');
  expect(urlFor('https://api{api}.acme.com/v1/{region}', { region: 'eu' })).toBe('https://api.eu.acme.com/v1/eu');
  expect(urlFor('https://api{api}.acme.com/v1', { region: 'us' })).toBe('https://api.acme.com/v1');
});

test('what is no choice, or no longer one, leads nowhere', () => {
  for (const region of ['de', '__proto__', 'toString', '']) {
    expect(() => urlFor('https://{login}/token', { region })).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  }
  // A value beside the choice, as a row in the store might have it, is not taken for what the choice sets.
  expect(() => urlFor('https://{login}/token', { region: 'eu', login: 'evil.com' })).toThrow(expect.objectContaining({ code: 'invalid_request' }));
});

test('only choices are accepted, and what they bring along cannot be given', () => {
  const ctx = contextOf(method, { declared });
  const faultsOf = (given: Record<string, string>) => completeInputs(ctx.definition, ctx.method, given).faults;
  expect(faultsOf({ region: 'eu' })).toEqual([]);
  expect(faultsOf({ region: 'de' })).toEqual([{ pointer: '/inputs/region', detail: 'Must be one of eu, us.' }]);
  expect(faultsOf({ login: 'evil.com' })).toEqual([{ pointer: '/inputs/login', detail: 'There is no input of this name.' }]);
});

test('a host that is chosen from a list is no open host: anybody may choose, and the callback may be the shared one', () => {
  const parse = (site: Record<string, unknown>) =>
    parseDefinitionValue(
      {
        id: 'acme',
        name: 'Acme',
        inputs: { site: { label: 'Site', ...site } },
        methods: { web: { ...method, token_endpoint: 'https://{site}/token' } },
      },
      { allowPrivateHosts: false },
    );
  const listed = parse({ host: true, enum: ['login.acme.com', 'login.acme.de'] });
  const open = parse({ host: true });
  const isOpen = (definition: typeof open) => Object.values(definition.methods).map((each) => hasOpenHost(definition, each));
  expect([isOpen(listed), isOpen(open)]).toEqual([[false], [true]]);
  expect([listed.inputs['site']?.asked_of, open.inputs['site']?.asked_of]).toEqual(['end_user', 'integration']);
});
