import { writeDocument } from '../protocol/definition/document.ts';
import { parseDefinitionValue } from '../protocol/definition/parse.ts';
import type { DefinitionInput } from '../protocol/definition/schema.ts';
import { type Warning, warningsOf } from '../protocol/definition/warnings.ts';
import { type Difference, differencesOf } from '../protocol/discovery/differences.ts';
import { draftDefinition } from '../protocol/discovery/draft.ts';
import { issuerDetail, type Metadata, metadataAddresses, readMetadata } from '../protocol/discovery/metadata.ts';
import { type Fault, GrantryError, isGrantryError } from '../protocol/errors.ts';
import { allProviders, getProvider, type Provider } from './catalog.ts';
import type { World } from './world.ts';

export type Discovery = {
  issuer: string;
  /** Where the metadata was found. */
  metadataUrl: string;
  definition: DefinitionInput;
  yaml: string;
  scopesSupported: string[];
  notes: string[];
  warnings: Warning[];
  /** The definition that there is for this issuer already, and what it says otherwise. */
  existing: { provider: Provider; differences: Difference[] } | undefined;
};

const refusedIssuer = (detail: string) =>
  new GrantryError('invalid_request', { detail: `The issuer is refused: ${detail}`, errors: [{ pointer: '/issuer', detail }] });

type Attempt = { metadata: Metadata } | { faults: Fault[] };

async function attempt(world: World, url: string, issuer: string): Promise<Attempt> {
  try {
    const { status, body } = await world.door({ method: 'GET', url, headers: { accept: 'application/json' } });
    if (status === 200) return readMetadata(body, issuer, world);
    const detail =
      status >= 300 && status < 400
        ? 'The server sends elsewhere, which is not followed: give the issuer that it leads to.'
        : `The server answers ${status}.`;
    return { faults: [{ pointer: '', detail }] };
  } catch (error) {
    if (isGrantryError(error, 'address_refused')) throw refusedIssuer(error.message);
    if (isGrantryError(error, 'bad_provider_answer')) return { faults: [{ pointer: '', detail: error.message }] };
    if (isGrantryError(error, 'provider_unreachable', 'no_answer'))
      throw new GrantryError(error.code, {
        ...error.details,
        detail: `${new URL(url).host} cannot be reached, or does not answer in full.`,
        cause: error,
      });
    throw error;
  }
}

/** The first sound metadata document; what was wrong with all of them is told together. */
async function fetchMetadata(world: World, issuer: string): Promise<{ url: string; metadata: Metadata }> {
  const seen: { url: string; faults: Fault[] }[] = [];
  for (const url of metadataAddresses(issuer)) {
    const found = await attempt(world, url, issuer);
    if ('metadata' in found) return { url, metadata: found.metadata };
    seen.push({ url, faults: found.faults });
  }
  // What a document says wrong tells more than that another is not there.
  const telling = seen.find(({ faults }) => faults.some(({ pointer }) => pointer !== '')) ?? seen[0];
  throw new GrantryError('bad_provider_answer', {
    detail: `No usable metadata at ${seen.map(({ url }) => url).join(' and ')}: ${telling?.faults.map(({ pointer, detail }) => (pointer === '' ? detail : `${pointer} - ${detail}`)).join(' ')}`,
    errors: telling?.faults ?? [],
  });
}

type Existing = { provider: Provider | undefined; notes: string[] };

const refusedNote = (id: string) =>
  `The definition "${id}" would be refused today, so nothing was compared with it: GET /v1/providers/${id} says what is wrong in it.`;

async function namedProvider(world: World, project: string, id: string): Promise<Provider> {
  try {
    return await getProvider(world, project, id);
  } catch (error) {
    if (!isGrantryError(error, 'not_found')) throw error;
    const detail = `There is no provider "${id}" to compare with.`;
    throw new GrantryError('not_found', { detail, errors: [{ pointer: '/provider', detail }], cause: error });
  }
}

async function existingFor(world: World, project: string, { issuer, provider }: Asked): Promise<Existing> {
  if (provider !== undefined) return { provider: await namedProvider(world, project, provider), notes: [] };
  const { providers, refused } = await allProviders(world, project);
  const found = providers.find(({ definition }) =>
    Object.values(definition.methods).some((method) => 'issuer' in method && method.issuer === issuer),
  );
  return { provider: found, notes: found === undefined ? refused.map(refusedNote) : [] };
}

type Asked = { issuer: string; provider?: string | undefined };

/**
 * A definition drafted from the metadata that an issuer publishes (RFC 8414, OpenID Connect Discovery), and what an existing one says
 * otherwise. Nothing is stored. Throws `invalid_request` (the issuer), `not_found` (the provider), `bad_provider_answer` (no metadata that
 * can be used), `unsupported` (no grant that the broker does), and what the door throws.
 */
export async function discover(world: World, project: string, asked: Asked): Promise<Discovery> {
  const detail = issuerDetail(asked.issuer, world);
  if (detail !== undefined) throw refusedIssuer(detail);
  const { provider: existing, notes } = await existingFor(world, project, asked);
  const { url, metadata } = await fetchMetadata(world, asked.issuer);
  const draft = draftDefinition(metadata, existing?.definition.id);
  if (draft === undefined)
    throw new GrantryError('unsupported', { detail: 'The metadata names no token endpoint, or no grant that the broker does.' });
  const definition = parseDefinitionValue(draft.definition, world);
  return {
    issuer: asked.issuer,
    metadataUrl: url,
    definition: draft.definition,
    yaml: writeDocument(draft.definition),
    scopesSupported: metadata.scopes_supported ?? [],
    notes: [...draft.notes, ...notes],
    warnings: warningsOf(definition),
    existing: existing && { provider: existing, differences: differencesOf(existing.definition, metadata) },
  };
}
