import { GrantryError } from '../protocol/errors.ts';
import { newId } from './ids.ts';
import type { ApiKeyRecord, KeyScope } from './records.ts';
import { newSecret, sameBytes, sha256 } from './secrets.ts';
import type { FoundKey, Page, PageRequest } from './store.ts';
import type { World } from './world.ts';

/** Who asks: an API key of one project, or the holder of the root key. */
export type Caller = { kind: 'key'; id: string; project: string; scopes: readonly string[] } | { kind: 'root'; project: string };

/** The name under which a caller's idempotency keys are kept. */
export const callerName = (caller: Caller): string => (caller.kind === 'root' ? 'root' : caller.id);

const keyText = /^grt_[0-9a-z]{26}_[A-Za-z0-9_-]{43}$/;

/** True for text that could be an API key; everything else is refused before it costs a query. */
export const isKeyText = (text: string): boolean => keyText.test(text);

/** Makes a key; its text is in the answer and nowhere else. `expiresAt` null: no end. */
export async function createApiKey(
  world: World,
  project: string,
  { name, scopes, expiresAt }: { name: string; scopes: readonly KeyScope[]; expiresAt: Date | null },
): Promise<{ record: ApiKeyRecord; key: string }> {
  if (expiresAt !== null && expiresAt.getTime() <= world.now().getTime()) {
    throw new GrantryError('invalid_request', {
      detail: 'expires_at is in the past.',
      errors: [{ pointer: '/expires_at', detail: 'Must be in the future.' }],
    });
  }
  const id = newId('key');
  const key = `grt_${id.slice('key_'.length)}_${newSecret(world)}`;
  const record = await world.store.apiKeys.insert({
    id,
    project_id: project,
    name,
    key_hash: sha256(key),
    scopes: [...new Set(scopes)],
    expires_at: expiresAt,
  });
  return { record, key };
}

export const listApiKeys = (world: World, project: string, page: PageRequest): Promise<Page<ApiKeyRecord>> => world.store.apiKeys.list(project, page);

export async function deleteApiKey(world: World, project: string, id: string): Promise<void> {
  if (!(await world.store.apiKeys.remove(project, id))) throw new GrantryError('not_found');
}

/** The caller behind a found key. Throws `unauthorized` when there is none, or it has ended. */
export function callerOf(presentedHash: Buffer, found: FoundKey | undefined): Caller {
  if (found === undefined || !sameBytes(found.key_hash, presentedHash) || found.expired) throw new GrantryError('unauthorized');
  return { kind: 'key', id: found.id, project: found.project_id, scopes: found.scopes };
}

/** Throws `forbidden` unless the caller has one of the scopes; the root key and `admin` have all. */
export function requireScope(caller: Caller, scope: KeyScope | 'any'): void {
  if (caller.kind === 'root' || scope === 'any' || caller.scopes.includes('admin') || caller.scopes.includes(scope)) return;
  throw new GrantryError('forbidden', { detail: `This needs an API key with the scope "${scope}".` });
}
