import { parseDefinitionValue } from '../protocol/definition/parse.ts';
import type { Definition, Method } from '../protocol/definition/schema.ts';
import { GrantryError, isGrantryError } from '../protocol/errors.ts';
import { rankOf } from './provider-search.ts';
import type { IntegrationRecord, MadeBy, ProviderVersionRecord } from './records.ts';
import type { World } from './world.ts';

/** A definition and where it comes from: `version` null means shipped. */
export type Provider = { definition: Definition; version: number | null };

const cache = new WeakMap<World['store'], Map<string, Definition>>();
const cacheLimit = 5_000;

/** Checked once more on its way out of the store: whoever may edit a row may not put an address into it that we would refuse. */
function cachedDefinition(world: Pick<World, 'store' | 'allowPrivateHosts'>, key: string, read: () => unknown): Definition {
  let known = cache.get(world.store);
  if (known === undefined) {
    known = new Map();
    cache.set(world.store, known);
  }
  const hit = known.get(key);
  if (hit !== undefined) return hit;
  const definition = parseDefinitionValue(read(), { allowPrivateHosts: world.allowPrivateHosts });
  if (known.size >= cacheLimit) known.clear();
  known.set(key, definition);
  return definition;
}

const cacheKey = (project: string, id: string, version: number) => `${project}/${id}/${version}`;

/** The definition when it is in memory already; undefined otherwise (the token path tries this first). */
export function definitionInMemory(world: World, project: string, id: string, version: number | null): Definition | undefined {
  if (version === null) return world.shipped.get(id);
  return cache.get(world.store)?.get(cacheKey(project, id, version));
}

/** One version of a provider's definition; `version` null: the shipped one. Throws `not_found`. */
export async function getProviderVersion(world: World, project: string, id: string, version: number | null): Promise<Definition> {
  const known = definitionInMemory(world, project, id, version);
  if (known !== undefined) return known;
  const record = version === null ? undefined : await world.store.providers.version(project, id, version);
  if (record === undefined || version === null) throw new GrantryError('not_found');
  return cachedDefinition(world, cacheKey(project, id, version), () => record.definition);
}

/** The definition that holds in this project: its own one, else the shipped one. Undefined when there is neither. */
export async function findProvider(world: World, project: string, id: string): Promise<Provider | undefined> {
  const own = await world.store.providers.current(project, id);
  if (own !== undefined) {
    return { definition: cachedDefinition(world, cacheKey(project, id, own.version), () => own.definition), version: own.version };
  }
  const definition = world.shipped.get(id);
  return definition && { definition, version: null };
}

/** The same; undefined too when it would be refused today, such as by a rule that came later. */
export async function findSoundProvider(world: World, project: string, id: string): Promise<Provider | undefined> {
  try {
    return await findProvider(world, project, id);
  } catch (error) {
    if (isGrantryError(error, 'invalid_definition')) return undefined;
    throw error;
  }
}

/** The same as findProvider; throws `not_found`. */
export async function getProvider(world: World, project: string, id: string): Promise<Provider> {
  const provider = await findProvider(world, project, id);
  if (provider === undefined) throw new GrantryError('not_found');
  return provider;
}

/** All definitions that hold; `refused`: the ids of those that were taken once and are not today, such as by a rule that came later. */
export type Catalogue = { providers: Provider[]; refused: string[] };

/** A stored definition, or undefined when it would be refused today: one such row does not take the others along. */
function soundDefinition(world: World, project: string, { provider_id, version, definition }: ProviderVersionRecord): Definition | undefined {
  try {
    return cachedDefinition(world, cacheKey(project, provider_id, version), () => definition);
  } catch (error) {
    if (!isGrantryError(error, 'invalid_definition')) throw error;
    world.log.warn({ project, provider: provider_id, version }, 'a stored definition would be refused today, and is passed over');
    return undefined;
  }
}

/** The own definitions that hold; from memory, but for those that this process has not seen. */
async function ownProviders(world: World, project: string): Promise<Catalogue> {
  const current = await world.store.providers.currentVersions(project);
  const known = current.map(({ provider_id, version }) => ({ definition: definitionInMemory(world, project, provider_id, version), version }));
  if (known.every((each): each is { definition: Definition; version: number } => each.definition !== undefined))
    return { providers: known, refused: [] };
  const providers: Provider[] = [];
  const refused: string[] = [];
  for (const record of await world.store.providers.listCurrent(project)) {
    const definition = soundDefinition(world, project, record);
    if (definition === undefined) refused.push(record.provider_id);
    else providers.push({ definition, version: record.version });
  }
  return { providers, refused };
}

/** All definitions that hold in a project, by id. */
export async function allProviders(world: World, project: string): Promise<Catalogue> {
  const { providers: own, refused } = await ownProviders(world, project);
  const taken = new Set([...own.map(({ definition }) => definition.id), ...refused]);
  const shipped = [...world.shipped.values()].filter(({ id }) => !taken.has(id)).map((definition) => ({ definition, version: null }));
  return { providers: [...own, ...shipped].sort((a, b) => (a.definition.id < b.definition.id ? -1 : 1)), refused };
}

/** Shipped and own definitions, those that fit `q` best first, then by id; `after` is what `next` of the page before was. */
export async function listProviders(
  world: World,
  project: string,
  { q, grant, limit, after }: { q?: string | undefined; grant?: Method['grant'] | undefined; limit: number; after?: string | undefined },
): Promise<{ items: Provider[]; next: string | undefined }> {
  const place = ({ rank, provider }: { rank: number; provider: Provider }) => `${rank}_${provider.definition.id}`;
  const matches = (await allProviders(world, project)).providers
    .filter(({ definition }) => grant === undefined || Object.values(definition.methods).some((method) => method.grant === grant))
    .flatMap((provider) => {
      const rank = q === undefined ? 0 : rankOf(provider.definition, q);
      return rank === undefined ? [] : [{ rank, provider }];
    })
    .sort((a, b) => a.rank - b.rank)
    .filter((match) => after === undefined || place(match) > after);
  const items = matches.slice(0, limit);
  const last = items.at(-1);
  return { items: items.map(({ provider }) => provider), next: matches.length > limit && last !== undefined ? place(last) : undefined };
}

/** A definition as it is put: parsed (complete, extending nothing), as it was written, and by whom. */
export type NewVersion = { definition: Definition; written: string; madeBy: MadeBy | null };

/** Adds or changes an own definition; flows that have begun keep the version they began with. Throws `invalid_definition` or `conflict`. */
export async function putProvider(world: World, project: string, id: string, { definition, written, madeBy }: NewVersion): Promise<Provider> {
  if (definition.id !== id) {
    throw new GrantryError('invalid_definition', {
      detail: 'The id in the definition is not the one in the address.',
      errors: [{ pointer: '/id', detail: `Must be "${id}".` }],
    });
  }
  const orphan = await findIntegration(world, project, ({ provider_id, method }) => provider_id === id && !Object.hasOwn(definition.methods, method));
  if (orphan !== undefined) {
    throw new GrantryError('conflict', {
      detail: `The integration "${orphan.id}" uses the method "${orphan.method}", which this definition does not have.`,
    });
  }
  const { version } = await world.store.providers.put(project, id, { definition, written, made_by: madeBy });
  return { definition, version };
}

async function findIntegration(
  world: World,
  project: string,
  wanted: (integration: IntegrationRecord) => boolean,
): Promise<IntegrationRecord | undefined> {
  for (let after: string | undefined; ; ) {
    const { items, next } = await world.store.integrations.list(project, { limit: 100, after });
    const found = items.find(wanted);
    if (found !== undefined || next === undefined) return found;
    after = next;
  }
}

/** Removes an own definition; the shipped one of the same id, if any, holds again. Throws `not_found`, or `conflict` while integrations need it. */
export async function removeProvider(world: World, project: string, id: string): Promise<void> {
  if ((await world.store.providers.current(project, id)) === undefined)
    throw new GrantryError('not_found', {
      ...(world.shipped.has(id) && { detail: `The definition "${id}" is a shipped one: only definitions of your own can be removed.` }),
    });
  const left = world.shipped.get(id)?.methods ?? {};
  const user = await findIntegration(world, project, ({ provider_id, method }) => provider_id === id && !Object.hasOwn(left, method));
  if (user !== undefined) throw new GrantryError('conflict', { detail: `The integration "${user.id}" uses this definition.` });
  if (!(await world.store.providers.remove(project, id))) throw new GrantryError('not_found');
}

/** The named method, or the first. Throws `invalid_request`. */
export function methodOf(definition: Definition, name: string | undefined): { name: string; method: Method } {
  const chosen = name ?? Object.keys(definition.methods)[0] ?? '';
  const method = Object.hasOwn(definition.methods, chosen) ? definition.methods[chosen] : undefined;
  if (method === undefined) {
    throw new GrantryError('invalid_request', {
      detail: `The provider "${definition.id}" has no method "${chosen}".`,
      errors: [{ pointer: '/method', detail: `One of: ${Object.keys(definition.methods).join(', ')}.` }],
    });
  }
  return { name: chosen, method };
}
