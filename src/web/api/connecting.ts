import type { z } from 'zod';
import { createConnection, deleteConnection, getConnection, listConnections, refreshNow, setConnectionMetadata } from '../../broker/connections.ts';
import { listConnectionEvents, listEvents } from '../../broker/events.ts';
import { confirmLink } from '../../broker/flow/confirm.ts';
import { connectionOfLink, createLink, getLink } from '../../broker/links.ts';
import { probeConnection } from '../../broker/probes.ts';
import type { KeyLimits, LinkRecord } from '../../broker/records.ts';
import { signRequest } from '../../broker/sign.ts';
import { getToken } from '../../broker/tokens.ts';
import type { World } from '../../broker/world.ts';
import { GrantryError } from '../../protocol/errors.ts';
import { cursorOf, pageOf } from './cursor.ts';
import { type Endpoint, endpoint, type Reach } from './endpoint.ts';
import * as s from './schemas.ts';
import { connectionView, eventView, linkView } from './views.ts';

async function tokenRow(world: World, project: string, id: string | undefined) {
  const row = await world.store.tokens.byProject(project, id ?? '');
  if (row === undefined) throw new GrantryError('not_found');
  return row;
}

/** A link with what its connection lacks. */
const shownLink = async (world: World, link: LinkRecord) => linkView(link, (await connectionOfLink(world, link))?.missing_scopes);

const ofConnection: Reach<never, never> = {
  kind: 'named',
  of: ({ world, project, params }) => world.store.connections.get(project, params.id ?? ''),
};

const ofLink: Reach<never, never> = {
  kind: 'named',
  async of({ world, project, params }) {
    const link = await world.store.links.get(project, params.id ?? '');
    return link === undefined ? undefined : { integration_id: link.integration_id, end_user_id: link.end_user.id };
  },
};
type Owned = { integration: string; end_user: { id: string } };
const forBody: Reach<never, never> = {
  kind: 'made',
  of: ({ body }: { body: Owned }) => ({ integration_id: body.integration, end_user_id: body.end_user.id }),
};

/** The filter with the limit in it; undefined when it asks for something else. */
const narrowed = <Query extends { integration?: string | undefined; end_user?: string | undefined }>(
  query: Query,
  { integration = query.integration, end_user = query.end_user }: Pick<KeyLimits, 'integration' | 'end_user'>,
): Query | undefined =>
  (query.integration ?? integration) === integration && (query.end_user ?? end_user) === end_user ? { ...query, integration, end_user } : undefined;

const filterOf = ({ type, after, before }: z.output<typeof s.eventQuery>) => ({ types: type, after, before });

const links: Endpoint[] = [
  endpoint({
    method: 'post',
    path: '/v1/connect-links',
    scope: 'connect',
    reach: forBody,
    tag: 'Connect links',
    summary: 'Make a single-use link for one end user',
    audit: { action: 'connect_link.created', details: ({ body }) => ({ integration: body.integration, reconnects: body.connection_id ?? null }) },
    body: s.linkBody,
    answer: s.newLink,
    status: 201,
    handle: async ({ world, project, body }) => {
      const { link, url } = await createLink(world, project, body);
      return { id: link.id, url, status: link.status, expires_at: link.expires_at.toISOString() };
    },
  }),
  endpoint({
    method: 'get',
    path: '/v1/connect-links/:id',
    scope: 'connect',
    reach: ofLink,
    tag: 'Connect links',
    summary: 'How a link stands',
    answer: s.link,
    status: 200,
    handle: async ({ world, project, params }) => shownLink(world, await getLink(world, project, params.id ?? '')),
  }),
  endpoint({
    method: 'post',
    path: '/v1/connect-links/:id/confirm',
    scope: 'connect',
    reach: ofLink,
    tag: 'Connect links',
    summary: 'Say who is signed in, and finish a link with verification "user"',
    audit: {
      action: 'connect_link.confirmed',
      details: (_, { connection_id }) => ({ connection: String(connection_id) }),
      refusals: ['wrong_user', 'conflict', 'link_expired', 'account_mismatch'],
    },
    body: s.confirmBody,
    answer: s.link,
    status: 200,
    errors: ['wrong_user', 'link_expired', 'conflict', 'exchange_failed', 'exchange_unknown', 'account_mismatch'],
    handle: async ({ world, project, params, body }) =>
      shownLink(world, await confirmLink(world, project, params.id ?? '', { nonce: body.nonce, endUserId: body.end_user_id })),
  }),
];

const connections: Endpoint[] = [
  endpoint({
    method: 'post',
    path: '/v1/connections',
    scope: 'connect',
    reach: forBody,
    tag: 'Connections',
    summary: 'Make a connection without a browser, or import one',
    audit: {
      action: 'connection.created',
      details: ({ body }) => ({ integration: body.integration, how: 'import' in body ? 'imported' : body.grant }),
    },
    body: s.connectionBody,
    answer: s.connection,
    status: 201,
    errors: ['exchange_failed', 'provider_unavailable', 'provider_error', 'bad_provider_answer', 'invalid_client'],
    handle: async ({ world, project, body }) => {
      if (!('import' in body)) return connectionView(await createConnection(world, project, body));
      const { expires_at, ...given } = body.import;
      return connectionView(
        await createConnection(world, project, {
          ...body,
          import: { ...given, expires_at: expires_at === undefined ? undefined : new Date(expires_at) },
        }),
      );
    },
  }),
  endpoint({
    method: 'get',
    path: '/v1/connections',
    scope: 'connect',
    reach: { kind: 'listed', narrow: narrowed },
    tag: 'Connections',
    summary: 'List connections',
    query: s.connectionQuery,
    answer: s.listOf(s.connection),
    status: 200,
    handle: async ({ world, project, query }) => {
      const { limit: _, cursor: __, ...filter } = query;
      const { items, next } = await listConnections(world, project, filter, pageOf(query));
      return { data: items.map(connectionView), next_cursor: cursorOf(next) };
    },
  }),
  endpoint({
    method: 'get',
    path: '/v1/connections/:id',
    scope: 'connect',
    reach: ofConnection,
    tag: 'Connections',
    summary: 'Read a connection; never a secret in it',
    answer: s.connection,
    status: 200,
    handle: async ({ world, project, params }) => connectionView(await getConnection(world, project, params.id ?? '')),
  }),
  endpoint({
    method: 'patch',
    path: '/v1/connections/:id',
    scope: 'connect',
    reach: ofConnection,
    tag: 'Connections',
    summary: 'Replace the metadata',
    audit: { action: 'connection.updated' },
    body: s.connectionPatch,
    answer: s.connection,
    status: 200,
    handle: async ({ world, project, params, body }) => connectionView(await setConnectionMetadata(world, project, params.id ?? '', body.metadata)),
  }),
  endpoint({
    method: 'delete',
    path: '/v1/connections/:id',
    scope: 'connect',
    reach: ofConnection,
    tag: 'Connections',
    summary: 'Revoke at the provider and erase',
    audit: { action: 'connection.deleted' },
    status: 204,
    handle: ({ world, project, params }) => deleteConnection(world, project, params.id ?? ''),
  }),
  endpoint({
    method: 'get',
    path: '/v1/connections/:id/token',
    limited: false,
    scope: 'tokens',
    reach: ofConnection,
    tag: 'Tokens',
    summary: 'A token that works',
    audit: { action: 'token.released', counted: true },
    query: s.tokenQuery,
    answer: s.token,
    status: 200,
    errors: ['reauthorization_required', 'provider_unavailable', 'misconfigured'],
    handle: async ({ world, project, params, query }) =>
      getToken(world, await tokenRow(world, project, params.id), { minTtlS: query.min_ttl, force: query.force }),
  }),
  endpoint({
    method: 'post',
    path: '/v1/connections/:id/sign',
    scope: 'tokens',
    reach: ofConnection,
    tag: 'Tokens',
    summary: 'A request as it must be sent, credential added',
    audit: { action: 'token.released', counted: true },
    body: s.signBody,
    answer: s.signed,
    status: 200,
    errors: ['reauthorization_required', 'provider_unavailable', 'misconfigured'],
    handle: async ({ world, project, params, body }) => {
      const form = body.form === undefined ? undefined : Array.isArray(body.form) ? body.form : Object.entries(body.form);
      return signRequest(world, await tokenRow(world, project, params.id), { method: body.method, url: body.url, ...(form && { form }) });
    },
  }),
  endpoint({
    method: 'post',
    path: '/v1/connections/:id/refresh',
    scope: 'tokens',
    reach: ofConnection,
    tag: 'Tokens',
    summary: 'Refresh now',
    audit: { action: 'connection.refreshed' },
    answer: s.connection,
    status: 200,
    errors: ['reauthorization_required', 'provider_unavailable', 'misconfigured', 'unsupported'],
    handle: async ({ world, project, params }) => connectionView(await refreshNow(world, project, params.id ?? '')),
  }),
  endpoint({
    method: 'post',
    path: '/v1/connections/:id/probe',
    scope: 'tokens',
    reach: ofConnection,
    tag: 'Tokens',
    summary: 'Ask the provider whether the credential works',
    audit: { action: 'connection.probed', details: (_, { outcome }) => ({ answer: String(outcome) }) },
    answer: s.probed,
    status: 200,
    errors: ['reauthorization_required', 'provider_unavailable', 'provider_unreachable', 'no_answer', 'unsupported'],
    handle: async ({ world, project, params }) => probeConnection(world, await tokenRow(world, project, params.id)),
  }),
  endpoint({
    method: 'get',
    path: '/v1/connections/:id/events',
    scope: 'connect',
    reach: ofConnection,
    tag: 'Events',
    summary: 'The timeline of a connection, newest first',
    query: s.eventQuery,
    answer: s.listOf(s.event),
    status: 200,
    handle: async ({ world, project, params, query }) => {
      const { items, next } = await listConnectionEvents(world, project, params.id ?? '', filterOf(query), pageOf(query));
      return { data: items.map(eventView), next_cursor: cursorOf(next) };
    },
  }),
  endpoint({
    method: 'get',
    path: '/v1/events',
    scope: 'connect',
    reach: {
      kind: 'named',
      of({ world, project, query }) {
        if (query.connection_id === undefined) throw new GrantryError('forbidden', { detail: 'This API key is limited: name a connection_id.' });
        return world.store.connections.get(project, query.connection_id);
      },
    },
    tag: 'Events',
    summary: 'The timeline of the project, newest first; a limited key names a connection',
    query: s.projectEventQuery,
    answer: s.listOf(s.event),
    status: 200,
    handle: async ({ world, project, query }) => {
      const { items, next } = await listEvents(world, project, { ...filterOf(query), connection: query.connection_id }, pageOf(query));
      return { data: items.map(eventView), next_cursor: cursorOf(next) };
    },
  }),
];

export const connecting: readonly Endpoint[] = [...links, ...connections];
