import { parseDefinitionValue } from '../../src/protocol/definition/parse.ts';
import type { Definition } from '../../src/protocol/definition/schema.ts';
import type { Kind } from './provider.ts';

/** The model providers as definitions; each kind has a host of its own. */

export const kinds: readonly Kind[] = ['rotating', 'lasting', 'not_early'];
export const hostOf = (kind: Kind): string => `${kind.replace('_', '-')}.example.com`;

function definitionOf(kind: Kind): Definition {
  const origin = `https://${hostOf(kind)}`;
  const value = {
    id: kind.replace('_', '-'),
    name: kind,
    api: { base_url: `${origin}/api` },
    methods: {
      web: {
        grant: 'authorization_code',
        authorization_endpoint: `${origin}/auth`,
        token_endpoint: `${origin}/token`,
        revocation_endpoint: `${origin}/revoke`,
        token_endpoint_auth_method: 'client_secret_post',
        refresh: { rotation: kind === 'rotating' ? 'single_use' : 'none', not_before_expiry: kind === 'not_early' },
      },
    },
  };
  return parseDefinitionValue(value, { allowPrivateHosts: true });
}

export const definitions: ReadonlyMap<Kind, Definition> = new Map(kinds.map((kind) => [kind, definitionOf(kind)]));
export const shipped: ReadonlyMap<string, Definition> = new Map([...definitions.values()].map((definition) => [definition.id, definition]));
