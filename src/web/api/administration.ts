import { createIntegration, deleteIntegration, getIntegration, listIntegrations, updateIntegration } from '../../broker/integrations.ts';
import { createTest, readTest } from '../../broker/tests.ts';
import { durationS } from '../../protocol/duration.ts';
import { GrantryError } from '../../protocol/errors.ts';
import { apiKeys } from './api-keys.ts';
import { cursorOf, pageOf } from './cursor.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import { projects } from './projects.ts';
import { providers } from './providers.ts';
import * as s from './schemas.ts';
import { integrationView, testView } from './views.ts';

/** Durations as seconds. */
function integrationBodyOf<Body extends { probe_unused_after?: string | null | undefined }>({ probe_unused_after: pause, ...body }: Body) {
  return { ...body, ...(pause !== undefined && { probe_unused_after_s: pause === null ? null : durationS(pause) }) };
}

const integrations: Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/integrations',
    scope: 'admin',
    tag: 'Integrations',
    summary: 'List integrations',
    query: s.page,
    answer: s.listOf(s.integration),
    status: 200,
    handle: async ({ world, project, query }) => {
      const { items, next } = await listIntegrations(world, project, pageOf(query));
      return { data: items.map(integrationView), next_cursor: cursorOf(next) };
    },
  }),
  endpoint({
    method: 'post',
    path: '/v1/integrations',
    scope: 'admin',
    tag: 'Integrations',
    summary: 'Register our app at a provider',
    audit: { action: 'integration.created', details: ({ body }) => ({ provider: body.provider }) },
    body: s.integrationBody,
    answer: s.integration,
    status: 201,
    errors: ['conflict'],
    handle: async ({ world, project, body }) => integrationView(await createIntegration(world, project, integrationBodyOf(body))),
  }),
  endpoint({
    method: 'get',
    path: '/v1/integrations/:id',
    scope: 'admin',
    tag: 'Integrations',
    summary: 'Read an integration',
    answer: s.integration,
    status: 200,
    handle: async ({ world, project, params }) => integrationView(await getIntegration(world, project, params.id ?? '')),
  }),
  endpoint({
    method: 'patch',
    path: '/v1/integrations/:id',
    scope: 'admin',
    tag: 'Integrations',
    summary: 'Change an integration; secrets are write-only',
    audit: { action: 'integration.updated' },
    body: s.integrationPatch,
    answer: s.integration,
    status: 200,
    errors: ['conflict'],
    handle: async ({ world, project, params, body }) => {
      if (Object.keys(body).length === 0) {
        const detail = 'There is nothing to change.';
        throw new GrantryError('invalid_request', { detail, errors: [{ pointer: '', detail }] });
      }
      return integrationView(await updateIntegration(world, project, params.id ?? '', integrationBodyOf(body)));
    },
  }),
  endpoint({
    method: 'delete',
    path: '/v1/integrations/:id',
    scope: 'admin',
    tag: 'Integrations',
    summary: 'Delete an integration without connections',
    audit: { action: 'integration.deleted' },
    status: 204,
    errors: ['conflict'],
    handle: ({ world, project, params }) => deleteIntegration(world, project, params.id ?? ''),
  }),
  endpoint({
    method: 'post',
    path: '/v1/integrations/:id/test',
    scope: 'admin',
    tag: 'Integrations',
    summary: 'Make a connect link for the admin herself, with a trace of every step',
    description: 'Nothing is connected and no event is written: what is obtained is tried, revoked where the provider has a way, and forgotten.',
    audit: { action: 'integration.tested', details: (_, { id }) => ({ connect_link: String(id) }) },
    body: s.testBody,
    answer: s.newTest,
    status: 201,
    handle: async ({ world, project, params, body }) => {
      const { link, url } = await createTest(world, project, params.id ?? '', body);
      const { id, integration_id: integration } = link;
      const trace = `/v1/integrations/${integration}/tests/${id}`;
      return { id, integration, purpose: 'test', url, trace, status: link.status, expires_at: link.expires_at.toISOString() };
    },
  }),
  endpoint({
    method: 'get',
    path: '/v1/integrations/:id/tests/:link',
    scope: 'admin',
    tag: 'Integrations',
    summary: 'The trace of a test: what was sent, what came back, what was understood; secrets masked',
    answer: s.test,
    status: 200,
    handle: async ({ world, project, params }) => testView(await readTest(world, project, params.id ?? '', params.link ?? '')),
  }),
];

const state: Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/diagnostics',
    scope: 'root',
    tag: 'Operations',
    summary: 'What this process stands on: configuration, database, Redis, keys, with what to do about each',
    answer: s.diagnostics,
    status: 200,
    handle: async ({ world }) => ({ public_url: world.publicUrl, checks: await world.diagnose() }),
  }),
];

export const administration: readonly Endpoint[] = [...state, ...projects, ...apiKeys, ...providers, ...integrations];
