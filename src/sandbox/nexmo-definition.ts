import type { DefinitionInput } from '../protocol/definition/schema.ts';

type Way = { id: string; name: string; prefix: string };

function definition(url: string, { id, name, prefix }: Way, more: Record<string, unknown>): string {
  const method = {
    grant: 'oauth1' as const,
    request_token_endpoint: `${url}${prefix}/request_token`,
    authorization_endpoint: `${url}${prefix}/authorize`,
    authentication_endpoint: `${url}${prefix}/authenticate`,
    access_token_endpoint: `${url}${prefix}/access_token`,
    signature_method: 'HMAC-SHA1' as const,
  };
  const value: DefinitionInput = {
    id,
    name,
    categories: ['sandbox'],
    api: { base_url: `${url}/api`, probe: { method: 'GET', path: '/me' }, account: '/id' },
    methods: { oauth1: { ...method, ...more } },
  };
  return JSON.stringify(value, null, 2);
}

/** The provider's three ways: Nexmo's own, with a callback, and with a PIN that the user carries over. */
export function nexmoDefinitions(url: string): { definition: string; definitionWithCallback: string; definitionWithPin: string } {
  return {
    definition: definition(
      url,
      { id: 'sandbox-nexmo', name: 'Sandbox Nexmo', prefix: '/oauth' },
      {
        callback: { mode: 'oob', verifier: 'absent', confirmed: 'absent' },
        reconnect: 'invalidates_existing',
      },
    ),
    definitionWithCallback: definition(
      url,
      { id: 'sandbox-oauth1', name: 'Sandbox OAuth 1.0a', prefix: '/oauth1' },
      {
        callback: { mode: 'url', verifier: 'required', confirmed: 'required', denied: ['denied'] },
      },
    ),
    definitionWithPin: definition(
      url,
      { id: 'sandbox-oauth1-pin', name: 'Sandbox OAuth 1.0a with a PIN', prefix: '/oauth1' },
      {
        callback: { mode: 'oob', verifier: 'required', confirmed: 'required' },
      },
    ),
  };
}
