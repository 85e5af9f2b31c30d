import { pointerOf } from '../definition/faults.ts';
import type { Definition, Method } from '../definition/schema.ts';
import { endpointNames, type Metadata } from './metadata.ts';

/** A place where a definition says something else than the metadata; null: it says nothing. */
export type Difference = { pointer: string; ours: string | string[] | null; theirs: string | string[] | null };

type Discovered = Extract<Method, { grant: 'authorization_code' | 'client_credentials' }>;
const isDiscovered = (method: Method): method is Discovered => method.grant === 'authorization_code' || method.grant === 'client_credentials';

function methodDifferences(name: string, method: Discovered, metadata: Metadata): Difference[] {
  const found: Difference[] = [];
  const at = (...path: string[]) => pointerOf(['methods', name, ...path]);
  const same = (field: string, ours: string | undefined, theirs: string | undefined) => {
    if (ours !== theirs) found.push({ pointer: at(field), ours: ours ?? null, theirs: theirs ?? null });
  };
  /** What the metadata offers several of: one of them is enough. */
  const among = (path: string[], ours: string, theirs: string[] | undefined) => {
    if (theirs !== undefined && !theirs.includes(ours)) found.push({ pointer: at(...path), ours, theirs });
  };
  same('issuer', method.issuer, metadata.issuer);
  for (const endpoint of endpointNames)
    if (endpoint in method || method.grant === 'authorization_code') same(endpoint, fieldOf(method, endpoint), metadata[endpoint]);
  const wire = method.token_endpoint_auth_method === 'basic_raw' ? 'client_secret_basic' : method.token_endpoint_auth_method;
  among(['token_endpoint_auth_method'], wire, metadata.token_endpoint_auth_methods_supported);
  const { scopes_supported: scopes } = metadata;
  if (scopes !== undefined && method.scopes.default.some((scope) => !scopes.includes(scope))) {
    found.push({ pointer: at('scopes', 'default'), ours: method.scopes.default, theirs: scopes });
  }
  if (method.grant === 'client_credentials') return found;
  const { code_challenge_methods_supported: challenges } = metadata;
  if (method.code_challenge_method !== 'none') among(['code_challenge_method'], method.code_challenge_method, challenges);
  else if (challenges?.includes('S256')) found.push({ pointer: at('code_challenge_method'), ours: 'none', theirs: challenges });
  among(['callback', 'response_mode'], method.callback.response_mode, metadata.response_modes_supported);
  if (method.issuer !== undefined) {
    same('iss_parameter', method.iss_parameter, metadata.authorization_response_iss_parameter_supported === true ? 'required' : 'optional');
  }
  return found;
}

function fieldOf(method: Discovered, endpoint: (typeof endpointNames)[number]): string | undefined {
  const value: unknown = Object.entries(method).find(([name]) => name === endpoint)?.[1];
  return typeof value === 'string' ? value : undefined;
}

/** Where a definition and the metadata of its server say different things, method by method. */
export function differencesOf(definition: Definition, metadata: Metadata): Difference[] {
  return Object.entries(definition.methods).flatMap(([name, method]) => (isDiscovered(method) ? methodDifferences(name, method, metadata) : []));
}
