import { parseOutsideUrl } from '../address.ts';
import type { ClientAuthenticationMethod, DefinitionInput } from '../definition/schema.ts';
import { clientAuthentication } from '../definition/token-schema.ts';
import { withoutEnd } from '../without-end.ts';
import type { Metadata } from './metadata.ts';

/** Ways to authenticate that we know and that metadata names (RFC 8414 section 2), the one that asks least of an admin first. */
const preferred = ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'] as const satisfies readonly ClientAuthenticationMethod[];

export type Draft = {
  definition: DefinitionInput;
  /** What an admin should know or decide, in sentences. */
  notes: string[];
};

function authMethod({ token_endpoint_auth_methods_supported: supported }: Metadata): ClientAuthenticationMethod | undefined {
  // RFC 8414 section 2: what is left out means client_secret_basic.
  return supported === undefined ? 'client_secret_basic' : preferred.find((method) => supported.includes(method));
}

function challengeMethod({ code_challenge_methods_supported: supported }: Metadata): 'S256' | 'plain' | 'none' {
  if (supported === undefined || supported.includes('S256')) return 'S256';
  return supported.includes('plain') ? 'plain' : 'none';
}

/** True when the metadata names the grant; what it leaves out is authorization_code and implicit (RFC 8414 section 2). */
const offers = ({ grant_types_supported: grants = ['authorization_code'] }: Metadata, grant: string) => grants.includes(grant);

const offersCode = (metadata: Metadata) =>
  offers(metadata, 'authorization_code') &&
  (metadata.response_types_supported?.includes('code') ?? true) &&
  metadata.authorization_endpoint !== undefined;

/** `form_post` when the answer cannot come in the query. */
function responseMode({ response_modes_supported: modes }: Metadata): 'query' | 'form_post' {
  return modes === undefined || modes.includes('query') || !modes.includes('form_post') ? 'query' : 'form_post';
}

function methodsOf(metadata: Metadata): DefinitionInput['methods'] {
  const { issuer, authorization_endpoint, token_endpoint, revocation_endpoint, introspection_endpoint, userinfo_endpoint } = metadata;
  if (token_endpoint === undefined) return {};
  const how = authMethod(metadata);
  const shared = {
    issuer,
    token_endpoint,
    ...(revocation_endpoint !== undefined && { revocation_endpoint }),
    ...(how !== undefined && how !== 'client_secret_basic' && { token_endpoint_auth_method: how }),
  };
  const challenge = challengeMethod(metadata);
  return {
    ...(offersCode(metadata) &&
      authorization_endpoint !== undefined && {
        web: {
          grant: 'authorization_code' as const,
          ...shared,
          ...(metadata.authorization_response_iss_parameter_supported !== true && { iss_parameter: 'optional' as const }),
          authorization_endpoint,
          ...(introspection_endpoint !== undefined && { introspection_endpoint }),
          ...(userinfo_endpoint !== undefined && { userinfo_endpoint }),
          ...(challenge !== 'S256' && { code_challenge_method: challenge }),
          ...(responseMode(metadata) === 'form_post' && { callback: { response_mode: 'form_post' as const } }),
        },
      }),
    ...(offers(metadata, 'client_credentials') && how !== 'none' && { machine: { grant: 'client_credentials' as const, ...shared } }),
  };
}

function notesOf(metadata: Metadata): string[] {
  const { scopes_supported: scopes = [], grant_types_supported: grants, code_challenge_methods_supported: challenges } = metadata;
  const note = (when: boolean, sentence: string) => (when ? [sentence] : []);
  return [
    ...note(scopes.length > 0, 'Choose from scopes_supported what is asked for when neither link nor integration says otherwise: scopes.default.'),
    ...note(
      scopes.includes('offline_access'),
      'offline_access is among the scopes: without it there is perhaps no refresh token; many servers also want authorization.params prompt: consent with it.',
    ),
    ...note(
      grants !== undefined && !grants.includes('refresh_token'),
      'The metadata does not name the grant refresh_token: perhaps tokens cannot be renewed.',
    ),
    ...note(challenges === undefined, 'The metadata does not say whether PKCE is understood; S256 stays, for servers ignore what they do not know.'),
    ...note(
      authMethod(metadata) === undefined,
      `None of the server's ways to authenticate a client is one that the broker knows (${clientAuthentication.options.join(', ')}); the draft says client_secret_basic.`,
    ),
    ...note(metadata.revocation_endpoint === undefined, 'The metadata names no revocation endpoint.'),
    'Give api.base_url, api.probe and api.account: metadata says nothing of the API.',
  ];
}

/** The address of the documentation, if it is one that a definition may name. */
function documentationOf({ service_documentation: text }: Metadata): { documentation?: string } {
  try {
    return text === undefined || text.length > 500 || !text.startsWith('https://')
      ? {}
      : { documentation: parseOutsideUrl(text, { allowPrivateHosts: false }).href };
  } catch {
    return {};
  }
}

/** A definition as the metadata says it; undefined when it names no grant that we do. `id`: what it should be called, if that is known. */
export function draftDefinition(metadata: Metadata, id: string | undefined): Draft | undefined {
  const methods = methodsOf(metadata);
  if (Object.keys(methods).length === 0) return undefined;
  const { hostname } = new URL(metadata.issuer);
  const fromHost = hostname
    .split(/[^a-z0-9]+/)
    .filter((part) => part !== '')
    .join('-')
    .slice(0, 64);
  const definition = { id: id ?? withoutEnd(fromHost, '-'), name: hostname, ...documentationOf(metadata), methods };
  return { definition, notes: notesOf(metadata) };
}
