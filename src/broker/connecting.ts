import { grantFor } from '../grants/index.ts';
import type { Credential } from '../protocol/credential.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import type { GrantContext } from '../protocol/grant.ts';
import { withSecretsOf } from './client-secrets.ts';
import { type AgeMs, storeCredential } from './credentials.ts';
import { type Failed, failLink } from './flow/context.ts';
import { newId } from './ids.ts';
import { connectionInputsPlace } from './places.ts';
import type { ConnectionRecord, IntegrationRecord, LinkRecord, NewEvent } from './records.ts';
import { sealInputs } from './secrets.ts';
import type { World } from './world.ts';

export type Connected = { kind: 'connected'; link: LinkRecord; connection: ConnectionRecord };

type Saving = {
  link: LinkRecord;
  integration: IntegrationRecord;
  ctx: GrantContext;
  credential: Credential;
  inputs: Record<string, string>;
  account: string | undefined;
  ageMs: AgeMs;
};

/** Tells the provider that a credential will not be used after all; its failure changes nothing. */
export async function giveBack(world: World, at: { integration: IntegrationRecord; ctx: GrantContext }, credential: Credential): Promise<void> {
  try {
    await withSecretsOf(world, at, async (ctx) => grantFor(ctx.method).revoke?.(ctx, credential));
  } catch (error) {
    if (!isGrantryError(error)) throw error;
    world.log.warn({ code: error.code }, 'an unused credential could not be revoked');
  }
}

/** So long a browser waits for its page while Postgres is away. */
const savingMs = 20_000;
const savingPauseMs = 250;

/**
 * A credential becomes a connection, or renews the one that the link names, in one transaction with the end of the link. It is the only
 * copy there is, so a Postgres that is away is waited for a while. Throws `unavailable` after that.
 */
export async function saveConnection(world: World, saving: Saving): Promise<Connected | Failed> {
  const { link, credential } = saving;
  const begunMs = world.elapsedMs();
  for (let attempt = 0; ; attempt += 1) {
    try {
      const before = attempt === 0 ? undefined : await savedBefore(world, link);
      if (before !== undefined) return before;
      const saved = link.reconnects === null ? await create(world, saving) : await renew(world, saving, link.reconnects);
      // The wrong account may be connected elsewhere, and many providers end everything of an account with one revocation.
      if (saved.kind === 'failed' && saved.code !== 'account_mismatch') await giveBack(world, saving, credential);
      return saved;
    } catch (error) {
      if (!isGrantryError(error, 'unavailable') || world.elapsedMs() - begunMs > savingMs) throw error;
      world.log.warn({ link: link.id, attempt }, 'a new connection could not be saved yet; trying again');
      await world.sleep(savingPauseMs);
    }
  }
}

/** What an attempt has saved of which we heard that it failed: nobody else can have finished the link. */
async function savedBefore(world: World, { id }: LinkRecord): Promise<Connected | undefined> {
  const link = await world.store.links.byId(id);
  if (link?.status !== 'connected' || link.connection_id === null) return undefined;
  const connection = await world.store.connections.get(link.project_id, link.connection_id);
  return connection && { kind: 'connected', link, connection };
}

const finished = (link: LinkRecord): NewEvent => ({
  project_id: link.project_id,
  type: 'connect_link.connected',
  integration_id: link.integration_id,
  link_id: link.id,
});

async function create(world: World, { link, integration, ctx, credential, inputs, account, ageMs }: Saving): Promise<Connected | Failed> {
  const identity = { project_id: link.project_id, id: newId('con'), token_version: 1 };
  const stored = await storeCredential(world, identity, { method: ctx.method, credential, ageMs, requested: link.scopes });
  const about = { project_id: link.project_id, integration_id: integration.id, connection_id: identity.id };
  const connection = await world.store.connections.insert(
    {
      project_id: identity.project_id,
      id: identity.id,
      integration_id: integration.id,
      provider_id: integration.provider_id,
      method: link.snapshot.method,
      end_user: link.end_user,
      requested_scopes: link.scopes,
      inputs_sealed: await sealInputs(world, connectionInputsPlace(identity), inputs),
      metadata: link.metadata,
      account: account ?? null,
      ...stored,
    },
    { id: link.id, attempt: link.attempt },
    [
      { ...finished(link), connection_id: identity.id },
      {
        ...about,
        link_id: link.id,
        type: 'connection.created',
        data: { end_user: link.end_user.id, scopes: stored.scopes, missing_scopes: stored.missing_scopes },
      },
    ],
  );
  if (connection === undefined) return failLink(world, link, 'invalid_callback', 'The flow had ended.');
  return { kind: 'connected', link, connection };
}

async function renew(world: World, { link, integration, ctx, credential, inputs, account, ageMs }: Saving, id: string): Promise<Connected | Failed> {
  // A refresh may move the version on while we save; the new authorization wins, so it is tried again.
  for (let attempt = 0; attempt < 10; attempt += 1) {
    const old = await world.store.connections.get(link.project_id, id);
    if (old === undefined) return failLink(world, link, 'exchange_failed', 'The connection to renew no longer exists.');
    if (old.account !== null && account !== undefined && old.account !== account) {
      return failLink(world, link, 'account_mismatch', 'Another account was authorized than the one that is connected.');
    }
    const identity = { project_id: link.project_id, id, token_version: old.token_version + 1 };
    const stored = await storeCredential(world, identity, { method: ctx.method, credential, ageMs, requested: link.scopes });
    const connection = await world.store.connections.renew(
      link.project_id,
      id,
      old.token_version,
      {
        ...stored,
        method: link.snapshot.method,
        requested_scopes: link.scopes,
        inputs_sealed: await sealInputs(world, connectionInputsPlace(identity), inputs),
        account: account ?? old.account,
      },
      { id: link.id, attempt: link.attempt },
      [
        { ...finished(link), connection_id: id },
        {
          project_id: link.project_id,
          integration_id: integration.id,
          connection_id: id,
          link_id: link.id,
          type: 'connection.reconnected',
          data: { scopes: stored.scopes, missing_scopes: stored.missing_scopes },
        },
      ],
    );
    if (connection !== undefined) return { kind: 'connected', link, connection };
    const now = await world.store.links.byId(link.id);
    if (now === undefined || now.finished_at !== null) return failLink(world, link, 'invalid_callback', 'The flow had ended.');
  }
  throw new GrantryError('unavailable', { detail: 'The connection changes too fast to be renewed.' });
}
