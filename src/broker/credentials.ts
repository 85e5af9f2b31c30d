import { Credential, type CredentialFields } from '../protocol/credential.ts';
import type { Method } from '../protocol/definition/schema.ts';
import { durationS } from '../protocol/duration.ts';
import { GrantryError } from '../protocol/errors.ts';
import { canRefresh } from '../protocol/refreshable.ts';
import { missingScopes } from '../protocol/scopes.ts';
import { credentialPlace } from './places.ts';
import type { ConnectionRecord } from './records.ts';
import type { StoredCredential } from './store.ts';
import type { World } from './world.ts';

/** Credentials on their way into the store and out of it. */

type Row = Pick<ConnectionRecord, 'project_id' | 'id' | 'token_version'>;

/** What would be due again within so many seconds is not worth to be kept fresh: it is refreshed by itself at this pace. Who asks for a token that has ended is not held back. */
const tooSoonS = 4;
const leastSpacingS = 30;

/**
 * Seconds after the request at which a refresh is due: before the end by min(300 s, 10 % of the lifetime), spread by up to half of that, and
 * after 30 s where that would be within 4 s. Null: never.
 */
export function dueInS(method: Method, fields: CredentialFields, random: (bytes: number) => Buffer): number | null {
  if (!canRefresh(method, fields)) return null;
  const refresh = 'refresh' in method ? method.refresh : undefined;
  const ends: number[] = [];
  if (fields.lifetimeS !== null) {
    const marginS = Math.min(300, fields.lifetimeS / 10);
    const spread = random(2).readUInt16BE(0) / 65_536 / 2;
    ends.push(refresh?.not_before_expiry === true ? fields.lifetimeS : fields.lifetimeS - marginS * (1 + spread));
  }
  if (refresh?.keep_alive !== undefined) ends.push(durationS(refresh.keep_alive));
  if (fields.refreshLifetimeS !== null) ends.push(fields.refreshLifetimeS * 0.9);
  if (ends.length === 0) return null;
  const dueS = Math.min(...ends);
  return dueS < tooSoonS ? leastSpacingS : dueS;
}

/** How many milliseconds ago the request was sent that brought a credential; asked for when it is saved. */
export type AgeMs = () => number;

/** Of a request that is sent now: by the clock that never jumps, whatever the wall clock does meanwhile. */
export function ageFromNow(world: Pick<World, 'elapsedMs'>): AgeMs {
  const sentMs = world.elapsedMs();
  return () => world.elapsedMs() - sentMs;
}

/** Of one that another process may have sent, or that somebody dates: by the wall clock, for nothing else is known to both. */
export const ageSince =
  (world: Pick<World, 'now'>, sentAt: Date): AgeMs =>
  () =>
    Math.max(0, world.now().getTime() - sentAt.getTime());

/**
 * Seals a credential for a row and version.
 * @param requested the scopes that were asked for
 */
export async function storeCredential(
  world: World,
  row: Row,
  { method, credential, ageMs, requested }: { method: Method; credential: Credential; ageMs: AgeMs; requested: readonly string[] },
): Promise<StoredCredential> {
  const fields = credential.reveal();
  const { scopes, extras, lifetimeS, refreshLifetimeS, account: _, ...secret } = fields;
  return {
    credential_sealed: await world.seal.seal(credentialPlace(row), JSON.stringify(secret)),
    scopes: [...scopes],
    missing_scopes: missingScopes(requested, scopes, 'scopes' in method ? method.scopes : undefined),
    extras: { ...extras },
    refreshable: canRefresh(method, fields),
    times: {
      ageMs: ageMs(),
      lifetimeS,
      refreshLifetimeS,
      dueInS: dueInS(method, fields, world.random),
    },
  };
}

type Stored = Row & Pick<ConnectionRecord, 'scopes' | 'extras' | 'issued_at' | 'expires_at' | 'refresh_expires_at'>;

const secondsBetween = (from: Date, to: Date | null) => (to === null ? null : Math.max(0, Math.round((to.getTime() - from.getTime()) / 1000)));

/** The credential of a row from its opened text. */
export function readCredential(row: Stored, opened: string): Credential {
  const secret: Pick<CredentialFields, 'kind' | 'access_token' | 'token_type' | 'refresh_token' | 'secret' | 'subject'> = JSON.parse(opened);
  return new Credential({
    ...secret,
    scopes: row.scopes,
    extras: row.extras,
    lifetimeS: secondsBetween(row.issued_at, row.expires_at),
    refreshLifetimeS: secondsBetween(row.issued_at, row.refresh_expires_at),
  });
}

/** Opens the credential of a connection. Throws `integrity_error`; `not_found` when it is erased. */
export async function openCredential(world: World, row: Stored & Pick<ConnectionRecord, 'credential_sealed'>): Promise<Credential> {
  if (row.credential_sealed === null) throw new GrantryError('not_found');
  return readCredential(row, await world.seal.open(credentialPlace(row), row.credential_sealed));
}
