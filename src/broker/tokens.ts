import type { CredentialFields } from '../protocol/credential.ts';
import { apiOf } from '../protocol/definition/api.ts';
import type { Api, Definition } from '../protocol/definition/schema.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import { type Presentation, presentationOf } from '../protocol/present.ts';
import { definitionInMemory, getProviderVersion } from './catalog.ts';
import { credentialPlace } from './places.ts';
import type { ConnectionRecord } from './records.ts';
import { type RefreshOutcome, refreshConnection } from './refresh.ts';
import type { TokenRow } from './store.ts';
import type { World } from './world.ts';

/** The token path: what workers call for every job. */

export type TokenWish = {
  /** Seconds that the token has to live at least. */
  minTtlS: number;
  /** Refresh even though the token lives. */
  force: boolean;
};

type Common = { connection_id: string; expires_at: string | null; scopes: string[]; missing_scopes: string[]; extras: Record<string, string> };
export type TokenAnswer = Common &
  (
    | { token_type: string; access_token: string; present: Presentation }
    | { token_type: 'basic'; username: string; password: string; present: Presentation }
    | { token_type: 'oauth1'; oauth_token: string; oauth_token_secret: string; oauth_consumer_key: string; present: null }
  );

/** The least time between two refreshes of a token that is born at its end, or that could only be replaced by one that ends as soon. */
const leastSpacingMs = 30_000;

type SecretFields = Pick<CredentialFields, 'kind' | 'access_token' | 'token_type' | 'secret'>;

function refreshWanted(row: TokenRow, { minTtlS, force }: TokenWish): boolean {
  if (!row.refreshable) return false;
  if (force) return true;
  if (row.expires_at === null) return false;
  const now = row.now.getTime();
  if (row.expires_at.getTime() - now >= minTtlS * 1000) return false;
  // A lifetime that can never satisfy the wish is not a reason to ask the provider at every call.
  const ageMs = now - row.issued_at.getTime();
  const lifetimeMs = row.expires_at.getTime() - row.issued_at.getTime();
  if (lifetimeMs <= 0) return ageMs >= leastSpacingMs;
  return lifetimeMs > minTtlS * 1000 || ageMs >= Math.max(lifetimeMs / 10, Math.min(lifetimeMs, leastSpacingMs));
}

const isAlive = (row: TokenRow): boolean => row.expires_at === null || row.expires_at.getTime() > row.now.getTime();

/** What of a connection is told to a caller that gets no token. */
type Told = Pick<
  ConnectionRecord,
  'id' | 'integration_id' | 'end_user_id' | 'status' | 'reason' | 'reason_since' | 'expires_at' | 'updated_at' | 'failing_since' | 'last_error'
>;

/** Why the end user has to connect again, since when, and how the link for that is made. */
export function reauthorization(row: Told): GrantryError {
  return new GrantryError('reauthorization_required', {
    detail: 'The end user has to connect again: POST /v1/connect-links with this connection_id.',
    members: {
      reason: row.reason ?? (row.status === 'revoked' ? 'revoked' : 'expired'),
      since: (row.reason_since ?? row.expires_at ?? row.updated_at).toISOString(),
      connection_id: row.id,
      reconnect: {
        method: 'POST',
        path: '/v1/connect-links',
        body: { integration: row.integration_id, end_user: { id: row.end_user_id }, connection_id: row.id },
      },
    },
  });
}

/** Hands out the row's credential; the data key and the definition are in memory nearly always. */
async function answer(world: World, row: TokenRow): Promise<TokenAnswer> {
  if (row.credential_sealed === null) throw new GrantryError('not_found');
  const place = credentialPlace(row);
  const opened = world.seal.openCached(place, row.credential_sealed) ?? (await world.seal.open(place, row.credential_sealed));
  const token = tokenAnswer(row, await definitionOf(world, row), JSON.parse(opened));
  world.uses.note(row.id);
  return token;
}

async function definitionOf(world: World, { project_id, provider_id, own_version }: TokenRow): Promise<Definition> {
  const known = definitionInMemory(world, project_id, provider_id, own_version);
  if (known !== undefined) return known;
  if (own_version === null) throw new GrantryError('conflict', { detail: `The definition of "${provider_id}" no longer exists.` });
  return getProviderVersion(world, project_id, provider_id, own_version).catch((error: unknown) => {
    if (!isGrantryError(error, 'invalid_definition')) throw error;
    const detail = `The definition of "${provider_id}" would be refused today: GET /v1/providers/${provider_id} says what is wrong in it.`;
    throw new GrantryError('conflict', { detail, cause: error });
  });
}

/** A definition that has lost the method of a connection still says how its API is called. */
function apiOfRow(definition: Definition, { method }: TokenRow): Api {
  const known = Object.hasOwn(definition.methods, method) ? definition.methods[method] : undefined;
  return known === undefined ? definition.api : apiOf(definition, known);
}

function tokenAnswer(row: TokenRow, definition: Definition, secret: SecretFields): TokenAnswer {
  const common: Common = {
    connection_id: row.id,
    expires_at: row.expires_at === null ? null : row.expires_at.toISOString(),
    scopes: row.scopes,
    missing_scopes: row.missing_scopes,
    extras: row.extras,
  };
  const present = presentationOf(apiOfRow(definition, row), secret);
  if (present === undefined) {
    return {
      ...common,
      token_type: 'oauth1',
      oauth_token: secret.access_token,
      oauth_token_secret: secret.secret ?? '',
      oauth_consumer_key: row.client_id,
      present: null,
    };
  }
  if (secret.kind === 'basic') return { ...common, token_type: 'basic', username: secret.access_token, password: secret.secret ?? '', present };
  return { ...common, token_type: secret.token_type, access_token: secret.access_token, present };
}

/**
 * The token of a connection, refreshed first when it has to be. A living token is handed out whatever state its provider is in.
 * Throws `reauthorization_required`, `provider_unavailable` (with retryAfterS), `misconfigured`, `conflict`, `integrity_error`, `not_found`.
 */
export async function getToken(world: World, row: TokenRow, wish: TokenWish): Promise<TokenAnswer> {
  if (row.status === 'reauthorization_required' || row.status === 'revoked') throw reauthorization(row);
  if (!refreshWanted(row, wish)) {
    // Nothing can renew it and its end has passed.
    if (!row.refreshable && !isAlive(row)) throw reauthorization(row);
    return answer(world, row);
  }
  return refreshed(world, row, wish);
}

/** A token that lives is not held back longer than this for one that would live longer; the refresh goes on by itself. */
const livingPatienceMs = 3_000;

async function refreshInTime(world: World, row: TokenRow): Promise<RefreshOutcome | 'slow'> {
  const remainingMs = row.expires_at === null ? Number.POSITIVE_INFINITY : row.expires_at.getTime() - row.now.getTime();
  const refresh = refreshConnection(world, row);
  if (remainingMs < 2 * livingPatienceMs) return refresh;
  const patience = new AbortController();
  const slow = world.sleep(livingPatienceMs, patience.signal).then(() => 'slow' as const);
  return Promise.race([refresh, slow]).finally(() => patience.abort());
}

/** A token that was saved late, or that the provider gives for a moment only, may have ended when it arrives. */
function arrivesEnded(
  world: World,
  row: TokenRow,
  { expires_at, issued_at }: Pick<ConnectionRecord, 'expires_at' | 'issued_at'>,
  askedMs: number,
): boolean {
  // One that is born at its end is handed out all the same: nobody has a better one.
  if (expires_at === null || expires_at.getTime() <= issued_at.getTime()) return false;
  return expires_at.getTime() <= row.now.getTime() + world.elapsedMs() - askedMs;
}

async function refreshed(world: World, row: TokenRow, wish: TokenWish, attempt: 'first' | 'second' = 'first'): Promise<TokenAnswer> {
  const askedMs = world.elapsedMs();
  const waiting = row.retry_at !== null && row.retry_at.getTime() > row.now.getTime();
  if (waiting) {
    if (isAlive(row)) return answer(world, row);
    throw notRenewed(row, row.last_error?.code, Math.ceil(((row.retry_at?.getTime() ?? 0) - row.now.getTime()) / 1000));
  }
  const outcome = await (wish.force ? refreshConnection(world, row) : refreshInTime(world, row));
  if (outcome === 'slow') return answer(world, row);
  switch (outcome.kind) {
    case 'gone':
      throw new GrantryError('not_found');
    case 'refreshed': {
      if (!arrivesEnded(world, row, outcome.connection, askedMs)) return answer(world, { ...row, ...outcome.connection });
      const now = await world.store.tokens.byProject(row.project_id, row.id);
      if (now === undefined) throw new GrantryError('not_found');
      if (attempt === 'second') throw notRenewed(now, 'provider_unavailable', 1);
      return refreshed(world, now, wish, 'second');
    }
    case 'failed': {
      const now = await world.store.tokens.byProject(row.project_id, row.id);
      if (now === undefined) throw new GrantryError('not_found');
      if (now.status === 'reauthorization_required' || now.status === 'revoked') throw reauthorization(now);
      if (isAlive(now)) return answer(world, now);
      throw notRenewed(now, outcome.error.code, outcome.error.details.retryAfterS);
    }
  }
}

/**
 * What a caller is told when the token has ended and was not renewed: `misconfigured` for our registration, `integrity_error` and
 * `internal_error` as they are, `conflict` where nothing was sent because the definition or the integration does not serve, else
 * `provider_unavailable` with the time to wait.
 */
export function notRenewed(row: Told, code: string | undefined, retryAfterS = 5): GrantryError {
  switch (code) {
    case 'invalid_client':
      return new GrantryError('misconfigured', {
        detail: `The provider refuses the client registration of the integration "${row.integration_id}".`,
        retryAfterS: Math.max(1, retryAfterS),
      });
    case 'integrity_error':
    case 'internal_error':
      return new GrantryError(code);
    case 'unavailable':
      return new GrantryError(code, { retryAfterS: Math.max(1, retryAfterS) });
    case 'conflict':
    case 'invalid_definition':
    case 'unsupported':
    case 'invalid_request':
    case 'address_refused':
      return new GrantryError('conflict', {
        detail: `The token has expired, and the definition or the integration "${row.integration_id}" as it is now cannot renew it.`,
        members: { last_error: row.last_error },
      });
    default:
      return new GrantryError('provider_unavailable', {
        detail: 'The token has expired and the provider cannot renew it right now.',
        retryAfterS: Math.max(1, retryAfterS),
        members: { failing_since: row.failing_since?.toISOString() ?? null, last_error: row.last_error },
      });
  }
}
