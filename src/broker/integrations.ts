import { clientNeeds } from '../protocol/client-authentication.ts';
import { completeInputs, hasOpenHost } from '../protocol/definition/inputs.ts';
import type { Definition, Method } from '../protocol/definition/schema.ts';
import { type Fault, GrantryError } from '../protocol/errors.ts';
import { findProvider, findSoundProvider, methodOf, type Provider } from './catalog.ts';
import { openSecrets, sealSecrets } from './client-secrets.ts';
import { givenKey } from './given-key.ts';
import { openIntegrationInputs } from './grant-context.ts';
import { resumeWaiting } from './misconfigured.ts';
import { integrationPlace } from './places.ts';
import type { IntegrationRecord } from './records.ts';
import { sealInputs } from './secrets.ts';
import type { IntegrationChange, Page, PageRequest } from './store.ts';
import type { World } from './world.ts';

export { markMisconfigured, markRecovered, mayTry } from './misconfigured.ts';

export type IntegrationBody = {
  id: string;
  provider: string;
  method?: string | undefined;
  client_id?: string | undefined;
  client_secret?: string | undefined;
  /** Several, in the order in which they are tried; instead of client_secret. */
  client_secrets?: string[] | undefined;
  private_key_jwk?: Record<string, unknown> | undefined;
  /** Instead of private_key_jwk, as providers give it out. */
  private_key_pem?: string | undefined;
  private_key_id?: string | undefined;
  scopes?: string[] | undefined;
  inputs?: Record<string, string> | undefined;
  callback?: 'shared' | 'own' | undefined;
  verification?: 'browser' | 'user' | undefined;
  /** Seconds; null: connections that nobody uses are not probed. */
  probe_unused_after_s?: number | null | undefined;
};

/** An integration and what is not secret of its inputs. */
export type Integration = { record: IntegrationRecord; secretCount: number; inputs: Record<string, string>; redirectUri: string | null };

/** True when the flow comes back to a path of the integration's own: see docs/connect-flow.md for why. */
function callsBackOwn(record: Pick<IntegrationRecord, 'callback'>, { definition, version }: Provider, method: Method): boolean {
  if (record.callback === 'own' || version !== null || hasOpenHost(definition, method)) return true;
  return (method.grant === 'authorization_code' || method.grant === 'oauth1') && method.callback.state === 'not_echoed';
}

/** The redirect URI of an integration's flows; null for grants that never send a browser away and back. */
export function redirectUriOf(
  world: Pick<World, 'publicUrl'>,
  record: Pick<IntegrationRecord, 'callback' | 'context' | 'method'>,
  provider: Provider,
): string | null {
  const { method } = methodOf(provider.definition, record.method);
  if (method.grant !== 'authorization_code' && !(method.grant === 'oauth1' && method.callback.mode === 'url')) return null;
  return `${world.publicUrl}/oauth/callback${callsBackOwn(record, provider, method) ? `/${record.context}` : ''}`;
}

function invalid(errors: readonly Fault[]): GrantryError {
  return new GrantryError('invalid_request', { detail: errors[0]?.detail ?? 'The integration is not valid.', errors });
}

type ClientParts = { client_id: string; client_secrets: readonly string[]; private_key_jwk: Record<string, unknown> | undefined };

/** What the method needs of the client registration; faults point into the body. */
export function clientFaults(method: Method, { client_id, client_secrets, private_key_jwk }: ClientParts): Fault[] {
  const faults: Fault[] = [];
  const given = { client_id: client_id !== '', client_secret: client_secrets.length > 0, private_key_jwk: private_key_jwk !== undefined };
  const need = (field: keyof typeof given) => {
    if (!given[field]) faults.push({ pointer: `/${field}`, detail: `This method needs ${field}.` });
  };
  if (client_secrets.length > 1 && !clientNeeds(method).secret)
    faults.push({ pointer: '/client_secrets', detail: 'This method sends no client secret, so there is nothing to try in order.' });
  const needs = clientNeeds(method);
  if (method.grant === 'api_key' || method.grant === 'basic') return faults;
  if (namesClient(method)) need('client_id');
  if (needs.key) need('private_key_jwk');
  if (needs.secret) need('client_secret');
  return faults;
}

/** A credential that the end user hands over may be all that a request holds. */
function namesClient(method: Method): boolean {
  if (!('token' in method) || method.token_endpoint_auth_method !== 'none' || method.application_token !== undefined) return true;
  return method.grant !== 'credential_exchange' && !(method.grant === 'jwt_bearer' && method.assertion.key !== undefined);
}

/** Values for inputs that the admin may give; what the end user is asked for may stay open. */
function checkInputs(world: World, definition: Definition, method: Method, given: Record<string, string>): void {
  const { faults, missing } = completeInputs(definition, method, given, { allowPrivateHosts: world.allowPrivateHosts });
  const unasked = missing
    .filter(({ input }) => input.asked_of === 'integration')
    .map(({ name, input }) => ({
      pointer: `/inputs/${name}`,
      detail: `This provider needs ${input.label}.`,
    }));
  if (faults.length + unasked.length > 0) throw invalid([...faults, ...unasked]);
}

/** An integration whose definition or method is gone meanwhile is shown all the same: it may have to be deleted. */
async function present(world: World, record: IntegrationRecord): Promise<Integration> {
  const provider = await findSoundProvider(world, record.project_id, record.provider_id);
  const secretCount =
    record.further_secrets_sealed === null ? Number(record.client_secret_sealed !== null) : (await openSecrets(world, record)).length;
  if (provider === undefined || !Object.hasOwn(provider.definition.methods, record.method))
    return { record, secretCount, inputs: {}, redirectUri: null };
  const declared = { ...provider.definition.inputs, ...methodOf(provider.definition, record.method).method.inputs };
  const inputs = await openIntegrationInputs(world, record);
  const shown = Object.entries(inputs).filter(([name]) => Object.hasOwn(declared, name) && declared[name]?.secret === false);
  return { record, secretCount, inputs: Object.fromEntries(shown), redirectUri: redirectUriOf(world, record, provider) };
}

/** The client secrets that a body brings, in order; undefined: it says nothing of them. */
function givenSecrets({
  client_secret: one,
  client_secrets: several,
}: {
  client_secret?: string | null | undefined;
  client_secrets?: string[] | undefined;
}): string[] | undefined {
  if (one !== undefined && several !== undefined)
    throw invalid([{ pointer: '/client_secrets', detail: 'Give client_secret or client_secrets, not both.' }]);
  return several ?? (one === undefined ? undefined : one === null ? [] : [one]);
}

/** Registers our app at a provider. Throws `invalid_request`, or `conflict` when the id is taken. */
export async function createIntegration(world: World, project: string, body: IntegrationBody): Promise<Integration> {
  const provider = await findProvider(world, project, body.provider);
  if (provider === undefined) throw invalid([{ pointer: '/provider', detail: 'There is no such provider.' }]);
  const { name, method } = methodOf(provider.definition, body.method);
  const { jwk, faults: keyFaults } = givenKey(body);
  if (keyFaults.length > 0) throw invalid(keyFaults);
  const client = { client_id: body.client_id ?? '', client_secrets: givenSecrets(body) ?? [], private_key_jwk: jwk ?? undefined };
  const faults = clientFaults(method, client);
  if (faults.length > 0) throw invalid(faults);
  checkInputs(world, provider.definition, method, body.inputs ?? {});

  const identity = { project_id: project, id: body.id, secret_version: 1 };
  const record = await world.store.integrations.insert({
    ...identity,
    provider_id: body.provider,
    method: name,
    client_id: client.client_id,
    ...(await sealSecrets(world, identity, client.client_secrets)),
    private_key_sealed:
      client.private_key_jwk === undefined
        ? null
        : await world.seal.seal(integrationPlace(identity, 'private_key'), JSON.stringify(client.private_key_jwk)),
    inputs_sealed: await sealInputs(world, integrationPlace(identity, 'inputs'), body.inputs ?? {}),
    scopes: body.scopes ?? ('scopes' in method ? method.scopes.default : []),
    callback: body.callback ?? 'shared',
    context: world.random(16).toString('base64url'),
    verification: body.verification ?? 'browser',
    probe_unused_after_s: body.probe_unused_after_s ?? null,
  });
  if (record === undefined) {
    throw new GrantryError('conflict', { detail: 'An integration with this id exists.', errors: [{ pointer: '/id', detail: 'Is taken.' }] });
  }
  return present(world, record);
}

export async function getIntegration(world: World, project: string, id: string): Promise<Integration> {
  const record = await world.store.integrations.get(project, id);
  if (record === undefined) throw new GrantryError('not_found');
  return present(world, record);
}

export async function listIntegrations(world: World, project: string, page: PageRequest): Promise<Page<Integration>> {
  const { items, next } = await world.store.integrations.list(project, page);
  return { items: await Promise.all(items.map((record) => present(world, record))), next };
}

export type IntegrationPatch = Omit<IntegrationBody, 'id' | 'provider' | 'method' | 'client_secret' | 'private_key_jwk' | 'inputs'> & {
  /** Merged into the inputs that are there (RFC 7396): secret ones cannot be read, so nobody could send them again. */
  inputs?: Record<string, string | null> | undefined;
  client_secret?: string | null | undefined;
  private_key_jwk?: Record<string, unknown> | null | undefined;
};

/**
 * Changes what is given, keeps the rest. A new client registration takes the integration out of `misconfigured`.
 * Throws `not_found`, `invalid_request`, or `conflict` when somebody else changed it at the same moment.
 */
export async function updateIntegration(world: World, project: string, id: string, patch: IntegrationPatch): Promise<Integration> {
  const old = await world.store.integrations.get(project, id);
  if (old === undefined) throw new GrantryError('not_found');
  const definition = (await findProvider(world, project, old.provider_id))?.definition;
  if (definition === undefined || !Object.hasOwn(definition.methods, old.method)) {
    throw new GrantryError('conflict', {
      detail: `The provider "${old.provider_id}" or its method "${old.method}" is gone; the integration can only be deleted.`,
    });
  }
  const { method } = methodOf(definition, old.method);

  const oldKey = old.private_key_sealed === null ? undefined : await world.seal.open(integrationPlace(old, 'private_key'), old.private_key_sealed);
  const oldInputs = await openIntegrationInputs(world, old);
  const secrets = givenSecrets(patch);
  const { jwk, faults: keyFaults } = givenKey(patch);
  if (keyFaults.length > 0) throw invalid(keyFaults);
  const key = jwk === undefined ? oldKey : jwk === null ? undefined : JSON.stringify(jwk);
  const inputs = Object.fromEntries(
    Object.entries({ ...oldInputs, ...patch.inputs }).flatMap(([name, value]) => (value === null ? [] : [[name, value]])),
  );

  const merged = {
    client_id: patch.client_id ?? old.client_id,
    client_secrets: secrets ?? (await openSecrets(world, old)),
    private_key_jwk: key === undefined ? undefined : JSON.parse(key),
  };
  const faults = clientFaults(method, merged);
  if (faults.length > 0) throw invalid(faults);
  checkInputs(world, definition, method, inputs);

  const next = { project_id: project, id, secret_version: old.secret_version + 1 };
  const registrationChanged = patch.client_id !== undefined || secrets !== undefined || jwk !== undefined;
  const change: IntegrationChange = {
    client_id: merged.client_id,
    ...(await sealSecrets(world, next, merged.client_secrets)),
    private_key_sealed: key === undefined ? null : await world.seal.seal(integrationPlace(next, 'private_key'), key),
    inputs_sealed: await sealInputs(world, integrationPlace(next, 'inputs'), inputs),
    secret_version: next.secret_version,
    ...(patch.scopes && { scopes: patch.scopes }),
    ...(patch.callback && { callback: patch.callback }),
    ...(patch.verification && { verification: patch.verification }),
    ...(patch.probe_unused_after_s !== undefined && { probe_unused_after_s: patch.probe_unused_after_s }),
    ...(registrationChanged && { status: 'active' as const }),
  };
  const record = await world.store.integrations.update(project, id, old.secret_version, change, [
    { project_id: project, type: 'integration.recovered', integration_id: id, data: { why: 'The client registration was changed.' } },
  ]);
  if (record === undefined) throw new GrantryError('conflict', { detail: 'The integration was changed at the same moment; read it and try again.' });
  if (registrationChanged) resumeWaiting(world, record);
  return present(world, record);
}

export async function deleteIntegration(world: World, project: string, id: string): Promise<void> {
  const outcome = await world.store.integrations.remove(project, id);
  if (outcome === 'missing') throw new GrantryError('not_found');
  if (outcome === 'revoking') {
    throw new GrantryError('conflict', {
      detail: 'The provider has still to be told of connections that were deleted; try again in a minute.',
      retryAfterS: 60,
    });
  }
  if (outcome === 'in_use') throw new GrantryError('conflict', { detail: 'Connections of this integration exist; delete them first.' });
}
