import { z } from 'zod';
import { listProviders, putProvider, removeProvider } from '../../broker/catalog.ts';
import { discover } from '../../broker/discover.ts';
import { dryRun } from '../../broker/dry-run.ts';
import { listVersions, madeBy, providerText, readProvider, readVersion, rollbackProvider, versionText } from '../../broker/provider-history.ts';
import type { World } from '../../broker/world.ts';
import { readDocument } from '../../protocol/definition/document.ts';
import { parseDefinition } from '../../protocol/definition/parse.ts';
import { isPlainObject } from '../../protocol/definition/plain.ts';
import type { Definition } from '../../protocol/definition/schema.ts';
import { warningsOf } from '../../protocol/definition/warnings.ts';
import { GrantryError } from '../../protocol/errors.ts';
import { cursorOf, pageOf } from './cursor.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import { isStorableText, jsonFault } from './json-body.ts';
import * as s from './schemas.ts';
import { providerSummaryView, providerVersionView, providerView, shownProviderView } from './views.ts';

const grantName = z.enum(['authorization_code', 'client_credentials', 'jwt_bearer', 'oauth1', 'credential_exchange', 'api_key', 'basic']);

/** A definition from a request body: the one parser, shipped definitions as what it may extend. */
function definitionFrom(world: World, text: string): Definition {
  const definition = parseDefinition(text, { allowPrivateHosts: world.allowPrivateHosts, base: (id) => world.shipped.get(id) });
  const unstorable = isStorableText(text) ? undefined : { pointer: '', detail: 'The text must not hold NUL or half of a surrogate pair.' };
  const fault = unstorable ?? jsonFault(definition);
  if (fault !== undefined)
    throw new GrantryError('invalid_definition', { detail: `The definition cannot be stored: ${fault.pointer} - ${fault.detail}`, errors: [fault] });
  return definition;
}

/** The shipped definition that the text extends, for what may be said of it. */
function baseIn(world: World, text: string): Definition | undefined {
  const written = readDocument(text);
  return isPlainObject(written) && typeof written.extends === 'string' ? world.shipped.get(written.extends) : undefined;
}

export const providers: readonly Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/providers',
    scope: 'any',
    tag: 'Providers',
    summary: 'The catalogue, shipped and own',
    query: s.page.extend({
      q: z.string().max(100).optional().describe('Part of the id, name, an alias or a category; what fits best comes first.'),
      grant: grantName.optional(),
    }),
    answer: s.listOf(s.providerSummary),
    status: 200,
    handle: async ({ world, project, query }) => {
      const { items, next } = await listProviders(world, project, { q: query.q, grant: query.grant, ...pageOf(query) });
      return { data: items.map(providerSummaryView), next_cursor: cursorOf(next) };
    },
  }),
  endpoint({
    method: 'post',
    path: '/v1/providers/validate',
    scope: 'admin',
    tag: 'Providers',
    summary: 'Dry run: the requests that a definition would send, secrets masked',
    audit: { action: 'provider.validated' },
    body: z.string(),
    bodyFormat: 'definition',
    answer: s.validation,
    status: 200,
    errors: ['invalid_definition'],
    handle: async ({ world, body }) => {
      const definition = definitionFrom(world, body);
      return { valid: true, id: definition.id, warnings: warningsOf(definition, baseIn(world, body)), methods: await dryRun(world, definition) };
    },
  }),
  endpoint({
    method: 'post',
    path: '/v1/providers/discover',
    scope: 'admin',
    tag: 'Providers',
    summary: 'Draft a definition from what a server publishes (RFC 8414, OpenID Connect Discovery)',
    audit: { action: 'provider.discovered', details: ({ body }) => ({ host: new URL(body.issuer).host }) },
    description: 'Nothing is stored. Differences to the definition that there is already are shown.',
    body: s.discoverBody,
    answer: s.discovery,
    status: 200,
    errors: ['bad_provider_answer', 'provider_unreachable', 'no_answer', 'unsupported'],
    handle: async ({ world, project, body }) => {
      const { metadataUrl, scopesSupported, existing, ...found } = await discover(world, project, body);
      const beside = existing === undefined ? null : { ...providerSummaryView(existing.provider), differences: existing.differences };
      return { ...found, metadata_url: metadataUrl, scopes_supported: scopesSupported, existing: beside };
    },
  }),
  endpoint({
    method: 'get',
    path: '/v1/providers/:id',
    scope: 'any',
    tag: 'Providers',
    summary: 'One definition',
    description:
      'With `Accept: application/yaml`: as it was written, `extends` and comments included. An own one that a rule of today would refuse comes with its `faults`; until it is put without them nothing is done with it.',
    answer: s.shownProvider,
    status: 200,
    handle: async ({ world, project, params }) => shownProviderView(await readProvider(world, project, params.id ?? '')),
    yaml: ({ world, project, params }) => providerText(world, project, params.id ?? ''),
  }),
  endpoint({
    method: 'put',
    path: '/v1/providers/:id',
    scope: 'admin',
    tag: 'Providers',
    summary: 'Add or change an own definition (JSON or YAML)',
    audit: { action: 'provider.put', details: (_, { version }) => ({ version: Number(version) }) },
    description: 'Versioned: flows that have begun keep the version they began with.',
    body: z.string(),
    bodyFormat: 'definition',
    answer: s.storedProvider,
    status: 200,
    errors: ['invalid_definition', 'conflict'],
    handle: async ({ world, caller, project, params, body }) => {
      const definition = definitionFrom(world, body);
      const put = await putProvider(world, project, params.id ?? '', { definition, written: body, madeBy: await madeBy(world, caller) });
      return { ...providerView(put), warnings: warningsOf(definition, baseIn(world, body)) };
    },
  }),
  endpoint({
    method: 'delete',
    path: '/v1/providers/:id',
    scope: 'admin',
    tag: 'Providers',
    summary: 'Remove an own definition',
    audit: { action: 'provider.removed' },
    status: 204,
    errors: ['conflict'],
    handle: ({ world, project, params }) => removeProvider(world, project, params.id ?? ''),
  }),
  endpoint({
    method: 'get',
    path: '/v1/providers/:id/versions',
    scope: 'admin',
    tag: 'Providers',
    summary: 'What an own definition was before, the newest first',
    query: s.page,
    answer: s.listOf(s.providerVersion),
    status: 200,
    handle: async ({ world, project, params, query }) => {
      const { items, next } = await listVersions(world, project, params.id ?? '', pageOf(query));
      return { data: items.map(providerVersionView), next_cursor: cursorOf(next) };
    },
  }),
  endpoint({
    method: 'get',
    path: '/v1/providers/:id/versions/:version',
    scope: 'admin',
    tag: 'Providers',
    summary: 'One version of an own definition',
    description: 'With `Accept: application/yaml`: as it was written, `extends` and comments included. `faults`: why it would be refused today.',
    answer: s.wholeProviderVersion,
    status: 200,
    handle: async ({ world, project, params }) => {
      const { record, definition, faults } = await readVersion(world, project, params.id ?? '', params.version ?? '');
      return { ...providerVersionView(record), definition, faults: [...faults] };
    },
    yaml: async ({ world, project, params }) => versionText(await readVersion(world, project, params.id ?? '', params.version ?? '')),
  }),
  endpoint({
    method: 'post',
    path: '/v1/providers/:id/rollback',
    scope: 'admin',
    tag: 'Providers',
    summary: 'Make a new version with what an older one holds',
    audit: { action: 'provider.rolled_back', details: ({ body }, { version }) => ({ from: body.version, version: Number(version) }) },
    description: 'Also brings back a definition that was removed. What it extended is not read anew.',
    body: s.rollbackBody,
    answer: s.storedProvider,
    status: 200,
    errors: ['conflict', 'invalid_definition'],
    handle: async ({ world, caller, project, params, body }) => {
      const provider = await rollbackProvider(world, project, params.id ?? '', { version: body.version, by: await madeBy(world, caller) });
      return { ...providerView(provider), warnings: warningsOf(provider.definition) };
    },
  }),
];
