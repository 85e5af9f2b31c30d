import { readDocument, writeDocument } from '../protocol/definition/document.ts';
import { type Fault, GrantryError, isGrantryError } from '../protocol/errors.ts';
import { type Caller, callerName } from './caller.ts';
import { getProviderVersion, type Provider, putProvider } from './catalog.ts';
import type { MadeBy, ProviderVersionRecord } from './records.ts';
import type { Page, ProviderVersionSummary } from './store.ts';
import type { World } from './world.ts';

/** What an own definition was before: its versions, how each was written, and the way back to one. */

/** Who a version is by; a key's name is kept, so that it is still known when the key is gone. */
export async function madeBy(world: World, caller: Caller): Promise<MadeBy> {
  const id = callerName(caller);
  return { id, name: caller.kind === 'root' ? 'root key' : ((await world.store.apiKeys.name(caller.project, id)) ?? id) };
}

/** The versions of an own definition, the newest first; none of a shipped one that was never changed. Throws `not_found`. */
export async function listVersions(
  world: World,
  project: string,
  id: string,
  { limit, after }: { limit: number; after?: string | undefined },
): Promise<Page<ProviderVersionSummary>> {
  const before = after === undefined ? undefined : Number(after);
  if (before !== undefined && versionOf(after ?? '') === undefined)
    throw new GrantryError('invalid_request', { detail: 'The cursor is not one of ours.' });
  const found = await world.store.providers.history(project, id, { limit: limit + 1, after: before });
  if (found.length === 0 && before === undefined && !world.shipped.has(id)) throw new GrantryError('not_found');
  const items = found.slice(0, limit);
  return { items, next: found.length > limit ? String(items.at(-1)?.version) : undefined };
}

/** What an own definition holds. `faults`: why it would be refused today, such as by a rule that came later; then it is as it was stored, and nothing is done with it. */
export type Held = { definition: Readonly<Record<string, unknown>>; faults: readonly Fault[] };

async function held(world: World, record: ProviderVersionRecord): Promise<Held> {
  try {
    return { definition: await getProviderVersion(world, record.project_id, record.provider_id, record.version), faults: [] };
  } catch (error) {
    if (!isGrantryError(error, 'invalid_definition')) throw error;
    const { definition } = record;
    return { definition: typeof definition === 'object' ? { ...definition } : {}, faults: error.details.errors ?? [] };
  }
}

/** The definition that holds in this project, for whoever reads it: also one that would be refused today, which can be mended so. Throws `not_found`. */
export async function readProvider(world: World, project: string, id: string): Promise<Held & Pick<Provider, 'version'> & { id: string }> {
  const record = await world.store.providers.current(project, id);
  if (record !== undefined) return { id, version: record.version, ...(await held(world, record)) };
  const shipped = world.shipped.get(id);
  if (shipped === undefined) throw new GrantryError('not_found');
  return { id, version: null, definition: shipped, faults: [] };
}

const versionOf = (text: string): number | undefined => (/^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined);

export type Version = Held & { record: ProviderVersionRecord };

async function recordOf(world: World, project: string, id: string, version: string): Promise<ProviderVersionRecord> {
  const number = versionOf(version);
  const record = number === undefined ? undefined : await world.store.providers.version(project, id, number);
  if (record === undefined) throw new GrantryError('not_found', { detail: 'There is no such version of a definition of your own.' });
  return record;
}

/** One version, for whoever reads it; `version` as it stands in the address. Throws `not_found`. */
export async function readVersion(world: World, project: string, id: string, version: string): Promise<Version> {
  const record = await recordOf(world, project, id, version);
  return { record, ...(await held(world, record)) };
}

/**
 * Makes a new version with what an older one holds; one that was removed holds again. It is the definition as it was then that comes back:
 * what it extended is not read anew. Throws `not_found`, `invalid_definition` when it would be refused today, and `conflict` when an integration uses a method that the older one lacks.
 */
export async function rollbackProvider(
  world: World,
  project: string,
  id: string,
  { version, by }: { version: number; by: MadeBy },
): Promise<Provider> {
  const record = await recordOf(world, project, id, String(version));
  const definition = await getProviderVersion(world, project, id, record.version);
  return putProvider(world, project, id, { definition, written: record.written, madeBy: by });
}

/** A version as YAML that PUT takes back: the text as it was written, `extends` and comments included. */
export function versionText({ record: { written }, definition }: Pick<Version, 'record' | 'definition'>): string {
  if (written === '') return writeDocument(definition);
  return written.trimStart().startsWith('{') ? writeDocument(readDocument(written)) : written;
}

/** The same of the definition that holds, own or shipped. Throws `not_found`. */
export async function providerText(world: World, project: string, id: string): Promise<string> {
  const record = await world.store.providers.current(project, id);
  if (record !== undefined) return versionText({ record, ...(await held(world, record)) });
  if (!world.shipped.has(id)) throw new GrantryError('not_found');
  return world.shippedText(id);
}
