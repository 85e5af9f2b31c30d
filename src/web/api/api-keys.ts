import { createApiKey, deleteApiKey, getApiKey, listApiKeys, rotateApiKey, updateApiKey } from '../../broker/api-keys.ts';
import { GrantryError } from '../../protocol/errors.ts';
import { cursorOf, pageOf } from './cursor.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import * as s from './schemas.ts';
import { apiKeyView } from './views.ts';

const about = { scope: 'admin', tag: 'API keys' } as const;

const endOf = (text: string | null | undefined): Date | null | undefined => (typeof text === 'string' ? new Date(text) : text);

/** API keys: made, listed, changed, rotated, ended. */
export const apiKeys: readonly Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/v1/api-keys/current',
    scope: 'any',
    tag: 'API keys',
    summary: 'Who asks: the key of this very call, its project and what it may do',
    answer: s.currentKey,
    status: 200,
    handle: async ({ world, caller, project }) => ({
      id: caller.kind === 'root' ? 'root' : caller.id,
      scopes: caller.kind === 'root' ? ['root'] : caller.scopes,
      limits: (caller.kind === 'root' ? null : caller.limits) ?? {},
      project,
      public_url: world.publicUrl,
    }),
  }),
  endpoint({
    ...about,
    method: 'get',
    path: '/v1/api-keys',
    summary: 'List API keys',
    query: s.page,
    answer: s.listOf(s.apiKey),
    status: 200,
    handle: async ({ world, project, query }) => {
      const { items, next } = await listApiKeys(world, project, pageOf(query));
      return { data: items.map(apiKeyView), next_cursor: cursorOf(next) };
    },
  }),
  endpoint({
    ...about,
    method: 'post',
    path: '/v1/api-keys',
    summary: 'Make an API key; its text is shown this once',
    audit: { action: 'key.created', details: ({ body }) => ({ name: body.name, scopes: body.scopes, expires_at: body.expires_at ?? null }) },
    body: s.apiKeyBody,
    answer: s.newApiKey,
    status: 201,
    handle: async ({ world, caller, body }) => {
      const { record, key } = await createApiKey(world, caller, { ...body, expiresAt: endOf(body.expires_at) ?? null });
      return { ...apiKeyView(record), key };
    },
  }),
  endpoint({
    ...about,
    method: 'get',
    path: '/v1/api-keys/:id',
    summary: 'Read an API key; never its text',
    answer: s.apiKey,
    status: 200,
    handle: async ({ world, project, params }) => apiKeyView(await getApiKey(world, project, params.id ?? '')),
  }),
  endpoint({
    ...about,
    method: 'patch',
    path: '/v1/api-keys/:id',
    summary: 'Change the name, the limits (as a whole) or the end of an API key',
    audit: { action: 'key.updated' },
    body: s.apiKeyPatch,
    answer: s.apiKey,
    status: 200,
    errors: ['conflict'],
    handle: async ({ world, caller, params, body }) => {
      if (Object.keys(body).length === 0) {
        const detail = 'There is nothing to change.';
        throw new GrantryError('invalid_request', { detail, errors: [{ pointer: '', detail }] });
      }
      return apiKeyView(await updateApiKey(world, caller, params.id ?? '', { ...body, expiresAt: endOf(body.expires_at) }));
    },
  }),
  endpoint({
    ...about,
    method: 'post',
    path: '/v1/api-keys/:id/rotate',
    summary: 'Make a key that takes the place of this one; its text is shown this once',
    audit: { action: 'key.rotated', details: ({ body }, { id }) => ({ new: String(id), overlap_s: body.overlap }) },
    description:
      'The new key may do what the old one may. The old one ends when the overlap does. A key with an end is followed by one with as long a life.',
    body: s.apiKeyRotation,
    answer: s.newApiKey,
    status: 201,
    errors: ['conflict'],
    handle: async ({ world, caller, params, body }) => {
      const { record, key } = await rotateApiKey(world, caller, params.id ?? '', body.overlap);
      return { ...apiKeyView(record), key };
    },
  }),
  endpoint({
    ...about,
    method: 'delete',
    path: '/v1/api-keys/:id',
    summary: 'End an API key at once',
    audit: { action: 'key.deleted' },
    status: 204,
    handle: ({ world, project, params }) => deleteApiKey(world, project, params.id ?? ''),
  }),
];
