import { parseDefinitionValue } from '../protocol/definition/parse.ts';
import type { Definition, Method } from '../protocol/definition/schema.ts';
import { GrantryError } from '../protocol/errors.ts';
import type { IntegrationRecord, MadeBy } from './records.ts';
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

/** The same; throws `not_found`. */
export async function getProvider(world: World, project: string, id: string): Promise<Provider> {
  const provider = await findProvider(world, project, id);
  if (provider === undefined) throw new GrantryError('not_found');
  return provider;
}

/** Shipped and own definitions by id, filtered; `after` is the last id of the page before. */
export async function listProviders(
  world: World,
  project: string,
  { q, grant, limit, after }: { q?: string | undefined; grant?: Method['grant'] | undefined; limit: number; after?: string | undefined },
): Promise<{ items: Provider[]; next: string | undefined }> {
  const all = new Map<string, Provider>([...world.shipped].map(([id, definition]) => [id, { definition, version: null }]));
  for (const own of await world.store.providers.listCurrent(project)) {
    const definition = cachedDefinition(world, cacheKey(project, own.provider_id, own.version), () => own.definition);
    all.set(own.provider_id, { definition, version: own.version });
  }
  const wanted = q?.trim().toLowerCase();
  const matches = [...all.values()]
    .filter(({ definition: d }) => {
      if (grant !== undefined && !Object.values(d.methods).some((method) => method.grant === grant)) return false;
      return wanted === undefined || [d.id, d.name, ...d.aliases, ...d.categories].some((text) => text.toLowerCase().includes(wanted));
    })
    .sort((a, b) => (a.definition.id < b.definition.id ? -1 : 1))
    .filter(({ definition }) => after === undefined || definition.id > after);
  const items = matches.slice(0, limit);
  return { items, next: matches.length > limit ? items.at(-1)?.definition.id : undefined };
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
  if ((await world.store.providers.current(project, id)) === undefined) throw new GrantryError('not_found');
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
