import { expect, it } from 'vitest';
import { parseDefinitionValue } from '../../../src/protocol/definition/parse.ts';

const options = { allowPrivateHosts: false };
const shared = {
  id: 'acme',
  name: 'Acme',
  inputs: { domain: { label: 'Domain', host: true }, tenant: { label: 'Tenant' } },
  methods: {
    service: { grant: 'client_credentials', token_endpoint: 'https://{domain}/{tenant}/token' },
    web: { grant: 'authorization_code', authorization_endpoint: 'https://{domain}/authorize', token_endpoint: 'https://{domain}/token' },
  },
};

it('a host that methods share belongs to the integration, also where our registration is the only proof', () => {
  const { inputs, methods } = parseDefinitionValue(shared, options);
  expect(inputs.domain).toMatchObject({ asked_of: 'integration' });
  expect(methods.service?.inputs).toEqual({ tenant: expect.objectContaining({ asked_of: 'caller' }) });
  expect(methods.web?.inputs).toEqual({});
});

it('what was parsed parses to itself', () => {
  const parsed = parseDefinitionValue(shared, options);
  expect(parseDefinitionValue(JSON.parse(JSON.stringify(parsed)), options)).toEqual(parsed);
});
