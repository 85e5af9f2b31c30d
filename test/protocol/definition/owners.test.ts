import { expect, test } from 'vitest';
import { parseDefinitionValue } from '../../../src/protocol/definition/parse.ts';

/** Who is asked what, whatever a definition says of it. */

const options = { allowPrivateHosts: false };
const secret = { label: 'Key', secret: true };
const definition = {
  id: 'acme',
  name: 'Acme',
  inputs: {
    host: { label: 'Host', host: true },
    tenant: { label: 'Tenant' },
    region: { label: 'Region', enum: ['eu', 'us'] },
    team: { label: 'Team', asked_of: 'integration' },
  },
  methods: {
    app: { grant: 'client_credentials', token_endpoint: 'https://{host}/{tenant}/token', token: { params: { region: '{region}', team: '{team}' } } },
    jwt: {
      grant: 'jwt_bearer',
      token_endpoint: 'https://{region}.acme.com/token',
      assertion: { subject: '{user}', claims: { tenant: '{tenant}' } },
      inputs: { user: { label: 'User' }, note: { label: 'Note' } },
    },
    hers: {
      grant: 'client_credentials',
      token_endpoint: 'https://acme.com/{tenant}/token',
      token: { params: { key: '{key}' } },
      inputs: { key: secret },
    },
    ours: {
      grant: 'client_credentials',
      token_endpoint: 'https://acme.com/{tenant}/token',
      token: { params: { key: '{key}' } },
      inputs: { key: { ...secret, asked_of: 'integration' } },
    },
    issued: { grant: 'jwt_bearer', token_endpoint: 'https://acme.com/token', issuer: 'https://acme.com/{tenant}' },
    spare: {
      grant: 'client_credentials',
      token_endpoint: 'https://acme.com/{tenant}/token',
      token: { params: { key: '{key}' } },
      inputs: { key: { ...secret, optional: true } },
    },
    exchange: { grant: 'credential_exchange', token_endpoint: 'https://acme.com/{tenant}/token' },
    without: { grant: 'credential_exchange', token_endpoint: 'https://acme.com/{tenant}/token', token_endpoint_auth_method: 'none' },
    web: {
      grant: 'authorization_code',
      authorization_endpoint: 'https://acme.com/{tenant}/authorize',
      token_endpoint: 'https://acme.com/{tenant}/token',
    },
  },
};

/** What each method asks of whom. */
const owners = (parsed: ReturnType<typeof parseDefinitionValue>) =>
  Object.fromEntries(
    Object.entries(parsed.methods).map(([name, { inputs }]) => [
      name,
      Object.fromEntries(Object.entries({ ...parsed.inputs, ...inputs }).map(([input, { asked_of }]) => [input, asked_of])),
    ]),
  );

test('a host that is sent the secret is the integration’s; in whose name our registration speaks comes from the caller', () => {
  const parsed = parseDefinitionValue(definition, options);
  const common = { host: 'integration', region: 'end_user', team: 'integration' };
  expect(owners(parsed)).toEqual({
    app: { ...common, tenant: 'caller' },
    jwt: { ...common, tenant: 'caller', user: 'caller', note: 'end_user' },
    // She proves herself with a secret of hers.
    hers: { ...common, tenant: 'end_user', key: 'end_user' },
    // A secret of ours proves nothing of her.
    ours: { ...common, tenant: 'caller', key: 'integration' },
    issued: { ...common, tenant: 'caller' },
    // A secret that no page asks for proves nothing.
    spare: { ...common, tenant: 'caller', key: 'caller' },
    exchange: { ...common, tenant: 'caller' },
    // Nothing of ours is in the request.
    without: { ...common, tenant: 'end_user' },
    // She consents at the provider.
    web: { ...common, tenant: 'end_user' },
  });
});

test('what was parsed parses to itself', () => {
  const parsed = parseDefinitionValue(definition, options);
  expect(parseDefinitionValue(parsed, options)).toEqual(parsed);
});
