import { addressRange } from '../protocol/address.ts';
import { type Fault, GrantryError } from '../protocol/errors.ts';
import type { Caller } from './caller.ts';
import { newId } from './ids.ts';
import { widerThan } from './key-limits.ts';
import type { ApiKeyRecord, KeyLimits, KeyScope } from './records.ts';
import { newSecret, sha256 } from './secrets.ts';
import type { NewApiKey, Page, PageRequest } from './store.ts';
import type { World } from './world.ts';

/** API keys as admins manage them: made, listed, changed, rotated, ended. */

const invalid = (errors: Fault[]) => new GrantryError('invalid_request', { detail: errors[0]?.detail ?? 'The key is not valid.', errors });

/** Limits as they are kept: address ranges in one form, null when nothing is limited. Throws `invalid_request`. */
function keptLimits(limits: KeyLimits | undefined, scopes: readonly string[], maker: Caller): KeyLimits | null {
  const { integration, end_user, addresses } = limits ?? {};
  const errors: Fault[] = [];
  const ranges = addresses?.map((text, index) => {
    const range = addressRange(text);
    if (range === undefined)
      errors.push({
        pointer: `/limits/addresses/${index}`,
        detail: 'Must be an IP address, or a range like 192.0.2.0/24 without bits beyond its prefix.',
      });
    return range ?? text;
  });
  if (scopes.includes('admin') && (integration !== undefined || end_user !== undefined)) {
    errors.push({ pointer: '/limits', detail: 'A key with the scope "admin" manages the whole project: only its addresses can be limited.' });
  }
  if (errors.length > 0) throw invalid(errors);
  const kept: KeyLimits = {
    ...(integration !== undefined && { integration }),
    ...(end_user !== undefined && { end_user }),
    ...(ranges !== undefined && { addresses: ranges }),
  };
  if (widerThan(maker, ranges)) {
    throw invalid([
      { pointer: '/limits/addresses', detail: 'The key that makes it may be used from certain addresses only: name addresses among those.' },
    ]);
  }
  return Object.keys(kept).length === 0 ? null : kept;
}

async function requireIntegration(world: World, project: string, limits: KeyLimits | null): Promise<void> {
  if (limits?.integration === undefined) return;
  if ((await world.store.integrations.get(project, limits.integration)) === undefined) {
    throw invalid([{ pointer: '/limits/integration', detail: 'There is no such integration.' }]);
  }
}

function requireFuture(world: World, expiresAt: Date | null): void {
  if (expiresAt === null || expiresAt.getTime() > world.now().getTime()) return;
  throw new GrantryError('invalid_request', {
    detail: 'expires_at is in the past.',
    errors: [{ pointer: '/expires_at', detail: 'Must be in the future.' }],
  });
}

/** The text of a new key, and its row. */
function draw(world: World, key: Omit<NewApiKey, 'id' | 'key_hash'>): { record: NewApiKey; key: string } {
  const id = newId('key');
  const text = `grt_${id.slice('key_'.length)}_${newSecret(world)}`;
  return { record: { ...key, id, key_hash: sha256(text) }, key: text };
}

export type ApiKeyBody = { name: string; scopes: readonly KeyScope[]; limits?: KeyLimits | undefined; expiresAt: Date | null };

/**
 * Makes a key; its text is in the answer and nowhere else. `expiresAt` null: no end. A key that is limited to addresses makes none that is not.
 * Throws `invalid_request`.
 */
export async function createApiKey(
  world: World,
  maker: Caller,
  { name, scopes, limits, expiresAt }: ApiKeyBody,
): Promise<{ record: ApiKeyRecord; key: string }> {
  requireFuture(world, expiresAt);
  const kept = keptLimits(limits, scopes, maker);
  await requireIntegration(world, maker.project, kept);
  const { record, key } = draw(world, { project_id: maker.project, name, scopes: [...new Set(scopes)], limits: kept, expires_at: expiresAt });
  return { record: await world.store.apiKeys.insert(record), key };
}

export const listApiKeys = (world: World, project: string, page: PageRequest): Promise<Page<ApiKeyRecord>> => world.store.apiKeys.list(project, page);

/** Throws `not_found`. */
export async function getApiKey(world: World, project: string, id: string): Promise<ApiKeyRecord> {
  const record = await world.store.apiKeys.get(project, id);
  if (record === undefined) throw new GrantryError('not_found');
  return record;
}

/** Changes what is given; `limits` and `expiresAt` as a whole, null for none. Throws `not_found`, `invalid_request`, `conflict` for a key that was replaced. */
export async function updateApiKey(
  world: World,
  maker: Caller,
  id: string,
  { name, limits, expiresAt }: { name?: string | undefined; limits?: KeyLimits | null | undefined; expiresAt?: Date | null | undefined },
): Promise<ApiKeyRecord> {
  const old = await getApiKey(world, maker.project, id);
  if (old.replaced_by !== null && expiresAt !== undefined) {
    throw new GrantryError('conflict', { detail: `The key was replaced by "${old.replaced_by}", and its end is settled. It can be ended at once.` });
  }
  if (expiresAt !== undefined) requireFuture(world, expiresAt);
  const kept = limits === undefined ? undefined : keptLimits(limits ?? undefined, old.scopes, maker);
  if (kept !== undefined) await requireIntegration(world, maker.project, kept);
  const record = await world.store.apiKeys.update(maker.project, id, {
    ...(name !== undefined && { name }),
    ...(kept !== undefined && { limits: kept }),
    ...(expiresAt !== undefined && { expires_at: expiresAt }),
  });
  if (record === undefined) throw new GrantryError('not_found');
  return record;
}

/**
 * A new key that may do what the old one may, which ends `overlapS` seconds from now, or at its own end when that comes before. A key that
 * has an end is followed by one that lives as long as it was to live. Throws `not_found`, or `conflict` when it has ended or was replaced.
 */
export async function rotateApiKey(world: World, maker: Caller, id: string, overlapS: number): Promise<{ record: ApiKeyRecord; key: string }> {
  const old = await getApiKey(world, maker.project, id);
  if (widerThan(maker, old.limits?.addresses)) {
    throw new GrantryError('forbidden', { detail: 'Your key may be used from certain addresses only, and this one from others.' });
  }
  const { project_id, name, scopes, limits, expires_at, created_at } = old;
  const expiresAt = expires_at === null ? null : new Date(world.now().getTime() + expires_at.getTime() - created_at.getTime());
  const { record, key } = draw(world, { project_id, name, scopes, limits, expires_at: expiresAt });
  const made = await world.store.apiKeys.replace(maker.project, id, record, overlapS);
  if (made === undefined) throw new GrantryError('conflict', { detail: 'This key has ended, or was replaced before: make a new one.' });
  return { record: made, key };
}

export async function deleteApiKey(world: World, project: string, id: string): Promise<void> {
  if (!(await world.store.apiKeys.remove(project, id))) throw new GrantryError('not_found');
}
