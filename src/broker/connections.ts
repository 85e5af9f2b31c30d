import { setTimeout as sleep } from 'node:timers/promises';
import { grantFor } from '../grants/index.ts';
import { Credential } from '../protocol/credential.ts';
import { apiOf } from '../protocol/definition/api.ts';
import type { Definition, Method } from '../protocol/definition/schema.ts';
import { keptNames } from '../protocol/definition/variables.ts';
import { type Fault, GrantryError, isGrantryError } from '../protocol/errors.ts';
import { isPresentable } from '../protocol/present.ts';
import { isTokenText } from '../protocol/token-text.ts';
import { readAccount } from './account.ts';
import { findProvider, methodOf } from './catalog.ts';
import { withSecretsOf } from './client-secrets.ts';
import { giveBack } from './connecting.ts';
import { ageFromNow, ageSince, storeCredential } from './credentials.ts';
import { completeGiven } from './given-inputs.ts';
import { grantContext, openClient } from './grant-context.ts';
import { newId } from './ids.ts';
import { clientFaults, markMisconfigured, markRecovered } from './integrations.ts';
import { learnMore } from './learn-more.ts';
import { connectionInputsPlace } from './places.ts';
import type { ConnectionRecord, EndUser, IntegrationRecord } from './records.ts';
import { refreshConnection } from './refresh.ts';
import { attemptRevocation } from './revocations.ts';
import { sealInputs } from './secrets.ts';
import type { ConnectionFilter, Page, PageRequest } from './store.ts';
import { notRenewed, reauthorization } from './tokens.ts';
import type { World } from './world.ts';

export type ImportedCredential = {
  access_token: string;
  refresh_token?: string | undefined;
  expires_at?: Date | undefined;
  scopes?: string[] | undefined;
  oauth_token_secret?: string | undefined;
  extras?: Record<string, string> | undefined;
};
export type ConnectionBody = {
  integration: string;
  end_user: EndUser;
  metadata?: Record<string, unknown> | undefined;
  scopes?: string[] | undefined;
} & (
  | { grant: 'client_credentials' | 'jwt_bearer' | 'credential_exchange' | 'api_key' | 'basic'; inputs?: Record<string, string> | undefined }
  | { import: ImportedCredential; inputs?: Record<string, string> | undefined }
);

const invalid = (errors: readonly Fault[]) =>
  new GrantryError('invalid_request', { detail: errors[0]?.detail ?? 'The connection is not valid.', errors });

/** The integration's method, or the provider's first method of the wanted grant. */
function methodFor(integration: IntegrationRecord, methods: Readonly<Record<string, Method>>, body: ConnectionBody): string {
  if ('import' in body) return integration.method;
  if (methods[integration.method]?.grant === body.grant) return integration.method;
  const other = Object.entries(methods).find(([, method]) => method.grant === body.grant)?.[0];
  if (other === undefined)
    throw invalid([{ pointer: '/grant', detail: `The provider of this integration has no method with the grant ${body.grant}.` }]);
  return other;
}

/** Nobody says how long an imported token lived in all; a guess too long only makes it be refreshed, one too short would hand out its end. */
const leastImportedLifetimeS = 3_600;

/** Tokens that were obtained elsewhere, as a credential of this method, and when they can be taken to have been issued. */
function imported(
  { definition, method }: { definition: Definition; method: Method },
  given: ImportedCredential,
  now: Date,
): { credential: Credential; sentAt: Date } {
  const faults: Fault[] = [];
  for (const field of ['access_token', 'refresh_token', 'oauth_token_secret'] as const) {
    const value = given[field];
    if (value !== undefined && !isTokenText(value)) faults.push({ pointer: `/import/${field}`, detail: 'Must be visible ASCII without spaces.' });
  }
  if (!isPresentable(apiOf(definition, method), given.access_token))
    faults.push({ pointer: '/import/access_token', detail: 'Cannot stand in the path of a call, where this provider wants it.' });
  const signs = method.grant === 'oauth1' && method.response.api_key === undefined;
  if (signs && given.oauth_token_secret === undefined) faults.push({ pointer: '/import/oauth_token_secret', detail: 'Is needed for OAuth 1.0a.' });
  if (!signs && given.oauth_token_secret !== undefined)
    faults.push({ pointer: '/import/oauth_token_secret', detail: 'Belongs to OAuth 1.0a only, where calls are signed.' });
  const kept = new Set(keptNames(method));
  for (const name of Object.keys(given.extras ?? {})) {
    if (!kept.has(name)) faults.push({ pointer: `/import/extras/${name}`, detail: 'The definition keeps no value of this name.' });
  }
  if (method.grant === 'basic') faults.push({ pointer: '/import', detail: 'Basic credentials are given with "grant": "basic", not imported.' });
  if (faults.length > 0) throw invalid(faults);
  const kind = signs ? 'oauth1' : method.grant === 'oauth1' || method.grant === 'api_key' ? 'api_key' : 'oauth2';
  const remainingS = given.expires_at === undefined ? null : Math.round((given.expires_at.getTime() - now.getTime()) / 1000);
  const lifetimeS = remainingS === null ? null : Math.max(remainingS, leastImportedLifetimeS);
  const sentAt =
    given.expires_at === undefined || lifetimeS === null ? now : new Date(Math.min(now.getTime(), given.expires_at.getTime() - lifetimeS * 1000));
  const credential = new Credential({
    kind,
    access_token: given.access_token,
    token_type: kind === 'oauth2' ? 'bearer' : kind,
    ...(given.refresh_token !== undefined && { refresh_token: given.refresh_token }),
    ...(given.oauth_token_secret !== undefined && { secret: given.oauth_token_secret }),
    scopes: given.scopes ?? [],
    lifetimeS,
    refreshLifetimeS: null,
    extras: given.extras ?? {},
  });
  return { credential, sentAt };
}

/** Makes a connection without a browser. Throws `invalid_request`, or what the provider's refusal means. */
export async function createConnection(world: World, project: string, body: ConnectionBody): Promise<ConnectionRecord> {
  const integration = await world.store.integrations.get(project, body.integration);
  if (integration === undefined) throw invalid([{ pointer: '/integration', detail: 'There is no such integration.' }]);
  const provider = await findProvider(world, project, integration.provider_id);
  if (provider === undefined) throw invalid([{ pointer: '/integration', detail: 'The definition of its provider is gone.' }]);
  const methodName = methodFor(integration, provider.definition.methods, body);
  const { method } = methodOf(provider.definition, methodName);

  const { values, missing, faults } = await completeGiven(world, { integration, definition: provider.definition, method, given: body.inputs ?? {} });
  const errors = [...faults, ...missing.map(({ name, input }) => ({ pointer: `/inputs/${name}`, detail: `${input.label} is needed.` }))];
  if (errors.length > 0) throw invalid(errors);

  const client = await openClient(world, integration);
  if (methodName !== integration.method) {
    // The registration was made for another method: what it lacks for this one is no fault of it.
    const { client_id, client_secret, private_key_jwk } = client;
    const lacking = clientFaults(method, { client_id, client_secrets: client_secret === undefined ? [] : [client_secret], private_key_jwk });
    if (lacking.length > 0)
      throw invalid(
        lacking.map(({ detail }) => ({ pointer: '/grant', detail: `${detail} The integration is registered for ${integration.method}.` })),
      );
  }

  const scopes = body.scopes ?? integration.scopes;
  let ageMs = ageFromNow(world);
  let ctx = grantContext(world, {
    definition: provider.definition,
    method: methodName,
    client,
    inputs: values,
  });
  let credential: Credential;
  let account: string | undefined;
  try {
    if ('import' in body) {
      const given = imported(ctx, body.import, world.now());
      credential = given.credential;
      ageMs = ageSince(world, given.sentAt);
    } else {
      const accepted = await withSecretsOf(world, { integration, ctx }, async (tried) => ({
        ctx: tried,
        started: await grantFor(method).start(tried, { redirectUri: '', state: '', scopes, endpoint: 'authorization' }),
      }));
      if (accepted.started.kind !== 'credential')
        throw new GrantryError('unsupported', { detail: 'This grant needs a browser: make a connect link.' });
      credential = accepted.started.credential;
      ctx = accepted.ctx;
      await markRecovered(world, integration);
    }
    if (!('import' in body)) credential = await learnMore(world, ctx, credential);
    account = await readAccount(ctx, credential);
  } catch (error) {
    if (isGrantryError(error, 'invalid_client')) await markMisconfigured(world, integration, { error });
    if (isGrantryError(error, 'invalid_grant')) {
      throw new GrantryError('exchange_failed', { detail: 'The provider does not accept what was given.', cause: error });
    }
    throw error;
  }

  const identity = { project_id: project, id: newId('con'), token_version: 1 };
  const requested = 'import' in body ? (body.import.scopes ?? []) : scopes;
  const stored = await storeCredential(world, identity, { method, credential, ageMs, requested });
  const connection = await world.store.connections.insert(
    {
      project_id: project,
      id: identity.id,
      integration_id: integration.id,
      provider_id: integration.provider_id,
      method: methodName,
      end_user: body.end_user,
      requested_scopes: requested,
      inputs_sealed: await sealInputs(world, connectionInputsPlace(identity), values),
      metadata: body.metadata ?? {},
      account: account ?? null,
      ...stored,
    },
    undefined,
    [
      {
        project_id: project,
        type: 'connection.created',
        integration_id: integration.id,
        connection_id: identity.id,
        data: {
          end_user: body.end_user.id,
          scopes: stored.scopes,
          missing_scopes: stored.missing_scopes,
          how: 'import' in body ? 'imported' : body.grant,
        },
      },
    ],
  );
  if (connection !== undefined) return connection;
  if (!('import' in body)) await giveBack(world, { integration, ctx }, credential);
  throw new GrantryError('conflict', { detail: 'The integration was deleted meanwhile.' });
}

export async function getConnection(world: World, project: string, id: string): Promise<ConnectionRecord> {
  const connection = await world.store.connections.get(project, id);
  if (connection === undefined) throw new GrantryError('not_found');
  return connection;
}

export const listConnections = (world: World, project: string, filter: ConnectionFilter, page: PageRequest): Promise<Page<ConnectionRecord>> =>
  world.store.connections.list(project, filter, page);

export async function setConnectionMetadata(world: World, project: string, id: string, metadata: Record<string, unknown>): Promise<ConnectionRecord> {
  const connection = await world.store.connections.setMetadata(project, id, metadata);
  if (connection === undefined) throw new GrantryError('not_found');
  return connection;
}

/** True when the provider can be told that a connection ends; a definition, method or integration that is gone is no reason to keep it. */
async function canRevoke(world: World, { project_id, provider_id, method: name }: ConnectionRecord): Promise<boolean> {
  const provider = await findProvider(world, project_id, provider_id).catch((error: unknown) => {
    if (isGrantryError(error, 'invalid_definition')) return 'refused' as const;
    throw error;
  });
  // One that would be refused today may be mended before the provider is given up.
  if (provider === 'refused') return true;
  const methods = provider?.definition.methods ?? {};
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
  return method !== undefined && 'revocation_endpoint' in method && method.revocation_endpoint !== undefined;
}

/** So long a deletion waits for the provider's word. */
const patienceMs = 2_000;

/**
 * Erases a connection and tells the provider. A quick provider has been told when this returns; a slow one is not waited for, one
 * that is down changes nothing, and what fails is tried again for a day. Throws `not_found`.
 */
export async function deleteConnection(world: World, project: string, id: string): Promise<void> {
  const old = await getConnection(world, project, id);
  const revoke = (await canRevoke(world, old)) ? 'at_provider' : 'nothing';
  const next =
    revoke === 'at_provider' ? 'The provider is told.' : 'This provider cannot be told; the end user can remove the access in her account there.';
  const event = { project_id: project, integration_id: old.integration_id, connection_id: id, type: 'connection.deleted', data: { next } } as const;
  if (!(await world.store.connections.remove(project, id, revoke, [event]))) throw new GrantryError('not_found');
  const row = revoke === 'at_provider' ? await world.store.revocations.get(id) : undefined;
  if (row === undefined) return;
  await Promise.race([attemptRevocation(world, row), sleep(patienceMs, undefined, { ref: false })]);
}

/** Refreshes now. Throws `unsupported` when it cannot be refreshed, `reauthorization_required`, else why it failed. */
export async function refreshNow(world: World, project: string, id: string): Promise<ConnectionRecord> {
  const connection = await getConnection(world, project, id);
  if (connection.status === 'reauthorization_required') throw reauthorization(connection);
  if (!connection.refreshable) throw new GrantryError('unsupported', { detail: 'This connection has nothing that could be refreshed.' });
  const outcome = await refreshConnection(world, connection);
  if (outcome.kind === 'refreshed') return outcome.connection;
  if (outcome.kind === 'gone') throw new GrantryError('not_found');
  const now = await getConnection(world, project, id);
  if (now.status === 'reauthorization_required') throw reauthorization(now);
  if (outcome.error.code === 'invalid_client') throw notRenewed(now, 'invalid_client', outcome.error.details.retryAfterS);
  throw outcome.error;
}
