import type { DefinitionInput } from '../protocol/definition/schema.ts';

/** The authorization server as a provider definition: one method per way that a client can authenticate, and one without a user. */
export function authorizationServerDefinition(url: string): string {
  const endpoints = {
    issuer: url,
    token_endpoint: `${url}/token`,
    revocation_endpoint: `${url}/token/revocation`,
  };
  const web = {
    ...endpoints,
    grant: 'authorization_code' as const,
    iss_parameter: 'required' as const,
    authorization_endpoint: `${url}/auth`,
    introspection_endpoint: `${url}/token/introspection`,
    scopes: { default: ['read', 'offline_access'] },
    // offline_access is granted only to a request that asks for consent (OpenID Connect Core, section 11).
    authorization: { params: { prompt: 'consent' } },
    refresh: { rotation: 'single_use' as const },
  };
  const definition: DefinitionInput = {
    id: 'sandbox-as',
    name: 'Sandbox authorization server',
    categories: ['sandbox'],
    api: { base_url: `${url}/api`, probe: { method: 'GET', path: '/me' }, account: '/id' },
    methods: {
      web: { ...web, label: 'Sign in' },
      'web-post': { ...web, token_endpoint_auth_method: 'client_secret_post' },
      'web-jwt': { ...web, token_endpoint_auth_method: 'private_key_jwt' },
      'web-public': { ...web, token_endpoint_auth_method: 'none' },
      machine: { ...endpoints, grant: 'client_credentials', scopes: { default: ['read'] } },
    },
  };
  return JSON.stringify(definition, null, 2);
}
